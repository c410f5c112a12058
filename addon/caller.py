"""Who asks: the credentials of a request, as they came."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# Everything in which Forgejo's API takes credentials, and what it needs to tell who is behind the proxy. Cookies
# are left out: the API ignores them. So is X-WEBAUTH-*: a client must not be believed.
HEADERS = ("Authorization", "X-Forgejo-OTP", "X-Gitea-OTP", "Sudo", "X-Forwarded-For", "X-Real-IP")
PARAMETERS = ("token", "access_token", "sudo")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the credentials as they came, of which Forgejo alone makes something."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> tuple[object, ...]:
        """The same for the same credentials. Not to be shown."""
        return (*sorted(self.headers.items()), None, *sorted(self.parameters.items()))

    def redact(self, message: str) -> str:
        """A message without the token or password that it may quote: it is shown and kept where they must not be."""
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
