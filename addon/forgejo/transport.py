"""HTTP to Forgejo. Only this module uses `requests`, and only for its connections.

It follows no redirect, keeps no cookie, and reads no proxy setting from the environment. Every body has a size limit,
every exchange a time limit, and the number of exchanges at once is limited.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as ExchangeTimeout

from addon import trace
from addon.errors import UpstreamTimeout, UpstreamUnexpected
from addon.forgejo.parsers.json_stream import without_text
from addon.limits import Limiter, Slot

# A parameter that is given more than once has a sequence of values.
QueryValues = Mapping[str, str | Sequence[str]]
Headers = Mapping[str, str]
# A body and the headers that describe it.
_Content = tuple[bytes | None, Headers]
BODY_LIMIT = 8 * 1024 * 1024
CHUNK = 64 * 1024
# How many requests of one caller, or of all anonymous callers, may wait for an exchange.
MOST_EXCHANGES_WAITING = 128
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "forgejo-actions-proxy"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# Seconds after which a connection counts as refused.
MOST_CONNECT = 10.0
# What the chunks of responses pass through, for example to slow their parsing down.
Throttle = Callable[[Iterator[bytes]], Iterator[bytes]]
UNREACHABLE = "Forgejo can't be reached, or closed the connection"


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. Header names are in lower case; `set_cookies` are the Set-Cookie lines in order."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    set_cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The body as text; Forgejo writes UTF-8."""
        return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return _media_type(self.headers)

    @property
    def location(self) -> str:
        """The path of the Location header, or an empty string. Its host is ROOT_URL's, so it is ignored."""
        return urlsplit(self.headers.get("location", "")).path

    def json(self) -> Any:
        """The body as JSON. Raises UpstreamUnexpected."""
        if self.media_type != "application/json":
            raise UpstreamUnexpected(f"Forgejo answered {self.media_type or 'no type'} where JSON was expected")
        try:
            return json.loads(self.body)
        except ValueError:
            raise UpstreamUnexpected("Forgejo answered broken JSON") from None


class StreamedResponse:
    """A response whose body has not been read. Iterate over it once, or close it."""

    def __init__(self, method: str, response: BaseHTTPResponse, slot: Slot, throttle: Throttle) -> None:
        self._method, self._response, self._slot, self._throttle = method, response, slot, throttle
        self.status = response.status
        self.headers = _headers(response)

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return _media_type(self.headers)

    def __iter__(self) -> Iterator[bytes]:
        """The body's bytes as they arrive. Raises UpstreamUnexpected when the body ends early."""
        return self._throttle(self._chunks())

    def _chunks(self) -> Iterator[bytes]:
        try:
            while chunk := self._response.read1(CHUNK, decode_content=False):
                yield chunk
            length = self.headers.get("content-length")
            if length is not None and self._response.tell() != int(length):
                raise UpstreamUnexpected("Forgejo's answer ended early")
        except (HTTPError, OSError) as error:
            raise UpstreamUnexpected("Forgejo's answer broke off") from error
        finally:
            self.close()

    def read(self) -> Response:
        """Reads the whole body, for a response that turned out to be a message."""
        try:
            return _read(self._method, self._response, _chunks(self._response, time.monotonic() + 10))
        finally:
            self.close()

    def close(self) -> None:
        """Ends the exchange, also in the middle of its body."""
        try:
            self._response.close()
        finally:
            self._slot.release()


class _Connections(HTTPAdapter):
    """An adapter whose connections are used directly. Its `send` would add a third to a request's processor time."""

    def to(self, upstream: str) -> HTTPConnectionPool:
        """Connections to the upstream. A certificate is verified as `requests` does it."""
        request = requests.PreparedRequest()
        request.method, request.url, request.headers = "GET", upstream, CaseInsensitiveDict()
        pool = self.get_connection_with_tls_context(request, verify=True)
        self.cert_verify(pool, upstream, verify=True, cert=None)  # type: ignore[no-untyped-call]
        return cast(HTTPConnectionPool, pool)


class Transport:
    """Requests to one Forgejo, over persistent connections that threads share."""

    def __init__(
        self,
        upstream: str,
        timeout: float,
        exchanges: int,
        streams: int = 1,
        who: str = "caller",
        observe: Callable[[str, int | None, float], None] = lambda who, status, seconds: None,
        throttle: Throttle = iter,
    ) -> None:
        """`upstream` is scheme, host and port. `timeout` is in seconds, for one whole exchange.

        At most `exchanges` requests and `streams` streamed responses are under way at once; others wait for a slot
        or get Busy. `who` (`caller` or `session`) and the result of each exchange go to `observe`. What is read of
        each response passes through `throttle`.
        """
        self._timeout, self._who, self._observe, self._throttle = timeout, who, observe, throttle
        self._connections = _Connections(pool_connections=1, pool_maxsize=exchanges + streams).to(upstream)
        self._time = Timeout(connect=min(timeout, MOST_CONNECT), read=timeout)
        self._exchanges = Limiter("requests", exchanges, most_waiting=MOST_EXCHANGES_WAITING)
        self._streams = Limiter("readers of logs", streams)

    def request(
        self,
        method: str,
        path: str,
        headers: Headers | None = None,
        query: QueryValues | None = None,
        json_body: object | None = None,
        form: Mapping[str, str] | None = None,
        omit: str | None = None,
    ) -> Response:
        """Sends a request and reads the whole response. Raises UpstreamTimeout, UpstreamUnexpected or Busy.

        `omit` names a text field of a JSON response that is not wanted, and may be of any size.
        """
        with self._exchanges.acquire():
            deadline = time.monotonic() + self._timeout
            response = self._open(method, path, headers, query, _content(json_body, form))
            return _read(method, response, self._throttle(_chunks(response, deadline)), omit)

    def stream(
        self,
        method: str,
        path: str,
        headers: Headers | None = None,
        json_body: object | None = None,
        query: QueryValues | None = None,
    ) -> StreamedResponse:
        """Sends a request whose response the caller reads; `timeout` then limits each pause between two reads."""
        slot = self._streams.acquire()
        try:
            response = self._open(method, path, headers, query, _content(json_body))
            return StreamedResponse(method, response, slot, self._throttle)
        except BaseException:
            slot.release()
            raise

    def _open(
        self, method: str, path: str, headers: Headers | None, query: QueryValues | None, content: _Content
    ) -> BaseHTTPResponse:
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        body, described = content
        sent = {**HEADERS, **described, **(headers or {})}
        try:
            with trace.exchange(self._who, method, path, query, self._observe) as exchange:
                response = self._connections.urlopen(
                    method, target, body, sent, retries=False, redirect=False, timeout=self._time, preload_content=False
                )
                exchange.status = response.status
                return response
        except NewConnectionError as error:  # urllib3 counts a refused connection as a timeout too
            raise UpstreamUnexpected(UNREACHABLE) from error
        except ExchangeTimeout as error:
            raise UpstreamTimeout(f"Forgejo did not answer within {self._timeout:g} s") from error
        except (HTTPError, OSError, ValueError) as error:  # ValueError: an impossible header
            raise UpstreamUnexpected(UNREACHABLE) from error


def _content(json_body: object | None, form: Mapping[str, str] | None = None) -> _Content:
    if json_body is None and form is None:
        return None, {}
    body = (urlencode(form) if json_body is None and form is not None else json.dumps(json_body)).encode()
    return body, {**(FORM if json_body is None else JSON), "Content-Length": str(len(body))}


def _headers(response: BaseHTTPResponse) -> dict[str, str]:
    """The headers with names in lower case; lines of the same name are one value."""
    return {name.lower(): value for name, value in response.headers.itermerged()}


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _read(method: str, response: BaseHTTPResponse, chunks: Iterator[bytes], omit: str | None = None) -> Response:
    body = bytearray()
    try:
        for chunk in without_text(chunks, omit) if omit else chunks:
            body += chunk
            if len(body) > BODY_LIMIT:
                raise UpstreamUnexpected(f"Forgejo's answer is larger than {BODY_LIMIT >> 20} MiB")
        length = response.headers.get("content-length")
        if length is not None and method != "HEAD" and response.tell() != int(length):
            raise UpstreamUnexpected("Forgejo's answer ended early")
    except (TimeoutError, ExchangeTimeout) as error:
        raise UpstreamTimeout("Forgejo did not finish its answer in time") from error
    except (HTTPError, OSError) as error:
        raise UpstreamUnexpected("Forgejo's answer broke off") from error
    finally:
        response.close()  # after a complete body the connection is back in the pool already
    cookies = tuple(response.headers.getlist("set-cookie"))
    return Response(response.status, _headers(response), bytes(body), cookies)


def _chunks(response: BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
    while chunk := response.read1(CHUNK, decode_content=True):
        yield chunk
        if time.monotonic() > deadline:
            raise UpstreamTimeout("Forgejo did not finish its answer in time")
