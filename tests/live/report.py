"""The table at the end: a line per server with its version, how many tests held, and which fields were null."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

OUTCOMES = ("passed", "failed", "error")
HEADING = "contract"


def tell(terminalreporter: pytest.TerminalReporter) -> None:
    """pytest's hook at the end of the run; it works with tests on several processes too."""
    outcomes: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    versions: dict[str, str] = {}
    nulls: dict[str, str] = {}
    for outcome in OUTCOMES:
        for report in terminalreporter.stats.get(outcome, ()):
            properties = dict(report.user_properties)
            if server := properties.get("server"):
                outcomes[server][properties["suite"]][outcome] += 1
                versions |= {server: properties["version"]} if "version" in properties else {}
                nulls |= {server: properties["null"]} if "null" in properties else {}
    if not outcomes:
        return
    terminalreporter.section(HEADING)
    for server in sorted(outcomes, key=lambda name: _order(versions.get(name, ""))):
        suites = ", ".join(f"{name} {_verdict(counts)}" for name, counts in sorted(outcomes[server].items()))
        version = versions.get(server, "of unknown version")
        terminalreporter.write_line(
            f"Forgejo {version} ({server}) · {suites} · null: {nulls.get(server, 'not tested')}"
        )


def _verdict(counts: Counter[str]) -> str:
    bad = counts["failed"] + counts["error"]
    return f"{counts['passed']} passed" + (f" and {bad} FAILED" if bad else "")


def _order(version: str) -> tuple[int, str]:
    major = version.partition(".")[0]
    return int(major) if major.isdecimal() else 0, version
