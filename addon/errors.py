"""What can go wrong, and the status each trouble is answered with.

ApiError                      carries a status, a public message and extra headers
├── BadRequest           400  a parameter or path that means nothing
├── Unauthorized         401  Forgejo refuses the caller's credentials
├── Forbidden            403  Forgejo knows the caller and says no
├── NotFound             404  repository, run, job, attempt or log
│   └── RunNotFound      404  no run of this number, or none that fits
├── MethodNotAllowed     405  with Allow
├── Conflict             409  a rerun that cannot happen now
├── Gone                 410  a log that Forgejo has deleted
├── InternalError        500  a fault of the extension itself; the details are in its log
├── ClientLeft           499  who waited has gone: nobody reads this
├── UpstreamUnexpected   502  Forgejo answered what no known version answers, or is down
│   └── SignInFailed     502  the administrator's session can't be had
├── Busy                 503  with Retry-After
└── UpstreamTimeout      504  Forgejo is too slow

Messages are public: they never hold a cookie, a password, a token or a page's text.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping

log = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer that is not a success; `message` is shown to the caller."""

    status = 500

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})


class BadRequest(ApiError):
    """The path or a parameter is malformed."""

    status = 400


class Unauthorized(ApiError):
    """The caller's credentials are missing or wrong."""

    status = 401


class Forbidden(ApiError):
    """The caller may not do this."""

    status = 403


class NotFound(ApiError):
    """There is no such thing, or none that the caller may see."""

    status = 404


class RunNotFound(NotFound):
    """There is no run of this number (None: none that fits what was asked for)."""

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.number = number


class MethodNotAllowed(ApiError):
    """An extension path, but not with this method."""

    status = 405

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {allow}", {"Allow": allow})


class Conflict(ApiError):
    """The run is not in a state in which this can be done."""

    status = 409


class Gone(ApiError):
    """It existed and Forgejo has deleted it."""

    status = 410


class InternalError(ApiError):
    """A fault of the extension itself."""

    def __init__(self) -> None:
        super().__init__("internal error of the Actions extension")


class ClientLeft(ApiError):
    """The client has closed its connection while it waited."""

    status = 499


class UpstreamUnexpected(ApiError):
    """Forgejo answered something that no known version answers, or did not answer."""

    status = 502


class SignInFailed(UpstreamUnexpected):
    """The administrator's account can't sign in; the operator must act."""


class Busy(ApiError):
    """Too much at once; try again later."""

    status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message, {"Retry-After": str(retry_after)})


class UpstreamTimeout(ApiError):
    """Forgejo did not answer in time."""

    status = 504


def unexpected(error: Exception) -> None:
    """Logs what happened and where. The exception's text stays out: it may quote a page, an address or a header."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    log.error("unexpected %s at %s", type(error).__name__, places)
