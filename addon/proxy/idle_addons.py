"""Removes mitmproxy's built-in addons that have nothing to do in a reverse proxy: calling them costs half a request.

Only the addons listed here are removed, and only while their options leave them nothing to do. Addons of a later
mitmproxy stay. The option of a removed addon still exists; a change of it at run time is refused with a message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mitmproxy import ctx
from mitmproxy.tools.dump import DumpMaster

# mitmproxy's name of the addon, and its options, each with the value that leaves it nothing to do. Addons without
# options act on commands, which nobody can give to mitmdump, or on DNS.
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
# mitmproxy logs two lines per request at the level `info` and passes them to every addon, shown or not.
CHATTY = logging.getLogger("mitmproxy.proxy")
QUIET = {"warn": logging.WARNING, "error": logging.ERROR}


def is_possible() -> bool:
    """Whether this is mitmdump. mitmweb and the console need the addons for their commands."""
    return isinstance(ctx.master, DumpMaster)


def drop() -> frozenset[str]:
    """Removes idle addons and unseen log lines. Returns the options that can't be changed any more."""
    frozen = {"termlog_verbosity"}
    CHATTY.setLevel(QUIET.get(ctx.options.termlog_verbosity, logging.NOTSET))
    for name, idle in IDLE.items():
        addon = ctx.master.addons.get(name)  # type: ignore[no-untyped-call]
        if addon is not None and all(getattr(ctx.options, option) == value for option, value in idle.items()):
            ctx.master.addons.remove(addon)  # type: ignore[no-untyped-call]
            frozen |= idle.keys()
    return frozenset(frozen)


def refusal(frozen: frozenset[str], updated: Iterable[str]) -> str | None:
    """The message for a change of an option whose addon was removed; None if there is no such change."""
    if late := sorted(frozen.intersection(updated)):
        return f"{late[0]} changes by a restart only, or with actions_lean: false"
    return None
