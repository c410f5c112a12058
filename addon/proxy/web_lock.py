"""What the reader of mitmweb can't do: load code, read or write files, change where requests go.

Somebody with mitmweb's token can set every option and call every command of mitmproxy. Some of them would make this a
login on the machine. So after the start, only the options and commands listed here remain.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from mitmproxy import ctx, exceptions
from mitmproxy.optmanager import OptManager

# `server` is turned off at a stop.
CHANGEABLE = re.compile(
    "server|actions_web_flows|intercept(_active)?|view_(filter|order|order_reversed)|web_columns|console_focus_follow"
    "|content_view_lines_cutoff|showhost|show_ignored_hosts"
)
# They look at flows, or change one that is shown.
KEPT = re.compile(
    r"commands\.history\..*|cut|eventstore\.clear|export|export\.formats|flow\..*|proxyserver\.active_connections"
    r"|readfile\.reading|replay\.client(\.count|\.stop)?|set|view\.(?!flows\.load).*"
)


class WebLock:
    """Keeps options as they were at `lock`."""

    def __init__(self) -> None:
        self._values: Mapping[str, Any] = {}

    def lock(self) -> None:
        """Removes commands, and refuses changes of options from now on."""
        commands = ctx.master.commands.commands
        for name in [name for name in commands if not KEPT.fullmatch(name)]:
            del commands[name]
        names = [name for name, _ in ctx.options.items() if not CHANGEABLE.fullmatch(name)]  # type: ignore[no-untyped-call]
        self._values = {name: getattr(ctx.options, name) for name in names}
        # A subscriber is asked before any addon. `configure` would be too late: a new script would have run.
        ctx.options.subscribe(self._refuse, names)  # type: ignore[no-untyped-call]

    def _refuse(self, options: OptManager, updated: Collection[str]) -> None:
        for name in sorted(self._values.keys() & updated):
            if getattr(options, name) != self._values[name]:
                raise exceptions.OptionsError(f"{name} changes by a restart only")  # type: ignore[no-untyped-call]
