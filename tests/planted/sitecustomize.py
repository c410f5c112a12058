"""Faults for a test: with this folder on PYTHONPATH, Python loads this file at its start, before the product.

The file that PLANTED names holds the function that raises now, as `addon.access:Access.read`, or nothing.
"""

import functools
import importlib
import os
import sys
from pathlib import Path
from typing import Any

TEXT = "planted-exception-text"
ROOT = str(Path(__file__).resolve().parent.parent.parent)
SWITCH = Path(os.environ["PLANTED"])
APPLICATION = (
    "addon.access:Access.read",
    "addon.access:Access.write",
    "addon.admin:AdminSession._current",
    "addon.credentials:from_environment",
    "addon.artifacts:Artifacts.list",
    "addon.bundle:header",
    "addon.changes:Changes.rerun",
    "addon.explain:Explainer.explain",
    "addon.followservice:FollowService.follow",
    "addon.forgejo:Forgejo.rerun",
    "addon.forgejo:Forgejo.run",
    "addon.joblogs:JobLogs.open",
    "addon.limits:Gate.take",
    "addon.links:Links.api",
    "addon.logs:LogReader.read",
    "addon.pages:run",
    "addon.pages:run_page",
    "addon.render:jobs",
    "addon.routes:parse",
    "addon.logservice:LogService.whole",
    "addon.selecting:Selecting.run",
    "addon.service:Service.job_of",
    "addon.transport:Stream.__iter__",
    "addon.transport:Transport.request",
    "addon.waiting:Waiting.run",
)
PROXY = (
    "addon.proxy:ActionsExtension._application",
    "addon.proxy:ActionsExtension._readdress",
    "addon.proxy:ActionsExtension._take",
    "addon.proxy:_drop_body",
    "addon.proxy:_unavailable",
    "addon.redact:request",
    "addon.redact:response",
    "addon.routes:is_ours",
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


if "addon.app" in sys.orig_argv:
    sys.path.insert(0, ROOT)
    if SWITCH.read_text() == "start":
        sys.exit("planted: it does not start")
    for each in APPLICATION:
        plant(each)
elif any("mitmproxy" in argument for argument in sys.orig_argv):
    sys.path.insert(0, ROOT)
    for each in PROXY:
        plant(each)
