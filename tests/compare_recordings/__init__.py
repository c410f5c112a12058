"""Replays recorded exchanges of real Forgejo servers against the stand-in: python -m tests.compare_recordings DIR.

DIR holds a folder per server version, and in it a JSON file per exchange, replayed in the order of their names. What
differs is printed: status, headers, and of each body what a reader of it relies on. The product's parsers read both
answers as well, and must make the same of them.
"""
