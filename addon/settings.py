"""The extension's options. Declared to mitmproxy as text, for it ignores a mistyped number in silence; checked here."""

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
# name: (default, help)
OPTIONS: dict[str, tuple[str, str]] = {
    "actions_default_attempt": ("1", "Which attempt's log is served when none is asked for: 1 or latest."),
    "actions_collisions": (
        "extension",
        "Who answers runs/{x}/jobs, logs, artifacts and cancel, which Forgejo has itself since v16, with {x} a "
        "database id: extension ({x} is a run number) or native (Forgejo).",
    ),
    "actions_max_wait": ("300", "The longest wait that a request may ask for, in seconds."),
    "actions_timeout": ("30", "Seconds that one request to Forgejo may take."),
    "actions_followers": ("256", "Clients that follow a log at once."),
    "actions_recheck": ("50", "Seconds after which the access of who follows or waits is asked for again."),
    "actions_threads": ("64", "Requests to Forgejo at once; as many logs are read beside them."),
    "actions_trusted_proxies": (
        "127.0.0.0/8, ::1/128",
        "Whose X-Forwarded-* and X-Real-IP headers are passed on; anybody else's are replaced by its address.",
    ),
    "actions_lean": (
        "true",
        "Whether mitmdump goes without those of mitmproxy's own add-ons that have nothing to do: true or false.",
    ),
    "actions_log": (
        "text",
        "A line for each extension request: text, json, or off. Reruns and cancels are logged also when off.",
    ),
    "actions_metrics": ("false", "Whether /api/v1/actions-extensions/metrics shows counters: true or false."),
    "actions_swagger": (
        "false",
        "Whether the extension's routes are put into Forgejo's /swagger.v1.json, and so shown at /api/swagger: "
        "true or false.",
    ),
    "actions_web_flows": ("1000", "How many finished requests mitmweb keeps; the oldest go."),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked options. `upstream` is scheme, host and port of Forgejo; `timeout` is in seconds."""

    upstream: str
    default_attempt: str = "1"
    collisions: str = "extension"
    max_wait: int = 300
    timeout: float = 30.0
    threads: int = 64
    followers: int = 256
    recheck: float = 50.0
    lean: bool = True
    trusted_proxies: str = "127.0.0.0/8, ::1/128"
    log: str = "text"
    metrics: bool = False
    swagger: bool = False
    web_flows: int = 1000

    def to_json(self) -> dict[str, Any]:
        """For the application's start line."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Settings:
        """The inverse of to_json."""
        return cls(**value)


def parse(modes: Iterable[str], options: Mapping[str, str]) -> Settings:
    """Settings from mitmproxy's `mode` and our options' texts. Raises ValueError with what to write instead."""
    return Settings(
        upstream=upstream(modes),
        default_attempt=_one_of("actions_default_attempt", options, ("1", "latest")),
        collisions=_one_of("actions_collisions", options, ("extension", "native")),
        max_wait=int(_number("actions_max_wait", options, 1, MOST_WAIT)),
        timeout=_number("actions_timeout", options, 1, 3600),
        threads=int(_number("actions_threads", options, 4, 1000)),
        followers=int(_number("actions_followers", options, 1, 4000)),
        recheck=_number("actions_recheck", options, 1, 60),
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
    """What to say of misspelt options; None when there are none."""
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, n=1, cutoff=0.5)
            advice = f"did you mean {near[0]}?" if near else f"the options are {', '.join(OPTIONS)}"
            return f"unknown option {name}; {advice}"
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
