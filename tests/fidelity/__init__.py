"""Byte for byte: what goes through the proxy, compared with the same conversation without it."""
