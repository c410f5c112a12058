"""Questions that Forgejo answers: version, ROOT_URL, the account, the probes, the clock."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from addon.api import routes
from addon.check.finding import Finding, ok, problem, skipped, warning
from addon.check.setup import Setup, host_and_port, is_loopback
from addon.errors import ApiError, SignInFailed
from addon.forgejo.admin.credentials import Credentials, from_environment, totp
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.transport import Answer, Transport

TIMEOUT = 10.0
OLDEST, NEWEST_TRIED = 7, 16
# From which version on, newest first, and what the extension then can.
ERAS = (
    (16, "everything; Forgejo has some routes itself, see actions_collisions"),
    (13, "everything: attempts, times, events"),
    (12, "runs with times and events; logs of the newest attempt only"),
    (9, "events of recent runs; logs of the newest attempt only; no times"),
    (7, "logs of the newest attempt only; no times, no events; the access check is stricter than Forgejo"),
)
NOBODY = "/api/v1/repos/actions-extension-check/no-such-repository"
PROBES = {"runs": f"{NOBODY}/actions/runs", "tasks": f"{NOBODY}/actions/tasks"}
OWN = "/" + "/".join(routes.OWN)
# Seconds: a one-time code is good for 30.
CLOCK_WARNING, CLOCK_PROBLEM = 5.0, 30.0
REMEDIES = {
    "wrong user name or password": "check FORGEJO_ADMIN_USER and the password by signing in with a browser",
    "FORGEJO_ADMIN_TOTP_SECRET is not base32": "copy the secret that Forgejo showed: letters, and digits 2 to 7",
    "set FORGEJO_ADMIN_TOTP_SECRET": "set it to the base32 secret that Forgejo showed at enrolment",
    "one-time code was refused": "compare clocks and secret; a code works once, so wait 30 s before the next try",
    "change its password": "sign in as this account with a browser and change it",
    "requires a second factor": "enrol one for this account, and set FORGEJO_ADMIN_TOTP_SECRET",
    "security key": "remove the key from this account, or take another account",
    "password is disabled": "allow it (ENABLE_INTERNAL_SIGNIN in app.ini): the extension has no other way to sign in",
    "not active": "activate the account in Forgejo's administration",
}


class Watching(Transport):
    """Remembers of all answers whether any cookie was Secure, and how far the server's clock is ahead of ours."""

    secure: bool = False
    ahead: float | None = None

    def request(self, *args: Any, **kwargs: Any) -> Answer:
        """One exchange."""
        before = time.time()
        answer = super().request(*args, **kwargs)
        self.secure |= any("; secure" in cookie.lower() for cookie in answer.set_cookies)
        if date := answer.headers.get("date"):
            try:  # a whole second, somewhere between the question and the answer
                self.ahead = parsedate_to_datetime(date).timestamp() + 0.5 - (before + time.time()) / 2
            except ValueError:
                self.ahead = None
        return answer


def findings(setup: Setup, upstream: str) -> Iterator[Finding]:
    """All that can be asked of the Forgejo at `upstream`, as long as it answers."""
    server = Watching(upstream, TIMEOUT, 4)
    credentials = _credentials(setup.environment)
    basic = _basic(credentials)
    try:
        answer = server.request("GET", "/api/v1/version")
        if answer.status in (401, 403) and basic:
            answer = server.request("GET", "/api/v1/version", basic)
        reachable = _version(upstream, answer)
    except ApiError as error:
        yield problem("Forgejo", f"{upstream}: {error.message}{_cause(error)}", "is it running, and FORGEJO_URL right?")
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


def running(listen: tuple[str, int]) -> Finding:
    """What listens where the proxy would."""
    host, port = "127.0.0.1" if listen[0] in ("0.0.0.0", "[::]") else listen[0], listen[1]  # noqa: S104
    try:
        socket.create_connection((host.strip("[]"), port), timeout=2).close()
    except OSError:
        return ok("proxy", f"is not running; port {port} is free")
    try:
        answer = Transport(f"http://{host}:{port}", TIMEOUT, 1).request("GET", f"{OWN}/")
        if version := answer.headers.get("x-actions-extension"):
            return ok("proxy", f"is running, version {version}")
    except ApiError:
        pass  # not even HTTP
    return problem("proxy", f"another program listens on port {port}", "set LISTEN to another port, as LISTEN=8081")


def address(url: str) -> Finding:
    """Whether the extension answers where clients ask."""
    try:
        answer = Transport(url.rstrip("/"), TIMEOUT, 1).request("GET", f"{OWN}/")
    except ApiError as error:
        return problem(
            "address", f"{url}: {error.message}{_cause(error)}", "is the proxy running, and the reverse proxy in front?"
        )
    if "x-actions-extension" not in answer.headers:
        text = f"what answers {answer.status} at {url}{OWN}/ is not the extension"
        return problem("address", text, "let the reverse proxy in front send this path (or everything) to the proxy")
    return ok("address", f"the extension {answer.headers['x-actions-extension']} answers at {url}")


def _credentials(environment: Mapping[str, str]) -> Credentials | None:
    try:
        return from_environment(environment)
    except SignInFailed:
        return None


def _basic(credentials: Credentials | None) -> dict[str, str]:
    """The account's name and password as the API takes them; nothing without an account."""
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


def _version(upstream: str, answer: Answer) -> list[Finding]:
    where = "FORGEJO_URL must be Forgejo's own address, without a path"
    if answer.status != 200:
        text = f"{upstream} answers {answer.status} to GET /api/v1/version"
        return [problem("Forgejo", text, where)]
    try:
        version = str(answer.json()["version"])
    except (ApiError, KeyError, TypeError):
        return [problem("Forgejo", f"what answers at {upstream} is no Forgejo", where)]
    major = int(version.partition(".")[0]) if version.partition(".")[0].isdigit() else 0
    reached = ok("Forgejo", f"{upstream} answers, version {version}")
    if major < OLDEST:
        return [reached, problem("version", f"{version} is not supported", f"upgrade to Forgejo {OLDEST} or later")]
    can = next(text for since, text in ERAS if major >= since)
    if major > NEWEST_TRIED:
        text = f"v{major} is newer than v{NEWEST_TRIED}, the last that this was tried with"
        return [reached, warning("version", text, "run ./run.sh test --live against a test server of that version")]
    return [reached, ok("version", f"v{major}: {can}")]


def _clock(server: Watching) -> Iterator[Finding]:
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
    """A route that there is answers of a repository that there is not in JSON; one that is missing does not."""
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
    answer = server.request("GET", "/api/v1/user", basic)
    if answer.status != 200 or answer.media_type != "application/json":
        yield skipped("account", "whether it is an administrator can't be told: the API takes no passwords here")
        return
    told = answer.json()
    language = f"; its language ({told.get('language') or 'unset'}) does not matter"
    if told.get("is_admin"):
        yield ok("account", f"a site administrator: every repository is served{language}")
    elif told.get("restricted"):
        text = "restricted: even public repositories are only served where it was added"
        yield warning("account", text, "take off the restriction, or add it to each repository")
    else:
        yield ok("account", f"no administrator: serves what it may read, reruns where it may write; else 404{language}")


def _root_url(server: Watching, setup: Setup, upstream: str) -> Iterator[Finding]:
    """Every error of the API names ROOT_URL."""
    answer = server.request("GET", "/api/v1/user")
    told = answer.json().get("url") if answer.media_type == "application/json" else None
    root = str(told or "").removesuffix("/api/swagger") if told else ""
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


def _cause(error: ApiError) -> str:
    """What was behind it, in a few known words."""
    words = {
        "CERTIFICATE_VERIFY": "its certificate is not trusted",
        "refused": "nothing listens there",
        "resolve": "no such host",
        "not known": "no such host",
        "WRONG_VERSION": "it speaks http, not https",
    }
    cause = str(error.__cause__)
    found = next((text for word, text in words.items() if word in cause), None)
    return f" ({found})" if found else ""
