"""The headers that tell Forgejo the client's address or user. Only a trusted proxy may set them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from mitmproxy import http

from addon import settings

Network = IPv4Network | IPv6Network
# The headers in which Forgejo reads the client's address, and those of the user that a proxy has signed in. As some
# servers do, an underscore counts as a hyphen.
NAMES = frozenset({b"forwarded", b"x-real-ip"})
PREFIXES = (b"x-forwarded-",)
USER_PREFIX = b"x-webauth-"


@dataclass(frozen=True, slots=True)
class Trust:
    """The networks of trusted proxies, and whether these may also tell the user."""

    networks: tuple[Network, ...] = ()
    users: bool = False

    @classmethod
    def of(cls, text: str) -> Trust:
        """From the option's text: addresses and networks, comma-separated. Raises ValueError.

        By default, every program on this machine is trusted. That is too much for telling the user: only proxies that
        the operator has named may do so.
        """
        networks = tuple(ip_network(part.strip(), strict=False) for part in text.split(","))
        return cls(networks, text != settings.OPTIONS["actions_trusted_proxies"][0])


def rewrite(flow: http.HTTPFlow, trust: Trust) -> None:
    """Keeps a trusted proxy's headers. For any other client, replaces them with its own address."""
    peer, headers = flow.client_conn.peername, flow.request.headers
    is_trusted = peer is None or _is_trusted(peer[0], trust.networks)
    if not (is_trusted and trust.users):
        headers.fields = tuple(field for field in headers.fields if not _normal(field[0]).startswith(USER_PREFIX))
    if peer is None or is_trusted:
        return
    headers.fields = tuple(field for field in headers.fields if not _tells_the_client(_normal(field[0])))
    headers["X-Forwarded-For"] = headers["X-Real-IP"] = str(_address(peer[0]))
    headers["X-Forwarded-Proto"] = "https" if flow.client_conn.tls_established else "http"


@functools.lru_cache(4096)  # asked for every request, and most clients send many
def _is_trusted(peer: str, trusted: tuple[Network, ...]) -> bool:
    return any(_address(peer) in network for network in trusted)


def _address(peer: str) -> IPv4Address | IPv6Address:
    """On a dual-stack socket, a client's IPv4 address is inside an IPv6 address."""
    address = ip_address(peer.partition("%")[0])
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _normal(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")


def _tells_the_client(name: bytes) -> bool:
    return name in NAMES or name.startswith(PREFIXES)
