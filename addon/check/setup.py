"""What the operator has configured: environment variables, mitm.yaml, and the address to listen on."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from addon import ROOT

URL = re.compile(r"https?://(?:[^/@?#:\s]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?/?")
LISTEN = re.compile(r"(?:(?P<host>[^/\s]+):)?(?P<port>[0-9]{1,5})")
DEFAULT_LISTEN = "127.0.0.1:8080"
LAST_PORT = 65535
# Who installs the package or the image gets no demo with it.
DEMO = ROOT / "tests/double"
ANY_ADDRESS = ("0.0.0.0", "::", "[::]")  # noqa: S104


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
    def is_demo(self) -> bool:
        """Whether nothing is configured, and there is a demo to start instead."""
        named = self.environment.get("FORGEJO_URL") or self.environment.get("FORGEJO_ADMIN_USER")
        return not named and DEMO.is_dir()

    @property
    def listen(self) -> tuple[str, int] | None:
        match = LISTEN.fullmatch(self.environment.get("LISTEN") or DEFAULT_LISTEN)
        return (match["host"] or "127.0.0.1", int(match["port"])) if match and int(match["port"]) <= LAST_PORT else None

    @property
    def listens_on_loopback(self) -> bool:
        return self.listen is not None and is_loopback(self.listen[0])

    @property
    def points_at_itself(self) -> bool:
        """Whether FORGEJO_URL is the address where the proxy listens."""
        if self.upstream is None or self.listen is None:
            return False
        (host, port), (own_host, own_port) = host_and_port(self.upstream), self.listen
        if port != own_port:
            return False
        found = _addresses(host)
        return any(map(_is_local, found)) if own_host in ANY_ADDRESS else bool(found & _addresses(own_host.strip("[]")))


def _addresses(host: str) -> frozenset[str]:
    """The addresses of a host; none if there is no such host."""
    try:
        return frozenset(str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError:
        return frozenset()


def _is_local(address: str) -> bool:
    """Whether an address is this machine's own: only then can a socket be bound to it."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as bound:
            bound.bind((address, 0))
    except OSError:
        return False
    return True


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
