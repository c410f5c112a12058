"""The headers that tell Forgejo the client's address. Only a trusted proxy may set them."""

from __future__ import annotations

import functools
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from mitmproxy import http

Network = IPv4Network | IPv6Network
# The headers in which Forgejo reads the client's address, and (X-WebAuth-*) the user that a proxy has signed in.
NAMES = frozenset({b"forwarded", b"x-real-ip"})
PREFIXES = (b"x-forwarded-", b"x-webauth-")


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, comma-separated, as in Forgejo's REVERSE_PROXY_TRUSTED_PROXIES. Raises ValueError."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(","))


def rewrite(flow: http.HTTPFlow, trusted: tuple[Network, ...]) -> None:
    """Keeps a trusted proxy's headers. For any other client, replaces them with its own address."""
    peer = flow.client_conn.peername
    if peer is None or _is_trusted(peer[0], trusted):
        return
    headers = flow.request.headers
    headers.fields = tuple(field for field in headers.fields if not _tells_the_client(field[0].lower()))
    headers["X-Forwarded-For"] = headers["X-Real-IP"] = str(_address(peer[0]))
    headers["X-Forwarded-Proto"] = "https" if flow.client_conn.tls_established else "http"


@functools.lru_cache(4096)  # asked for every request, and most clients send many
def _is_trusted(peer: str, trusted: tuple[Network, ...]) -> bool:
    return any(_address(peer) in network for network in trusted)


def _address(peer: str) -> IPv4Address | IPv6Address:
    """On a dual-stack socket, a client's IPv4 address is inside an IPv6 address."""
    address = ip_address(peer.partition("%")[0])
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _tells_the_client(name: bytes) -> bool:
    return name in NAMES or name.startswith(PREFIXES)
