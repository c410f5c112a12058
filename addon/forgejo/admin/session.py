"""The administrator's web session: sign-in, cookies, CSRF, expiry, retry. The only holder of the secret.

Cookies are kept by hand: a `Secure` one must work on a plain-http upstream, and none may go anywhere else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.cookies import CookieError, SimpleCookie

from addon.errors import ApiError, Busy, SignInFailed, UpstreamTimeout, UpstreamUnexpected
from addon.forgejo.admin.credentials import Credentials, totp
from addon.forgejo.transport import Answer, Stream, Transport
from addon.limits import PATIENCE

log = logging.getLogger(__name__)

LOGIN = "/user/login"
SECOND_FACTOR = "/user/two_factor"
FIRST_BACKOFF, LAST_BACKOFF = 2.0, 60.0
# While Forgejo itself fails, which ends without the operator.
LAST_BACKOFF_OF_UPSTREAM = 10.0
SIGNED_IN_MARKER = b"/user/logout"
# Where Forgejo sends an account that must act before it may do anything else.
MUST_ACT = {
    "/user/settings/change_password": "the account must change its password first",
    "/user/settings/security": "this Forgejo requires a second factor, and the account has none",
}


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in session; `cookies` holds the CSRF token too, where the version has one."""

    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    def headers(self) -> dict[str, str]:
        """What makes a request this session's. English is pinned, though no text is relied on."""
        cookies = {**self.cookies, "lang": "en-US"}
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        if token := self.cookies.get("_csrf"):
            headers["X-Csrf-Token"] = token
        return headers

    def after(self, answer: Answer) -> Session:
        """The session with the answer's cookies: the last one of a name wins, an expired one goes."""
        if not answer.set_cookies:
            return self
        cookies = dict(self.cookies)
        for line in answer.set_cookies:
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


class AdminSession:
    """Requests as the administrator. Threads share one session; it is renewed once, by one of them."""

    def __init__(self, transport: Transport, credentials: Callable[[], Credentials]) -> None:
        """`credentials` is called at each sign-in; it raises SignInFailed when there are none."""
        self._transport = transport
        self._credentials = credentials
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._refusal: ApiError | None = None
        self._retry_at = 0.0
        self._backoff = FIRST_BACKOFF

    def check(self) -> None:
        """Makes sure that there is a session, by the cheapest question there is. Raises what `get` does."""
        session = self._current()
        answer = self._transport.request("GET", LOGIN, session.headers())
        if answer.status != 303:
            self._renewed(session)
        elif meaning := _must_act(answer.location):
            raise self._refused(meaning)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """A page. A redirect is returned, not followed."""
        accept = {"Accept": "text/html"}
        return self._retrying(lambda s: self._transport.request("GET", path, accept | s.headers(), query))

    def post(self, path: str, body: object) -> Answer:
        """A POST with a JSON body, and the CSRF token where the version wants one."""
        accept = {"Accept": "application/json"}
        return self._retrying(lambda s: self._transport.request("POST", path, accept | s.headers(), json_body=body))

    def stream(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        json_body: object | None = None,
        media_type: str | None = "text/plain",
    ) -> Stream | Answer:
        """A download: a Stream when it is one of this type (200 or 206), the whole Answer when it is a message.

        `media_type` None is any, of a file: what the upload decides; then Content-Disposition tells it from a message.
        """
        opened: list[Stream] = []

        def attempt(session: Session) -> Answer:
            stream = self._transport.stream(method, path, {**headers, **session.headers()}, json_body)
            is_file = "content-disposition" in stream.headers
            wanted = is_file if media_type is None else stream.media_type == media_type
            if stream.status in (200, 206) and wanted:
                opened.append(stream)
                return Answer(stream.status, stream.headers, b"")
            return stream.whole()

        answer = self._retrying(attempt)
        return opened[-1] if opened else answer

    def _retrying(self, attempt: Callable[[Session], Answer]) -> Answer:
        """Once, and once more with a new session when the old one turns out to have been lost."""
        session = self._current()
        answer = attempt(session)
        if self._lost(session, answer):
            session = self._renewed(session)
            answer = attempt(session)
            if self._lost(session, answer):
                raise SignInFailed("Forgejo does not accept the administrator's new session")
        self._keep(session, answer)
        return answer

    def _lost(self, session: Session, answer: Answer) -> bool:
        """Whether the answer means that the session is gone. A 404 is ambiguous: ask."""
        location = answer.location if answer.status in (302, 303) else ""
        if meaning := _must_act(location):
            raise self._refused(meaning)
        if location:
            # v7 answers a wrong CSRF token with a redirect to the front page.
            return location.endswith((LOGIN, "/"))
        if answer.status == 400 and b"CSRF" in answer.body:
            return True
        if answer.status == 404:
            return not self._alive(session)
        if answer.status == 200 and answer.media_type == "text/html":
            return SIGNED_IN_MARKER not in answer.body
        return False

    def _alive(self, session: Session) -> bool:
        """The cheapest test there is: a signed-in session is redirected away from the login form."""
        return self._transport.request("GET", LOGIN, session.headers()).status == 303

    def _current(self) -> Session:
        session = self._session
        return session if session is not None else self._renewed(None)

    def _renewed(self, stale: Session | None) -> Session:
        """A session that is not `stale`; of many threads that ask, one signs in and the rest wait for it."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise Busy("the proxy is still signing in to Forgejo", 5)
        try:
            current = self._session
            if current is not None and (stale is None or current.cookies != stale.cookies):
                return current
            if self._refusal is not None and time.monotonic() < self._retry_at:
                # A copy: one that is raised again and again would grow by a traceback each time.
                raise type(self._refusal)(self._refusal.message, self._refusal.headers)
            self._session = None
            self._session = self._signed_in()
            self._refusal, self._backoff = None, FIRST_BACKOFF
            return self._session
        finally:
            self._lock.release()

    def _signed_in(self) -> Session:
        """A new session. Any failure is remembered, so that those who wait don't all try in turn."""
        try:
            return self._sign_in(self._credentials())
        except SignInFailed as refusal:
            raise self._refused(refusal.message) from None
        except (UpstreamUnexpected, UpstreamTimeout) as failure:
            self._refusal, self._retry_at = failure, time.monotonic() + min(self._backoff, LAST_BACKOFF_OF_UPSTREAM)
            self._backoff = min(self._backoff * 2, LAST_BACKOFF_OF_UPSTREAM)
            raise type(failure)(failure.message) from failure

    def _keep(self, session: Session, answer: Answer) -> None:
        """Takes over a new CSRF token, unless another thread has renewed the session meanwhile."""
        newer = session.after(answer)
        if newer.cookies != session.cookies:
            with self._lock:
                if self._session is session:
                    self._session = newer

    def _refused(self, why: str) -> SignInFailed:
        """Remembers the refusal for a while, so that a wrong password isn't tried at every request."""
        refusal = SignInFailed(f"the proxy's administrator session can't sign in to Forgejo: {why}")
        if self._refusal is None or time.monotonic() >= self._retry_at:
            log.error("%s", refusal.message)
            self._retry_at = time.monotonic() + self._backoff
            self._backoff = min(self._backoff * 2, LAST_BACKOFF)
        self._refusal, self._session = refusal, None
        return refusal

    def _sign_in(self, credentials: Credentials) -> Session:
        form = {"user_name": credentials.user, "password": credentials.password}
        answer = self._transport.request("POST", LOGIN, Session().headers(), form=form)
        session = Session().after(answer)
        if answer.status == 303 and answer.location.endswith(SECOND_FACTOR):
            answer, session = self._second_factor(session, credentials)
        self._check_sign_in(answer)
        follow_up = self._transport.request("GET", LOGIN, session.headers())
        if follow_up.status == 303:
            self._check_sign_in(follow_up)
        else:
            raise SignInFailed("the sign-in was accepted, but the session does not hold")
        log.info("signed in to Forgejo as %s", credentials.user)
        return session.after(follow_up)

    def _second_factor(self, session: Session, credentials: Credentials) -> tuple[Answer, Session]:
        if credentials.totp_secret is None:
            raise SignInFailed("the account has a second factor; set FORGEJO_ADMIN_TOTP_SECRET")
        form = {"passcode": totp(credentials.totp_secret)}
        page = self._transport.request("GET", SECOND_FACTOR, session.headers())
        session = session.after(page)
        answer = self._transport.request("POST", SECOND_FACTOR, session.headers(), form=form)
        return answer, session.after(answer)

    def _check_sign_in(self, answer: Answer) -> None:
        if answer.status == 303:
            location = answer.location
            if location.endswith("/user/webauthn"):
                raise SignInFailed("the account has a security key, which a program can't press")
            if location.endswith(SECOND_FACTOR):
                raise SignInFailed("the one-time code was refused; check FORGEJO_ADMIN_TOTP_SECRET and the clock")
            if meaning := _must_act(location):
                raise SignInFailed(meaning)
            return
        if answer.status == 403:
            raise SignInFailed("signing in with a password is disabled (ENABLE_INTERNAL_SIGNIN)")
        if answer.status != 200:
            raise UpstreamUnexpected(f"Forgejo answered {answer.status} to the administrator's sign-in")
        if b"flash-error" in answer.body or (b'action="' in answer.body and LOGIN.encode() in answer.body):
            raise SignInFailed("wrong user name or password, or a captcha is required")
        raise SignInFailed("the account is not active, or may not sign in")


def _must_act(location: str) -> str | None:
    """What the account must do first, if a redirect leads there."""
    return next((meaning for path, meaning in MUST_ACT.items() if location.endswith(path)), None)
