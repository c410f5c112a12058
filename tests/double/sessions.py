"""Web sessions as the memory provider keeps them, remember cookies, CSRF tokens and second factors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
import time
from dataclasses import dataclass

from tests.double.model import User


@dataclass
class Session:
    """`user` None while nobody is signed in; `pending` waits for the second factor."""

    user: User | None = None
    pending: User | None = None


class Sessions:
    """What a server process remembers of browsers; remember cookies are in the database and survive it."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self.remembered: dict[str, User] = {}
        self._secret = secrets.token_bytes(16)

    def forget(self) -> None:
        """A restart of the server."""
        self._sessions = {}

    def find(self, key: str) -> Session | None:
        return self._sessions.get(key)

    def begin(self, session: Session) -> str:
        """A new session id."""
        key = secrets.token_hex(8)
        self._sessions[key] = session
        return key

    def end(self, key: str) -> None:
        self._sessions.pop(key, None)

    def remember(self, user: User) -> str:
        value = f"{secrets.token_hex(8)}%3A{secrets.token_hex(16)}"
        self.remembered[value] = user
        return value

    def csrf(self, user: User | None) -> str:
        """The token of a user, whatever the session."""
        subject = str(user.id if user else 0).encode()
        return base64.urlsafe_b64encode(hmac.digest(self._secret, subject, hashlib.sha1)).decode().rstrip("=")


def passcodes(secret: str) -> set[str]:
    """The codes that a TOTP secret gives now, one period early or late."""
    key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    counter, found = int(time.time() // 30), set()
    for moment in (counter - 1, counter, counter + 1):
        digest = hmac.digest(key, struct.pack(">Q", moment), "sha1")
        offset = digest[-1] & 15
        number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
        found.add(f"{number % 1_000_000:06d}")
    return found
