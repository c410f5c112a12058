"""The administrator's name, password and one-time codes, read from the environment. They are shown nowhere."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from addon.errors import SignInFailed

# Seconds for which a one-time code is shown.
PERIOD = 30


@dataclass(frozen=True, slots=True)
class Credentials:
    """A web login. `repr` leaves the secrets out."""

    user: str
    password: str = field(repr=False)
    totp_secret: str | None = field(default=None, repr=False)


def from_environment(environment: Mapping[str, str] = os.environ) -> Credentials:
    """Reads FORGEJO_ADMIN_USER, FORGEJO_ADMIN_PASSWORD or FORGEJO_ADMIN_PASSWORD_FILE, FORGEJO_ADMIN_TOTP_SECRET.

    The last one is optional, in base32. The file is read each time, so the password can change while the proxy runs.
    Raises SignInFailed.
    """
    user = environment.get("FORGEJO_ADMIN_USER", "")
    if not user:
        raise SignInFailed("the proxy has no administrator account: set FORGEJO_ADMIN_USER")
    return Credentials(user, _password(environment), environment.get("FORGEJO_ADMIN_TOTP_SECRET") or None)


def _password(environment: Mapping[str, str]) -> str:
    if file := environment.get("FORGEJO_ADMIN_PASSWORD_FILE"):
        try:
            return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise SignInFailed("FORGEJO_ADMIN_PASSWORD_FILE can't be read") from None
    if password := environment.get("FORGEJO_ADMIN_PASSWORD"):
        return password
    raise SignInFailed("set FORGEJO_ADMIN_PASSWORD or FORGEJO_ADMIN_PASSWORD_FILE")


def totp(secret: str, now: float | None = None) -> str:
    """The one-time code of RFC 6238 (six digits, SHA-1, 30 s) for a base32 secret. Raises SignInFailed."""
    compact = secret.replace(" ", "").upper()
    try:
        key = base64.b32decode(compact + "=" * (-len(compact) % 8))
    except (binascii.Error, ValueError):
        raise SignInFailed("FORGEJO_ADMIN_TOTP_SECRET is not base32") from None
    step = int(time.time() if now is None else now) // PERIOD
    digest = hmac.digest(key, struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"
