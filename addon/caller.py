"""The caller: the credentials of a request, unchanged."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# All headers and parameters in which Forgejo's API takes credentials, and the client's address. Cookies are left out:
# the API ignores them. X-WEBAUTH-* are left out too: anybody could send them.
ADDRESS = ("X-Forwarded-For", "X-Real-IP")
HEADERS = ("Authorization", "X-Forgejo-OTP", "X-Gitea-OTP", "Sudo", *ADDRESS)
PARAMETERS = ("token", "access_token", "sudo")


@dataclass(frozen=True, slots=True)
class Caller:
    """The credentials of a request, unchanged. Only Forgejo interprets them."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for equal credentials. It contains them: never show it."""
        return (*sorted(self.headers.items()), None, *sorted(self.parameters.items()))

    @property
    def is_anonymous(self) -> bool:
        """Whether the request has no credentials at all."""
        return self.anonymous() == self

    def anonymous(self) -> Caller:
        """The same client without credentials."""
        return Caller({name: value for name, value in self.headers.items() if name in ADDRESS})

    def redact(self, message: str) -> str:
        """The message with every token and password of this caller replaced by `[redacted]`."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            message = message.replace(secret, "[redacted]")
        return message

    def _secrets(self) -> Iterator[str]:
        yield from filter(None, self.parameters.values())
        for value in self.headers.values():
            secret = value.partition(" ")[2].strip()
            with contextlib.suppress(ValueError):
                yield from filter(None, base64.b64decode(secret, validate=True).decode().split(":", 1))
            yield secret or value
