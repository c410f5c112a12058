"""REST routes for Forgejo Actions, as a mitmproxy addon: logs, jobs, summary and rerun of a run."""

__version__ = "0.1.0"
