"""Parsers of Forgejo's pages and JSON. Only this folder uses parsel."""
