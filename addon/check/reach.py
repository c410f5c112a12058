"""Checks of what answers at an address: the proxy's own, and the one that clients use."""

from __future__ import annotations

import socket

from addon.api import routes
from addon.check.finding import Finding, ok, problem
from addon.errors import ApiError
from addon.forgejo.transport import Transport

TIMEOUT = 10.0
ABOUT = "/" + "/".join(routes.ABOUT)


def running(listen: tuple[str, int]) -> Finding:
    """What listens at the address of the proxy."""
    host, port = "127.0.0.1" if listen[0] in ("0.0.0.0", "[::]") else listen[0], listen[1]  # noqa: S104
    try:
        socket.create_connection((host.strip("[]"), port), timeout=2).close()
    except OSError:
        return ok("proxy", f"is not running; port {port} is free")
    try:
        response = Transport(f"http://{host}:{port}", TIMEOUT, 1).request("GET", f"{ABOUT}/")
        if version := response.headers.get("x-actions-extension"):
            return ok("proxy", f"is running, version {version}")
    except ApiError:
        pass  # not even HTTP
    return problem("proxy", f"another program listens on port {port}", "set LISTEN to another port, as LISTEN=8081")


def address(url: str) -> Finding:
    """Whether the extension answers at the address that clients use."""
    try:
        response = Transport(url.rstrip("/"), TIMEOUT, 1).request("GET", f"{ABOUT}/")
    except ApiError as error:
        return problem(
            "address", f"{url}: {error.message}{cause(error)}", "is the proxy running, and the reverse proxy in front?"
        )
    if "x-actions-extension" not in response.headers:
        text = f"what answers {response.status} at {url}{ABOUT}/ is not the extension"
        return problem("address", text, "let the reverse proxy in front send this path (or everything) to the proxy")
    return ok("address", f"the extension {response.headers['x-actions-extension']} answers at {url}")


def cause(error: ApiError) -> str:
    """The cause of a connection error, in parentheses; empty if it is unknown."""
    words = {
        "CERTIFICATE_VERIFY": "its certificate is not trusted",
        "refused": "nothing listens there",
        "resolve": "no such host",
        "not known": "no such host",
        "WRONG_VERSION": "it speaks http, not https",
    }
    cause = str(error.__cause__)
    found = next((text for word, text in words.items() if word in cause), None)
    return f" ({found})" if found else ""
