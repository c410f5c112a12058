"""Hands the account's secrets to the application, without leaving them in the environment of mitmproxy's process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping

from addon.inherited import nameless_file

NAMES = ("FORGEJO_ADMIN_PASSWORD", "FORGEJO_ADMIN_TOTP_SECRET")
# The environment variable with the number of the open file that holds them.
DESCRIPTOR = "ACTIONS_EXTENSION_SECRETS"
MOST_BYTES = 65536


def put_away(environment: MutableMapping[str, str]) -> None:
    """Moves the secrets from the environment to a file without a name. Whatever this process becomes has it open."""
    found = {name: environment.pop(name) for name in NAMES if name in environment}
    if not found:
        return
    environment[DESCRIPTOR] = str(nameless_file.create("secrets", json.dumps(found).encode()))


def descriptors(environment: Mapping[str, str]) -> tuple[int, ...]:
    """What a process started for the application must inherit."""
    return (int(environment[DESCRIPTOR]),) if DESCRIPTOR in environment else ()


def with_secrets(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment as it was before `put_away`."""
    found: dict[str, str] = {}
    for descriptor in descriptors(environment):
        found |= json.loads(os.pread(descriptor, MOST_BYTES, 0))
    return {**environment, **found}
