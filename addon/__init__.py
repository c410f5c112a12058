"""REST routes for Forgejo Actions, as a mitmproxy addon: logs, jobs, summary and rerun of a run."""

from pathlib import Path

__version__ = "0.2.0"
# The project's folder.
ROOT = Path(__file__).resolve().parent.parent
# The command that a person types: an installed package has its own instead of run.sh.
INSTALLED = not (ROOT / "run.sh").exists()
COMMAND = "forgejo-actions-proxy" if INSTALLED else "./run.sh"
