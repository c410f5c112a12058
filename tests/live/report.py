"""The table at the end: a line per server with its version, how many tests held, and which fields were null."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

OUTCOMES = ("passed", "failed", "error")


def tell(terminalreporter: pytest.TerminalReporter) -> None:
    """pytest's hook at the end of the run; it works with tests on several processes too."""
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    nulls: dict[str, str] = {}
    for outcome in OUTCOMES:
        for report in terminalreporter.stats.get(outcome, ()):
            properties = dict(report.user_properties)
            if server := properties.get("server"):
                outcomes[server][outcome] += 1
                nulls |= {server: properties["null"]} if "null" in properties else {}
    if not outcomes:
        return
    terminalreporter.section("contract")
    for server in sorted(outcomes, key=lambda name: (len(name.partition(".")[0]), name)):
        counts = outcomes[server]
        bad = counts["failed"] + counts["error"]
        verdict = f"contract {counts['passed']} passed" + (f", {bad} FAILED" if bad else "")
        terminalreporter.write_line(f"Forgejo {server} · {verdict} · null: {nulls.get(server, 'not tested')}")
