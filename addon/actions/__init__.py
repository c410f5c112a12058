"""The use cases: find a run, wait for it, read it, explain it, change it. Nothing here knows HTTP's shapes or HTML."""
