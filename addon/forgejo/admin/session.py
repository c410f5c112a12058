"""Requests in the administrator's web session: signing in when needed, noticing a lost session, trying again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from addon.errors import ApiError, Busy, SignInFailed, UpstreamTimeout, UpstreamUnexpected
from addon.forgejo.admin.credentials import Credentials
from addon.forgejo.admin.sign_in import LOGIN, Session, must_act, sign_in
from addon.forgejo.transport import Response, StreamedResponse, Transport
from addon.limits import PATIENCE

log = logging.getLogger(__name__)

# Seconds between two sign-ins that Forgejo refused. The pause doubles from the first to the last.
FIRST_BACKOFF, LAST_BACKOFF = 2.0, 60.0
# The longest pause while Forgejo itself fails, which needs no operator.
LAST_BACKOFF_OF_UPSTREAM = 10.0
SIGNED_IN_MARKER = b"/user/logout"


class AdminSession:
    """Requests as the administrator. All threads share one session; one of them renews it for all."""

    def __init__(self, transport: Transport, credentials: Callable[[], Credentials]) -> None:
        """`credentials` is called at each sign-in. It raises SignInFailed if there are none."""
        self._transport = transport
        self._credentials = credentials
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._refusal: ApiError | None = None
        self._retry_at = 0.0
        self._backoff = FIRST_BACKOFF

    def check(self) -> None:
        """Makes sure that there is a session, with the cheapest request there is. Raises like `get`."""
        session = self._current()
        response = self._transport.request("GET", LOGIN, session.headers())
        if response.status != 303:
            self._renewed(session)
        elif meaning := must_act(response.location):
            raise self._refused(meaning)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Response:
        """Requests a page. A redirect is returned, not followed. Raises SignInFailed and what the transport does."""
        accept = {"Accept": "text/html"}
        return self._retrying(lambda s: self._transport.request("GET", path, accept | s.headers(), query))

    def post(self, path: str, body: object) -> Response:
        """Sends a POST with a JSON body, and the CSRF token where the version needs one. Raises like `get`."""
        accept = {"Accept": "application/json"}
        return self._retrying(lambda s: self._transport.request("POST", path, accept | s.headers(), json_body=body))

    def stream(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        json_body: object | None = None,
        media_type: str | None = "text/plain",
    ) -> StreamedResponse | Response:
        """Requests a download: streamed if it is one of this type (200 or 206), else the whole response.

        `media_type` None is for files of any type, which Content-Disposition tells from a message. Raises like `get`.
        """
        opened: list[StreamedResponse] = []

        def attempt(session: Session) -> Response:
            stream = self._transport.stream(method, path, {**headers, **session.headers()}, json_body)
            is_file = "content-disposition" in stream.headers
            wanted = is_file if media_type is None else stream.media_type == media_type
            if stream.status in (200, 206) and wanted:
                opened.append(stream)
                return Response(stream.status, stream.headers, b"")
            return stream.read()

        response = self._retrying(attempt)
        return opened[-1] if opened else response

    def _retrying(self, attempt: Callable[[Session], Response]) -> Response:
        """Sends a request; once more with a new session if the old one was lost."""
        session = self._current()
        response = attempt(session)
        if self._is_lost(session, response):
            session = self._renewed(session)
            response = attempt(session)
            if self._is_lost(session, response):
                raise SignInFailed("Forgejo does not accept the administrator's new session")
        self._keep_cookies(session, response)
        return response

    def _is_lost(self, session: Session, response: Response) -> bool:
        """Whether the response means that the session has ended. A 404 is ambiguous, so it is checked."""
        location = response.location if response.status in (302, 303) else ""
        if meaning := must_act(location):
            raise self._refused(meaning)
        if location:
            # v7 answers a wrong CSRF token with a redirect to the front page.
            return location.endswith((LOGIN, "/"))
        if response.status == 400 and b"CSRF" in response.body:
            return True
        if response.status == 404:
            return self._transport.request("GET", LOGIN, session.headers()).status != 303
        if response.status == 200 and response.media_type == "text/html":
            return SIGNED_IN_MARKER not in response.body
        return False

    def _current(self) -> Session:
        session = self._session
        return session if session is not None else self._renewed(None)

    def _renewed(self, stale: Session | None) -> Session:
        """A session that is not `stale`. One thread signs in; the others wait for it."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise Busy("the proxy is still signing in to Forgejo", 5)
        try:
            current = self._session
            if current is not None and (stale is None or current.cookies != stale.cookies):
                return current
            if self._refusal is not None and time.monotonic() < self._retry_at:
                # A copy: an exception that is raised again and again would grow by a traceback each time.
                raise type(self._refusal)(self._refusal.message, self._refusal.headers)
            self._session = None
            self._session = self._signed_in()
            self._refusal, self._backoff = None, FIRST_BACKOFF
            return self._session
        finally:
            self._lock.release()

    def _signed_in(self) -> Session:
        """A new session. A failure is remembered, so that the waiting threads don't all try in turn."""
        try:
            credentials = self._credentials()
            session = sign_in(self._transport, credentials)
        except SignInFailed as refusal:
            raise self._refused(refusal.message) from None
        except (UpstreamUnexpected, UpstreamTimeout) as failure:
            self._refusal, self._retry_at = failure, time.monotonic() + min(self._backoff, LAST_BACKOFF_OF_UPSTREAM)
            self._backoff = min(self._backoff * 2, LAST_BACKOFF_OF_UPSTREAM)
            raise type(failure)(failure.message) from failure
        log.info("signed in to Forgejo as %s", credentials.user)
        return session

    def _keep_cookies(self, session: Session, response: Response) -> None:
        """Keeps a new CSRF token, unless another thread has renewed the session meanwhile."""
        newer = session.after(response)
        if newer.cookies != session.cookies:
            with self._lock:
                if self._session is session:
                    self._session = newer

    def _refused(self, why: str) -> SignInFailed:
        """Remembers a refusal for a while, so that a wrong password isn't tried with every request."""
        refusal = SignInFailed(f"the proxy's administrator session can't sign in to Forgejo: {why}")
        if self._refusal is None or time.monotonic() >= self._retry_at:
            log.error("%s", refusal.message)
            self._retry_at = time.monotonic() + self._backoff
            self._backoff = min(self._backoff * 2, LAST_BACKOFF)
        self._refusal, self._session = refusal, None
        return refusal
