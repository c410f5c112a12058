"""Whose request it is: from the session cookie on pages, from credentials in the API, never the other way round."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from tests.double.model import Token, User
from tests.double.people import People
from tests.double.permissions import ANONYMOUS, Principal
from tests.double.sessions import passcodes

BAD = Principal("bad")


def credentials(world: People, headers: Mapping[str, str], query: Mapping[str, str]) -> Principal:
    """The principal of an API request's credentials. `headers` have lower-case names."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    for token in (query.get("token"), query.get("access_token")):
        if token:
            return _of_token(world.tokens.get(token))
    if scheme.lower() in ("token", "bearer"):
        return _of_token(world.tokens.get(value.strip()))
    if scheme.lower() == "basic":
        return _of_basic(world, value, headers)
    return ANONYMOUS


def _of_token(token: Token | None) -> Principal:
    return Principal(f"token:{token.user.name}", token.user, token) if token else BAD


def _of_basic(world: People, value: str, headers: Mapping[str, str]) -> Principal:
    try:
        name, _, secret = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return BAD
    for candidate in (secret, name):
        if candidate in world.tokens:
            return _of_token(world.tokens[candidate])
    user = world.users.get(name.lower())
    if user is None or user.password != secret or user.webauthn or not _second_factor(user, headers):
        return BAD
    return Principal(f"basic:{user.name}", user)


def _second_factor(user: User, headers: Mapping[str, str]) -> bool:
    code = headers.get("x-forgejo-otp") or headers.get("x-gitea-otp")
    return user.totp is None or code in passcodes(user.totp)
