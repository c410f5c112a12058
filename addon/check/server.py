"""Checks of the Forgejo server: version, clock, permission checks, account, ROOT_URL."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from addon.check.finding import Finding, ok, problem, skipped, warning
from addon.check.reach import ABOUT, cause
from addon.check.setup import Setup, host_and_port, is_loopback
from addon.errors import ApiError, SignInFailed
from addon.forgejo.admin.credentials import Credentials, from_environment, totp
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.transport import Response, Transport
from addon.forgejo.versions import FACTS, NEWEST_TESTED, OLDEST, native_run_actions

TIMEOUT = 10.0
NOBODY = "/api/v1/repos/actions-extension-check/no-such-repository"
PROBES = {"runs": f"{NOBODY}/actions/runs", "tasks": f"{NOBODY}/actions/tasks"}
# Seconds: a one-time code is good for 30.
CLOCK_WARNING, CLOCK_PROBLEM = 5.0, 30.0
REMEDIES = {
    "wrong user name or password": "check FORGEJO_ADMIN_USER and the password by signing in with a browser",
    "FORGEJO_ADMIN_TOTP_SECRET is not base32": "copy the secret that Forgejo showed: letters, and digits 2 to 7",
    "set FORGEJO_ADMIN_TOTP_SECRET": "set it to the base32 secret that Forgejo showed at enrolment",
    "one-time code was refused": "compare the clocks, and the secret with the one that Forgejo showed",
    "change its password": "sign in as this account with a browser and change it",
    "requires a second factor": "enrol one for this account, and set FORGEJO_ADMIN_TOTP_SECRET",
    "security key": "remove the key from this account, or take another account",
    "password is disabled": "allow it (ENABLE_INTERNAL_SIGNIN in app.ini): the extension has no other way to sign in",
    "not active": "activate the account in Forgejo's administration",
}


class ObservingTransport(Transport):
    """A transport that notes whether any cookie was Secure, and by how many seconds the server's clock is ahead."""

    secure: bool = False
    ahead: float | None = None

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """Like Transport.request."""
        before = time.time()
        response = super().request(*args, **kwargs)
        self.secure |= any("; secure" in cookie.lower() for cookie in response.set_cookies)
        if date := response.headers.get("date"):
            try:  # Date has whole seconds, some time between request and response
                self.ahead = parsedate_to_datetime(date).timestamp() + 0.5 - (before + time.time()) / 2
            except ValueError:
                self.ahead = None
        return response


def findings(setup: Setup, upstream: str) -> Iterator[Finding]:
    """All checks of the Forgejo at `upstream`, as long as it answers."""
    server = ObservingTransport(upstream, TIMEOUT, 4)
    credentials = _credentials(setup.environment)
    basic = _basic(credentials)
    try:
        if "x-actions-extension" in server.request("GET", f"{ABOUT}/").headers:
            text = f"{upstream} is not Forgejo, but a proxy with this extension"
            yield problem("Forgejo", text, "set FORGEJO_URL to Forgejo's own address, not to that of clients")
            return
        response = server.request("GET", "/api/v1/version")
        if response.status in (401, 403) and basic:
            response = server.request("GET", "/api/v1/version", basic)
        reachable = _version(upstream, response)
    except ApiError as error:
        yield problem("Forgejo", f"{upstream}: {error.message}{cause(error)}", "is it running, and FORGEJO_URL right?")
        return
    yield from reachable
    if any(finding.level.value == "problem" for finding in reachable):
        return
    questions: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _clock(server),
        lambda: _probes(server, basic),
        lambda: _account(server, credentials, basic),
        lambda: _root_url(server, setup, upstream),
    )
    for question in questions:
        try:
            yield from question()
        except ApiError as error:
            yield problem("Forgejo", error.message, "look at Forgejo's log")


def _credentials(environment: Mapping[str, str]) -> Credentials | None:
    try:
        return from_environment(environment)
    except SignInFailed:
        return None


def _basic(credentials: Credentials | None) -> dict[str, str]:
    """The account's name and password as headers for the API; empty without an account."""
    if credentials is None:
        return {}
    pair = base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Accept": "application/json"}
    if credentials.totp_secret:
        try:
            headers["X-Forgejo-OTP"] = headers["X-Gitea-OTP"] = totp(credentials.totp_secret)
        except SignInFailed:
            return {}
    return headers


def _version(upstream: str, response: Response) -> list[Finding]:
    where = "FORGEJO_URL must be Forgejo's own address, without a path"
    if response.status != 200:
        text = f"{upstream} answers {response.status} to GET /api/v1/version"
        return [problem("Forgejo", text, where)]
    try:
        version = str(response.json()["version"])
    except (ApiError, KeyError, TypeError):
        return [problem("Forgejo", f"what answers at {upstream} is no Forgejo", where)]
    major = int(version.partition(".")[0]) if version.partition(".")[0].isdigit() else 0
    reached = ok("Forgejo", f"{upstream} answers, version {version}")
    if major < OLDEST:
        return [reached, problem("version", f"{version} is not supported", f"upgrade to Forgejo {OLDEST} or later")]
    if major > NEWEST_TESTED:
        text = f"v{major} is newer than v{NEWEST_TESTED}, the newest that this was tested with"
        return [reached, warning("version", text, "run ./run.sh test --live against a test server of that version")]
    return [reached, ok("version", f"v{major}{_limits(major)}")]


def _limits(major: int) -> str:
    """What clients miss on this version, and which of the routes Forgejo has itself."""
    missing = [fact.missing for fact in FACTS.values() if fact.missing and major < fact.since]
    text = f"; not available: {', '.join(missing)}" if missing else ""
    native = native_run_actions(major)
    return text + (f"; Forgejo itself has, by database id: {', '.join(native)}" if native else "")


def _clock(server: ObservingTransport) -> Iterator[Finding]:
    if server.ahead is None:
        yield skipped("clock", "Forgejo sends no Date")
        return
    off, text = (
        abs(server.ahead),
        f"Forgejo's clock is {abs(server.ahead):.0f} s {'ahead' if server.ahead > 0 else 'behind'}",
    )
    remedy = "set both clocks by NTP: one-time codes and times in logs depend on them"
    if off > CLOCK_PROBLEM:
        yield problem("clock", text, remedy)
    elif off > CLOCK_WARNING:
        yield warning("clock", text, remedy)
    else:
        yield ok("clock", "the same as Forgejo's")


def _probes(server: Transport, headers: Mapping[str, str]) -> Iterator[Finding]:
    """Which routes the permission checks use. For a missing repository, an existing route answers in JSON."""
    there = [
        name for name, path in PROBES.items() if server.request("GET", path, headers).media_type == "application/json"
    ]
    if "tasks" in there:
        yield ok("access probes", f"by Forgejo's own routes ({', '.join(there)}, dispatches)")
    else:
        yield ok("access probes", "by the repository and its teams: this version has no route that needs Actions")


def _account(server: Transport, credentials: Credentials | None, basic: Mapping[str, str]) -> Iterator[Finding]:
    if credentials is None:
        yield skipped("sign-in", "there is no account and password to sign in with")
        return
    try:
        AdminSession(server, lambda: credentials).check()
    except SignInFailed as error:
        remedy = next((remedy for part, remedy in REMEDIES.items() if part in error.message), "see Forgejo's log")
        yield problem("sign-in", f"{credentials.user}: {error.message.rpartition(': ')[2]}", remedy)
        return
    yield ok("sign-in", f"{credentials.user} signs in" + (", with a one-time code" if credentials.totp_secret else ""))
    response = server.request("GET", "/api/v1/user", basic)
    if response.status != 200 or response.media_type != "application/json":
        yield skipped("account", "whether it is an administrator can't be told: the API takes no passwords here")
        return
    account = response.json()
    language = f"; its language ({account.get('language') or 'unset'}) does not matter"
    if account.get("is_admin"):
        yield ok("account", f"a site administrator: every repository is served{language}")
    elif account.get("restricted"):
        text = "restricted: even public repositories are only served where it was added"
        yield warning("account", text, "take off the restriction, or add it to each repository")
    else:
        yield ok("account", f"no administrator: serves what it may read, reruns where it may write; else 404{language}")


def _root_url(server: ObservingTransport, setup: Setup, upstream: str) -> Iterator[Finding]:
    """Compares ROOT_URL, which every error of the API names, with the addresses in use."""
    response = server.request("GET", "/api/v1/user")
    url = response.json().get("url") if response.media_type == "application/json" else None
    root = str(url or "").removesuffix("/api/swagger")
    if not urlsplit(root).hostname:
        yield skipped("ROOT_URL", "Forgejo does not tell it")
        return
    parts, set_it = urlsplit(root), "set ROOT_URL in app.ini to the address that clients use"
    if setup.address is not None and not _same(root, setup.address):
        text = f"is {root}, but clients use {setup.address}: redirects and links lead elsewhere"
        if parts.scheme == "https" and setup.address.startswith("http:"):
            text += ", and browsers don't send Secure cookies there: nobody can sign in"
        yield problem("ROOT_URL", text, set_it)
    elif setup.address is None and host_and_port(root) == host_and_port(upstream):
        yield problem("ROOT_URL", f"is {root}, Forgejo's own address: redirects and links lead past the proxy", set_it)
    elif parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield warning("ROOT_URL", f"is {root}: passwords and tokens cross the network in clear", "put TLS in front")
    else:
        cookies = "cookies are Secure" if server.secure else "cookies are not Secure"
        yield ok("ROOT_URL", f"{root}, {cookies}; the front must send X-Forwarded-Proto for links to be right")
    if parts.path:
        text = f"Forgejo lives under {parts.path}: the extension's paths begin with /api/v1"
        yield warning("sub-path", text, f"let the reverse proxy in front take {parts.path} off, as for Forgejo")


def _same(root: str, used: str) -> bool:
    one, other = urlsplit(root), urlsplit(used)
    return (one.scheme, *host_and_port(root), one.path.rstrip("/")) == (
        other.scheme,
        *host_and_port(used),
        other.path.rstrip("/"),
    )
