"""Checks of this machine: Python and packages, mitm.yaml, environment variables, and who listens where."""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import logging
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mitmproxy.options import Options
from mitmproxy.tools.dump import DumpMaster
from mitmproxy.tools.web.master import WebMaster
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from addon import COMMAND, settings
from addon.check.finding import Finding, Level, ok, problem, warning
from addon.check.setup import DEFAULT_LISTEN, Setup, host_and_port, is_loopback
from addon.errors import SignInFailed
from addon.forgejo.admin.credentials import totp
from addon.forgejo.versions import dialect
from addon.proxy import option_file

LISTENING = "0A"
ANY = ("00000000", "0" * 32)


def python() -> Finding:
    """The Python in use. run.sh has chosen one that is new enough."""
    return ok("Python", f"{sys.version.split()[0]}, {sys.executable}")


def packages(lock: str, installed: Callable[[str], str] = importlib.metadata.version) -> Finding:
    """Whether the installed packages are those of requirements.lock. `installed` returns a package's version."""
    wanted = [Requirement(line.rstrip(" \\")) for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    wrong = []
    for each in wanted:
        if each.marker is not None and not each.marker.evaluate():
            continue
        try:
            version = installed(canonicalize_name(each.name))
        except importlib.metadata.PackageNotFoundError:
            version = "missing"
        if version == "missing" or version not in each.specifier:
            wrong.append(f"{each.name} ({version}, locked {each.specifier})")
    if wrong:
        return problem("packages", f"not as locked: {', '.join(wrong)}", "remove .venv and run ./run.sh again")
    return ok("packages", f"{len(wanted)} as in requirements.lock")


def options_file(text: str) -> Mapping[str, Any] | Finding:
    """The keys and values of mitm.yaml."""
    try:
        return option_file.load(text)
    except ValueError as error:
        return problem("mitm.yaml", *str(error).removeprefix("mitm.yaml ").split("; ", 1))


def options(setup: Setup) -> Finding:
    """Names that mitmproxy would silently ignore, and values that would prevent the start."""
    given = setup.options
    try:
        option_file.check(given)
        settings.upstream(given.get("mode") or [])
    except ValueError as error:
        return problem("options", str(error), "correct it in mitm.yaml")
    if unknown := sorted(set(given) - _known_options() - set(settings.OPTIONS)):
        return problem("options", f"mitmproxy has no option {', '.join(unknown)}", "correct it in mitm.yaml")
    changed = [name for name in settings.OPTIONS if name in given]
    return ok("options", ", ".join(f"{name}: {given[name]}" for name in changed) or "all defaults")


@functools.cache
def _known_options() -> frozenset[str]:
    """The options of mitmdump and mitmweb. To list them needs an event loop, and changes the log's handlers."""

    async def known() -> frozenset[str]:
        dump, web = DumpMaster(Options()).options, WebMaster(Options()).options
        return frozenset((*dump.keys(), *web.keys()))  # type: ignore[no-untyped-call]

    log = logging.getLogger()
    handlers, level = log.handlers[:], log.level
    try:
        return asyncio.run(known())
    finally:
        log.handlers[:] = handlers
        log.setLevel(level)


def run_numbers(setup: Setup) -> Finding:
    """What {x} is in the paths that Forgejo has too."""
    return ok("runs/{x}", dialect(str(setup.options.get("actions_collisions", "extension"))))


def protections(setup: Setup) -> Finding:
    """The keys of mitm.yaml without which something would go wrong unnoticed."""
    given, missing = setup.options, []
    if not any(str(script).endswith("addon/entry.py") for script in given.get("scripts") or ()):
        missing.append('scripts: ["../addon/entry.py"], without which there is no extension')
    if not any("actions-extension: handled" in str(rule) for rule in given.get("block_list") or ()):
        missing.append("block_list as delivered, which keeps extension paths from Forgejo if the addon is gone")
    for name, value, why in (
        ("keep_host_header", True, "Forgejo refuses browsers' forms without it"),
        ("onboarding", False, "mitmproxy would answer in Forgejo's place"),
        ("connection_strategy", "lazy", "extension paths would get no answer while Forgejo is down"),
    ):
        if given.get(name) != value:
            missing.append(f"{name}: {str(value).lower()}, for {why}")
    if missing:
        return problem("mitm.yaml", f"lacks {'; '.join(missing)}", "take these keys from the mitm.yaml delivered")
    return ok("mitm.yaml", "has the addon and its protections")


def environment(setup: Setup) -> Iterator[Finding]:
    """Environment variables that run.sh would refuse, and a password file that others can read."""
    values = setup.environment
    if setup.is_demo:
        text = f"this is the demo: no Forgejo is configured, and {COMMAND} starts a stand-in with sample runs"
        yield Finding(
            "Forgejo", Level.SKIPPED, text, "for your own, set FORGEJO_URL and the account; see {COMMAND} help"
        )
        return
    if setup.upstream is None:
        given = values.get("FORGEJO_URL")
        text = f"FORGEJO_URL is {given!r}" if given else "FORGEJO_URL is not set"
        yield problem("Forgejo", text, "write scheme, host and port, without a path, as http://127.0.0.1:3000")
    elif setup.points_at_itself:
        yield problem(
            "Forgejo", f"{setup.upstream} is where the proxy itself listens", "set FORGEJO_URL to Forgejo's own address"
        )
    if secret := values.get("FORGEJO_ADMIN_TOTP_SECRET"):
        yield from _second_factor(secret)
    if not values.get("FORGEJO_ADMIN_USER"):
        yield problem("account", "FORGEJO_ADMIN_USER is not set", "name the account whose web session the proxy uses")
    elif file := values.get("FORGEJO_ADMIN_PASSWORD_FILE"):
        yield _password_file(Path(file))
    elif not values.get("FORGEJO_ADMIN_PASSWORD"):
        yield problem("password", "there is none", "set FORGEJO_ADMIN_PASSWORD_FILE, or FORGEJO_ADMIN_PASSWORD")
    else:
        yield ok(
            "password", "from the environment; a file (FORGEJO_ADMIN_PASSWORD_FILE) can be changed without a restart"
        )


def _second_factor(secret: str) -> Iterator[Finding]:
    try:
        totp(secret)
    except SignInFailed as error:
        yield problem("second factor", error.message, "copy the secret that Forgejo showed: letters, and digits 2 to 7")


def _password_file(file: Path) -> Finding:
    try:
        empty, mode = not file.read_bytes().strip(), file.stat().st_mode
    except OSError:
        return problem(
            "password", f"FORGEJO_ADMIN_PASSWORD_FILE is {str(file)!r}, which can't be read", "check path and owner"
        )
    if empty:
        return problem("password", f"{file} is empty", "write the account's password into it")
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        return warning("password", f"{file} can be read by others", f"chmod 600 {file}")
    return ok("password", f"from {file}, read at each sign-in")


def listener(setup: Setup) -> Iterator[Finding]:
    """Where the proxy listens, and who can reach it."""
    if setup.listen is None:
        given = setup.environment.get("LISTEN")
        yield problem("LISTEN", f"is {given!r}", f"write host:port or port, as {DEFAULT_LISTEN}")
        return
    host, port = setup.listen
    if setup.listens_on_loopback:
        yield ok("LISTEN", f"{host}:{port}, this machine only: a reverse proxy in front brings TLS")
        return
    if setup.options.get("certs"):
        yield ok("LISTEN", f"{host}:{port}, with a certificate of its own")
    else:
        remedy = (
            "let a reverse proxy with TLS listen there, and set LISTEN=127.0.0.1:8080 (in a container: publish no port)"
        )
        yield warning("LISTEN", f"{host}:{port} is plain http to the network: passwords and tokens in clear", remedy)
    if setup.options.get("block_global", True):
        text = "block_global is on: clients with public addresses are cut off"
        yield problem(
            "block_global", text, "write block_global: false in mitm.yaml; who may do what is Forgejo's decision"
        )


def mitmweb(setup: Setup) -> Finding:
    """Whether other machines can reach mitmweb."""
    host = str(setup.options.get("web_host", "127.0.0.1"))
    if is_loopback(host):
        return ok("mitmweb", "would listen on this machine only")
    text = f"web_host is {host!r}: {COMMAND} web would show everybody's requests to the network"
    return problem("mitmweb", text, "remove web_host from mitm.yaml, and reach mitmweb by an ssh tunnel")


def past_the_proxy(upstream: str, tables: Callable[[], Iterator[str]] | None = None) -> Finding:
    """Whether clients can reach Forgejo without the proxy, as far as this machine can tell."""
    host, port = host_and_port(upstream)
    remedy = (
        "let only the proxy reach it: HTTP_ADDR = 127.0.0.1 in Forgejo's app.ini, a firewall, a network of their own"
    )
    if not is_loopback(host):
        return warning(
            "past the proxy", f"Forgejo at {host}:{port} may be reached by others, without the extension", remedy
        )
    for line in (tables or _tables)():
        fields = line.split()
        if len(fields) > 3 and fields[3] == LISTENING:
            address, _, hexadecimal = fields[1].partition(":")
            if int(hexadecimal, 16) == port and address in ANY:
                return warning("past the proxy", f"port {port} is open on all addresses, not on {host} only", remedy)
    return ok("past the proxy", f"Forgejo listens on {host} only, as far as this machine tells")


def _tables() -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            yield from table.read_text().splitlines()[1:]
