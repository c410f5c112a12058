"""The extension's options. They are text for mitmproxy, which silently ignores a malformed number, and checked here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

PREFIX = "actions_"
MOST_WAIT = 3600
# Options that only one of mitmdump, mitmweb and mitmproxy's console has. mitm.yaml is for all of them.
OF_ANOTHER_PROGRAM = re.compile("(console|dumper|intercept|view|web)(_.*)?|flow_detail|keepserving")
# name: (default, help)
OPTIONS: dict[str, tuple[str, str]] = {
    "actions_default_attempt": ("1", "Which attempt's log is served if the request names none: 1 or latest."),
    "actions_collisions": (
        "extension",
        "What {x} is in runs/{x}/jobs, logs, artifacts, cancel and rerun, on every version: extension (a run number), "
        "or native (a database id, as in Forgejo's own routes).",
    ),
    "actions_max_wait": ("300", "The longest wait of a request, in seconds."),
    "actions_timeout": ("30", "The longest duration of one request to Forgejo, in seconds."),
    "actions_followers": ("256", "How many clients may follow logs at once."),
    "actions_recheck": ("50", "After how many seconds the access of a following or waiting client is checked again."),
    "actions_read_timeout": ("60", "After how many seconds a response ends of which the client reads nothing."),
    "actions_threads": (
        "64",
        "How many requests to Forgejo may be open at once. As many logs may be read in addition.",
    ),
    "actions_trusted_proxies": (
        "127.0.0.0/8, ::1/128",
        "Clients whose X-Forwarded-* and X-Real-IP headers are passed on; those of others are replaced. X-WebAuth-* is "
        "passed on only if this option is set.",
    ),
    "actions_lean": (
        "true",
        "Whether mitmdump runs without those of its built-in addons that have nothing to do: true or false.",
    ),
    "actions_log": (
        "text",
        "The request log of the extension: text, json or off. Reruns and cancels are always logged.",
    ),
    "actions_metrics": ("false", "Whether there are metrics at /api/v1/actions-extensions/metrics: true or false."),
    "actions_swagger": (
        "false",
        "Whether Forgejo's /swagger.v1.json, which /api/swagger shows, gets the extension's routes: true or false.",
    ),
    "actions_web_flows": ("1000", "How many finished requests mitmweb keeps."),
}
# mitmproxy's options to sign with the key of a public certificate authority that everybody knows.
PUBLISHED_KEYS = ("emudhra", "emudhra_old")


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked options. `upstream` is scheme, host and port of Forgejo. Times are in seconds."""

    upstream: str
    default_attempt: str = "1"
    collisions: str = "extension"
    max_wait: int = 300
    timeout: float = 30.0
    threads: int = 64
    followers: int = 256
    recheck: float = 50.0
    read_timeout: float = 60.0
    lean: bool = True
    trusted_proxies: str = "127.0.0.0/8, ::1/128"
    log: str = "text"
    metrics: bool = False
    swagger: bool = False
    web_flows: int = 1000

    def to_json(self) -> dict[str, Any]:
        """The options as JSON, for the application."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Settings:
        """The inverse of to_json."""
        return cls(**value)


def parse(modes: Iterable[str], options: Mapping[str, str]) -> Settings:
    """Parses mitmproxy's `mode` and the extension's options. Raises ValueError with what to write instead."""
    return Settings(
        upstream=upstream(modes),
        default_attempt=_one_of("actions_default_attempt", options, ("1", "latest")),
        collisions=_one_of("actions_collisions", options, ("extension", "native")),
        max_wait=int(_number("actions_max_wait", options, 1, MOST_WAIT)),
        timeout=_number("actions_timeout", options, 1, 3600),
        threads=int(_number("actions_threads", options, 4, 1000)),
        followers=int(_number("actions_followers", options, 1, 4000)),
        recheck=_number("actions_recheck", options, 1, 60),
        read_timeout=_number("actions_read_timeout", options, 1, 3600),
        lean=_one_of("actions_lean", options, ("true", "false")) == "true",
        trusted_proxies=_networks("actions_trusted_proxies", options),
        log=_one_of("actions_log", options, ("text", "json", "off")),
        metrics=_one_of("actions_metrics", options, ("true", "false")) == "true",
        swagger=_one_of("actions_swagger", options, ("true", "false")) == "true",
        web_flows=int(_number("actions_web_flows", options, 10, 100000)),
    )


def upstream(modes: Iterable[str]) -> str:
    """The reverse mode's target: `reverse:http://host:3000@0.0.0.0:8080` gives `http://host:3000`."""
    targets = [mode.removeprefix("reverse:") for mode in modes if mode.startswith("reverse:")]
    if len(targets) != 1 or len(list(modes)) != 1:
        raise ValueError("mode must be one reverse mode, for example reverse:http://127.0.0.1:3000@127.0.0.1:8080")
    url = targets[0].rpartition("@")[0] or targets[0]
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"mode: reverse:{url} must be http:// or https:// with host and port, and no path")
    return url.rstrip("/")


def unknown(names: Iterable[str]) -> str | None:
    """The message for the first misspelt option; None if there is none."""
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, n=1, cutoff=0.5)
            advice = f"did you mean {near[0]}?" if near else f"the options are {', '.join(OPTIONS)}"
            return f"unknown option {name}; {advice}"
    return None


def never_declared(names: Iterable[str]) -> str | None:
    """The message for options that neither mitmproxy nor any addon has; None if there are none."""
    missing = sorted(name for name in names if not OF_ANOTHER_PROGRAM.fullmatch(name))
    return f"mitmproxy has no option {', '.join(missing)}" if missing else None


def refused(options: Mapping[str, object]) -> str | None:
    """The message for an option of mitmproxy that must stay off; None if all are off."""
    for name in PUBLISHED_KEYS:
        if options.get(name):
            return f"{name} is on, so anybody could sign certificates like the proxy's; remove it"
    return None


def _one_of(name: str, options: Mapping[str, str], choices: tuple[str, ...]) -> str:
    if options[name] not in choices:
        raise ValueError(f"{name} is {options[name]!r}; write {', '.join(choices[:-1])} or {choices[-1]}")
    return options[name]


def _networks(name: str, options: Mapping[str, str]) -> str:
    for part in options[name].split(","):
        try:
            ip_network(part.strip(), strict=False)
        except ValueError:
            raise ValueError(
                f"{name} is {options[name]!r}; write addresses and networks, as 127.0.0.0/8, ::1/128"
            ) from None
    return options[name]


def _number(name: str, options: Mapping[str, str], least: int, most: int) -> float:
    text = options[name]
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise ValueError(f"{name} is {text!r}; write a whole number from {least} to {most}")
    return float(text)
