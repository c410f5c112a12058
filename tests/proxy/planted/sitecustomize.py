"""Faults for a test: with this folder on PYTHONPATH, Python loads this file at its start, before the product.

The file that PLANTED names holds the function that raises now, as `addon.forgejo.access:Access.read`, or nothing.
"""

import functools
import importlib
import os
import sys
from pathlib import Path
from typing import Any

TEXT = "planted-exception-text"
ROOT = str(Path(__file__).resolve().parents[3])
SWITCH = Path(os.environ["PLANTED"])
APPLICATION = (
    "addon.journal:_Body.__iter__",
    "addon.forgejo.access:Access.read",
    "addon.forgejo.access:Access.write",
    "addon.forgejo.admin.session:AdminSession._current",
    "addon.forgejo.admin.credentials:from_environment",
    "addon.forgejo.artifacts:ArtifactPages.list",
    "addon.api.text.bundle:header",
    "addon.actions.rerun:RerunRun.rerun",
    "addon.actions.summary:Summarize.summarize",
    "addon.actions.following.follow_logs:FollowLogs.follow",
    "addon.forgejo.web_ui:WebUi.rerun",
    "addon.forgejo.web_ui:WebUi.run",
    "addon.forgejo.job_logs:JobLogs.open",
    "addon.limits:Limiter.acquire",
    "addon.api.links:Links.api",
    "addon.actions.logs.wanted_lines:WantedLines.read",
    "addon.forgejo.parsers.run_page:run",
    "addon.forgejo.parsers.run_page:run_page",
    "addon.api.answers.jobs:jobs_json",
    "addon.api.routes:parse",
    "addon.actions.logs.read_logs:ReadLogs.whole",
    "addon.actions.finding.run_selector:RunSelector.run",
    "addon.actions.finding.run_finder:RunFinder.job_to_read",
    "addon.forgejo.transport:StreamedResponse.__iter__",
    "addon.forgejo.transport:Transport.request",
    "addon.actions.waiting:Waiting._wait",
)
PROXY = (
    "addon.proxy.addon:ActionsExtension._application",
    "addon.proxy.addon:ActionsExtension._readdress",
    "addon.proxy.addon:ActionsExtension._take",
    "addon.proxy.request_body:bound",
    "addon.proxy.addon:_unavailable",
    "addon.proxy.redact:request",
    "addon.proxy.redact:response",
    "addon.api.routes:is_ours",
)


def plant(name: str) -> None:
    """Makes a function raise whenever the switch names it."""
    module, _, path = name.partition(":")
    *owners, last = path.split(".")
    owner: Any = functools.reduce(getattr, owners, importlib.import_module(module))
    function = getattr(owner, last)

    @functools.wraps(function)
    def planted(*args: Any, **kwargs: Any) -> Any:
        if SWITCH.read_text() == name:
            raise RuntimeError(TEXT)
        return function(*args, **kwargs)

    setattr(owner, last, planted)


if "addon.api.app" in sys.orig_argv:
    sys.path.insert(0, ROOT)
    if SWITCH.read_text() == "start":
        sys.exit("planted: it does not start")
    for each in APPLICATION:
        plant(each)
elif any("mitmproxy" in argument for argument in sys.orig_argv):
    sys.path.insert(0, ROOT)
    for each in PROXY:
        plant(each)
