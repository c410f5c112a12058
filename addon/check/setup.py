"""What the operator has configured: environment variables, mitm.yaml, and the address to listen on."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

URL = re.compile(r"https?://(?:[^/@?#:\s]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?/?")
LISTEN = re.compile(r"(?:(?P<host>[^/\s]+):)?(?P<port>[0-9]{1,5})")
DEFAULT_LISTEN = "127.0.0.1:8080"
LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Setup:
    """The configuration. `address` is the URL that clients use, if it was given.

    `upstream` is None if FORGEJO_URL is missing or invalid; `listen` is host and port, None if LISTEN is invalid.
    """

    environment: Mapping[str, str]
    options: Mapping[str, Any]
    address: str | None = None

    @property
    def upstream(self) -> str | None:
        url = self.environment.get("FORGEJO_URL", "")
        return url.rstrip("/") if URL.fullmatch(url) and host_and_port(url)[1] <= LAST_PORT else None

    @property
    def listen(self) -> tuple[str, int] | None:
        match = LISTEN.fullmatch(self.environment.get("LISTEN") or DEFAULT_LISTEN)
        return (match["host"] or "127.0.0.1", int(match["port"])) if match and int(match["port"]) <= LAST_PORT else None

    @property
    def listens_on_loopback(self) -> bool:
        return self.listen is not None and is_loopback(self.listen[0])


def is_loopback(host: str) -> bool:
    """Whether a host name or address is a loopback one, which other machines can't reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_and_port(url: str) -> tuple[str, int]:
    """Host and port of a URL. The port defaults to the scheme's."""
    parts = urlsplit(url)
    port = parts.netloc.rpartition(":")[2]  # urlsplit's own raises for one that is too large
    return parts.hostname or "", int(port) if port.isdecimal() else (443 if parts.scheme == "https" else 80)
