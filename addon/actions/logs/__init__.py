"""Reading logs: one job's log or a part of it, and several jobs' logs."""
