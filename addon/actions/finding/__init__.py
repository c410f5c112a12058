"""Which run and which job a request is about."""
