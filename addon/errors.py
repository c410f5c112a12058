"""The errors that become HTTP responses, with their statuses.

ApiError                      carries a status, a public message and extra headers
├── BadRequest           400  a malformed path or parameter
├── Unauthorized         401  Forgejo refuses the caller's credentials
├── Forbidden            403  Forgejo knows the caller and says no
├── NotFound             404  repository, run, job, attempt or log
│   └── RunNotFound      404  no run of this number, or none that matches the filters
├── MethodNotAllowed     405  with the Allow header
├── Conflict             409  a change that is not possible in the present state
├── Gone                 410  a log that Forgejo has deleted
├── ContentTooLarge      413  the body is larger than any that has parameters
├── UnsupportedMediaType 415  the body is neither JSON nor a form
├── InternalError        500  a bug in the extension; the details are in its log
├── ClientDisconnected   499  the client closed its connection; nobody reads this
├── UpstreamUnexpected   502  an answer of Forgejo that no known version gives, or none
│   └── SignInFailed     502  the administrator's account can't sign in
├── Busy                 503  with the Retry-After header
└── UpstreamTimeout      504  Forgejo is too slow

Messages are public: they never contain a cookie, a password, a token or a page's text.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping

log = logging.getLogger(__name__)


class ApiError(Exception):
    """An error response. `message` is shown to the caller; `headers` are added to the response."""

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
    """It does not exist, or the caller may not see it."""

    status = 404


class LogTooLarge(NotFound):
    """A log is too large to tell its steps apart."""


class RunNotFound(NotFound):
    """There is no run of this number. With `number` None, no run matches the filters."""

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.number = number


class MethodNotAllowed(ApiError):
    """The path exists, but not with this method."""

    status = 405

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {allow}", {"Allow": allow})


class Conflict(ApiError):
    """The run's state does not allow the change."""

    status = 409


class Gone(ApiError):
    """Forgejo has deleted it."""

    status = 410


class ContentTooLarge(ApiError):
    """The body is larger than any that has parameters."""

    status = 413


class UnsupportedMediaType(ApiError):
    """The body is neither JSON nor a form."""

    status = 415


class InternalError(ApiError):
    """A bug in the extension itself."""

    def __init__(self) -> None:
        super().__init__("internal error of the Actions extension")


class ClientDisconnected(ApiError):
    """The client closed its connection while it waited."""

    status = 499


class UpstreamUnexpected(ApiError):
    """Forgejo gave an answer that no known version gives, or none."""

    status = 502


class SignInFailed(UpstreamUnexpected):
    """The administrator's account can't sign in. The operator has to act."""


class Busy(ApiError):
    """Too many requests at once; the client may try again after `retry_after` seconds."""

    status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message, {"Retry-After": str(retry_after)})


class UpstreamTimeout(ApiError):
    """Forgejo did not answer in time."""

    status = 504


def log_unexpected(error: Exception) -> None:
    """Logs type and place of a bug. The exception's text is left out: it may quote a page, an address or a header."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    log.error("unexpected %s at %s", type(error).__name__, places)
