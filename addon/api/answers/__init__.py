"""Handlers by subject: each calls its use case and turns the result into a response."""
