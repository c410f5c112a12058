"""REST routes for Forgejo Actions, as a mitmproxy addon: logs, jobs, summary and rerun of a run."""

from pathlib import Path

__version__ = "0.2.0"
# The project's folder.
ROOT = Path(__file__).resolve().parent.parent
