"""Signing in to Forgejo's web UI with a password and an optional one-time code."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.cookies import CookieError, SimpleCookie

from addon.errors import SignInFailed, UpstreamUnexpected
from addon.forgejo.admin.credentials import PERIOD, Credentials, totp
from addon.forgejo.transport import Response, Transport

log = logging.getLogger(__name__)

LOGIN = "/user/login"
SECOND_FACTOR = "/user/two_factor"
# The pages to which Forgejo redirects an account that has to act before it may do anything else.
MUST_ACT = {
    "/user/settings/change_password": "the account must change its password first",
    "/user/settings/security": "this Forgejo requires a second factor, and the account has none",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the time, and waits."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


REAL_TIME = Clock()


@dataclass(frozen=True, slots=True)
class Session:
    """The cookies of a web session, with the CSRF token where the version has one (before v14).

    Cookies are kept by hand: a `Secure` one must work on a plain-http upstream, and none may go anywhere else.
    """

    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    def headers(self) -> dict[str, str]:
        """The headers of a request in this session. The language is English, although no text is relied on."""
        cookies = {**self.cookies, "lang": "en-US"}
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        if token := self.cookies.get("_csrf"):
            headers["X-Csrf-Token"] = token
        return headers

    def after(self, response: Response) -> Session:
        """The session with the response's cookies. The last cookie of a name wins; an expired one is removed."""
        if not response.set_cookies:
            return self
        cookies = dict(self.cookies)
        for line in response.set_cookies:
            try:
                morsels = SimpleCookie(line)
            except CookieError:
                continue
            for name, morsel in morsels.items():
                if not morsel.value or morsel["max-age"] in ("0", "-1"):
                    cookies.pop(name, None)
                else:
                    cookies[name] = morsel.coded_value
        return replace(self, cookies=cookies)


def sign_in(transport: Transport, credentials: Credentials, clock: Clock = REAL_TIME) -> Session:
    """Signs in. Raises SignInFailed with the reason, or UpstreamUnexpected.

    If the one-time code was used before, as by a restart, this waits for the next one: up to 30 seconds.
    """
    form = {"user_name": credentials.user, "password": credentials.password}
    response = transport.request("POST", LOGIN, Session().headers(), form=form)
    session = Session().after(response)
    if response.status == 303 and response.location.endswith(SECOND_FACTOR):
        response, session = _second_factor(transport, session, credentials, clock)
    _check(response)
    # A signed-in session is redirected away from the form. An accepted password alone proves nothing.
    follow_up = transport.request("GET", LOGIN, session.headers())
    if follow_up.status != 303:
        raise SignInFailed("the sign-in was accepted, but the session does not hold")
    _check(follow_up)
    return session.after(follow_up)


def must_act(location: str) -> str | None:
    """What the account has to do first, if a redirect leads there."""
    return next((meaning for path, meaning in MUST_ACT.items() if location.endswith(path)), None)


def _second_factor(
    transport: Transport, session: Session, credentials: Credentials, clock: Clock
) -> tuple[Response, Session]:
    if credentials.totp_secret is None:
        raise SignInFailed("the account has a second factor; set FORGEJO_ADMIN_TOTP_SECRET")
    session = session.after(transport.request("GET", SECOND_FACTOR, session.headers()))
    response, session = _send_code(transport, session, totp(credentials.totp_secret, clock.now()))
    if _is_code_form(response):
        rest = PERIOD - clock.now() % PERIOD
        log.warning("the one-time code was refused, as if it was used before; waiting %.0f s for the next", rest)
        clock.sleep(rest)
        response, session = _send_code(transport, session, totp(credentials.totp_secret, clock.now()))
    if _is_code_form(response):
        raise SignInFailed("the one-time code was refused twice; check FORGEJO_ADMIN_TOTP_SECRET and the clock")
    return response, session


def _send_code(transport: Transport, session: Session, code: str) -> tuple[Response, Session]:
    response = transport.request("POST", SECOND_FACTOR, session.headers(), form={"passcode": code})
    return response, session.after(response)


def _is_code_form(response: Response) -> bool:
    """Whether Forgejo asks for a code again. Its page is the same for a wrong code and for one that was used before."""
    return response.status == 200 and f'{SECOND_FACTOR}"'.encode() in response.body


def _check(response: Response) -> None:
    """Raises the reason why a response does not mean success."""
    if response.status == 303:
        location = response.location
        if location.endswith("/user/webauthn"):
            raise SignInFailed("the account has a security key, which a program can't press")
        if meaning := must_act(location):
            raise SignInFailed(meaning)
        return
    if response.status == 403:
        raise SignInFailed("signing in with a password is disabled (ENABLE_INTERNAL_SIGNIN)")
    if response.status != 200:
        raise UpstreamUnexpected(f"Forgejo answered {response.status} to the administrator's sign-in")
    if b"flash-error" in response.body or (b'action="' in response.body and LOGIN.encode() in response.body):
        raise SignInFailed("wrong user name or password, or a captcha is required")
    raise SignInFailed("the account is not active, or may not sign in")
