"""Forgejo as its callers and its administrator see it: the REST API, the web UI, and what differs by version."""
