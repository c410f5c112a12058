"""Takes mitmproxy's add-ons away that a reverse proxy has no use for: calling them costs more than half of a request.

Only what is listed here, by name, and only while its options leave it nothing to do. Whatever a later mitmproxy adds
stays. An option of one that is gone still exists: a change at runtime is refused with a line that says why.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mitmproxy import ctx
from mitmproxy.tools.dump import DumpMaster

# What mitmproxy calls the add-on: the options that could give it something to do, each with the value that doesn't.
# All the rest of them act on commands, which nobody can give to mitmdump, or on DNS and replays.
IDLE: Mapping[str, Mapping[str, Any]] = {
    "anticache": {"anticache": False},
    "anticomp": {"anticomp": False},
    "browser": {},
    "commandhistory": {},
    "comment": {},
    "core": {},
    "cut": {},
    "dnsresolver": {},
    "dumper": {"flow_detail": 0},
    "export": {},
    "maplocal": {"map_local": []},
    "mapremote": {"map_remote": []},
    "modifybody": {"modify_body": []},
    "modifyheaders": {"modify_headers": []},
    "onboarding": {"onboarding": False},
    "proxyauth": {"proxyauth": None},
    "readfilestdin": {"rfile": None},
    "save": {"save_stream_file": None},
    "savehar": {"hardump": ""},
    "serverplayback": {"server_replay": []},
    "stickyauth": {"stickyauth": None},
    "stickycookie": {"stickycookie": None},
    "stripdnshttpsrecords": {},
    "upstreamauth": {"upstream_auth": None},
}
# mitmproxy makes two lines for each request at the level `info`, and hands each to every add-on, shown or not.
CHATTY = logging.getLogger("mitmproxy.proxy")
QUIET = {"warn": logging.WARNING, "error": logging.ERROR}


def is_possible() -> bool:
    """Only in mitmdump: mitmweb and the console need them for their commands."""
    return isinstance(ctx.master, DumpMaster)


def drop() -> frozenset[str]:
    """Takes away what is idle, and lines that are not shown; the options that can no longer be changed."""
    frozen = {"termlog_verbosity"}
    CHATTY.setLevel(QUIET.get(ctx.options.termlog_verbosity, logging.NOTSET))
    for name, idle in IDLE.items():
        addon = ctx.master.addons.get(name)  # type: ignore[no-untyped-call]
        if addon is not None and all(getattr(ctx.options, option) == value for option, value in idle.items()):
            ctx.master.addons.remove(addon)  # type: ignore[no-untyped-call]
            frozen |= idle.keys()
    return frozenset(frozen)


def refusal(frozen: frozenset[str], updated: Iterable[str]) -> str | None:
    """What to say of a change to an option whose add-on is gone; None when there is no such change."""
    if late := sorted(frozen.intersection(updated)):
        return f"{late[0]} changes by a restart only, or with actions_lean: false"
    return None
