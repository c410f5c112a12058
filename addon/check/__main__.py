"""python -m addon.check [--json] [--address URL]: prints the findings. The exit status is 1 if any is a problem."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping

from addon import COMMAND, INSTALLED, ROOT
from addon.check import machine, reach, server
from addon.check.finding import Finding, Level
from addon.check.setup import Setup


def main() -> int:
    """Prints the findings and returns the exit status: 0, or 1 if there is a problem."""
    arguments = _arguments()
    logging.getLogger("addon").addHandler(logging.NullHandler())
    logging.getLogger("addon").propagate = False
    found = []
    for finding in findings(os.environ, (ROOT / "mitm.yaml").read_text("utf-8"), arguments.address):
        found.append(finding)
        if not arguments.json:
            print(finding.line(), flush=True)
    problems = sum(finding.level is Level.PROBLEM for finding in found)
    if arguments.json:
        checks = [
            {"name": each.name, "level": each.level.value, "text": each.text, "remedy": each.remedy or None}
            for each in found
        ]
        print(json.dumps({"ok": not problems, "checks": checks}, indent=2))
    else:
        warnings = sum(finding.level is Level.WARNING for finding in found)
        print(f"\n{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}")
    return 1 if problems else 0


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def findings(environment: Mapping[str, str], mitm_yaml: str, address: str | None = None) -> Iterator[Finding]:
    """The findings of all checks, the cheap ones first."""
    yield machine.python()
    if not INSTALLED:  # pip has chosen them
        yield machine.packages((ROOT / "requirements.lock").read_text("utf-8"))
    options = machine.options_file(mitm_yaml)
    if isinstance(options, Finding):
        yield options
        options = {}
    setup = Setup(environment, options, address)
    if options:
        yield machine.options(setup)
        yield machine.run_numbers(setup)
        yield machine.protections(setup)
    yield from machine.environment(setup)
    yield from machine.listener(setup)
    yield machine.mitmweb(setup)
    if setup.listen is not None:
        yield reach.running(setup.listen)
    if setup.upstream is not None and not setup.points_at_itself:
        yield from server.findings(setup, setup.upstream)
        yield machine.past_the_proxy(setup.upstream)
    if address is not None:
        yield reach.address(address.rstrip("/"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"{COMMAND} check", description="Looks whether all is as it must be.")
    parser.add_argument("--json", action="store_true", help="for machines: {ok, checks: [{name, level, text, remedy}]}")
    parser.add_argument("--address", metavar="URL", help="the URL that clients use, as https://forge.example")
    arguments = parser.parse_args()
    if arguments.address is not None and not re.fullmatch(r"https?://[^/@?#\s][^@?#\s]*", arguments.address):
        parser.error(f"--address is {arguments.address!r}; write it as https://forge.example")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
