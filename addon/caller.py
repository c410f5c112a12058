"""The caller: the credentials of a request, unchanged."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network

# All headers and parameters in which Forgejo's API takes credentials, and the client's address. Cookies are left out:
# the API ignores them. X-WEBAUTH-* are left out too: anybody could send them.
ADDRESS = ("X-Forwarded-For", "X-Real-IP")
HEADERS = ("Authorization", "X-Forgejo-OTP", "X-Gitea-OTP", "Sudo", *ADDRESS)
PARAMETERS = ("token", "access_token", "sudo")
SCHEMES = ("basic", "bearer", "token")
# The shortest password that Forgejo accepts by default. Tokens are longer.
LEAST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Share:
    """A part of what there is of something: a `divisor`th at most for all requests with the same `key` together."""

    key: str
    divisor: int


# How much one credential may have of what is shared, all who are anonymous together, and one address of these.
ONE_CREDENTIAL, ANONYMOUS, ONE_ADDRESS = 2, 4, 8


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
    def shares(self) -> tuple[Share, ...]:
        """The shares of a limiter's slots that the requests of this caller belong to.

        Only a token in the Authorization header makes a caller certainly signed in: Forgejo refuses a wrong one. It may
        be set to ignore the other forms, so with them a caller also counts as anonymous.
        """
        scheme, _, rest = self.headers.get("Authorization", "").partition(" ")
        signed_in = scheme.lower() in ("token", "bearer") and len(rest.split()) == 1
        secrets = {rest.strip() if signed_in else _basic_secret(scheme, rest)}
        secrets |= {self.parameters.get("token"), self.parameters.get("access_token")}
        own = (Share(hashlib.sha256(each.encode()).hexdigest(), ONE_CREDENTIAL) for each in secrets if each)
        others = () if signed_in else (Share("anonymous", ANONYMOUS), Share(self._network(), ONE_ADDRESS))
        return (*own, *others)

    @property
    def is_anonymous(self) -> bool:
        """Whether the request has no credentials at all."""
        return self.anonymous() == self

    def anonymous(self) -> Caller:
        """The same client without credentials."""
        return Caller({name: value for name, value in self.headers.items() if name in ADDRESS})

    def redact(self, message: str) -> str:
        """The message with every token and password of this caller replaced by `[redacted]`.

        Only whole words of a length that a secret has: `token=x` must not change every x of the message.
        """
        for secret in sorted(self._secrets(), key=len, reverse=True):
            if len(secret) >= LEAST_SECRET:
                message = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "[redacted]", message)
        return message

    @property
    def not_understood(self) -> bool:
        """Whether there is an Authorization header in which Forgejo sees no credentials, for example a bare token."""
        header = self.headers.get("Authorization", "").split()
        return bool(header) and not (len(header) == 2 and header[0].lower() in SCHEMES)

    def _secrets(self) -> Iterator[str]:
        yield from filter(None, self.parameters.values())
        for value in self.headers.values():
            secret = value.partition(" ")[2].strip()
            with contextlib.suppress(ValueError):
                yield from filter(None, base64.b64decode(secret, validate=True).decode().split(":", 1))
            yield secret or value

    def _network(self) -> str:
        """The client's address as the last proxy tells it; of IPv6 the network that one client usually has."""
        told = self.headers.get("X-Forwarded-For", "").rpartition(",")[2] or self.headers.get("X-Real-IP", "")
        try:
            address = ip_address(told.strip().partition("%")[0])
        except ValueError:
            return "unknown"
        if isinstance(address, IPv6Address):
            return str(address.ipv4_mapped or ip_network((int(address), 64), strict=False))
        return str(address)


def _basic_secret(scheme: str, value: str) -> str | None:
    """The token or password of basic credentials, which Forgejo takes in either place."""
    try:
        name, _, password = base64.b64decode(value, validate=True).decode("latin-1").partition(":")
    except ValueError:
        return None
    if scheme.lower() != "basic":
        return None
    return name if password in ("", "x-oauth-basic") else password
