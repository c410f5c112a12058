"""Options: what they take, and what is said of a wrong one. mitm.yaml against what mitmproxy knows."""

from __future__ import annotations

import pytest
import yaml
from mitmproxy import options
from mitmproxy.tools.dump import DumpMaster

from addon import ROOT, settings

DEFAULTS = {name: default for name, (default, _) in settings.OPTIONS.items()}
MODE = ["reverse:http://127.0.0.1:3000@127.0.0.1:8080"]


def test_defaults() -> None:
    parsed = settings.parse(MODE, DEFAULTS)
    assert parsed == settings.Settings("http://127.0.0.1:3000")
    assert settings.Settings.from_json(parsed.to_json()) == parsed


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("actions_default_attempt", "2", "1 or latest"),
        ("actions_collisions", "Native", "extension or native"),
        ("actions_timeout", "abc", "a whole number from 1 to 3600"),
        ("actions_timeout", "0", "a whole number"),
        ("actions_threads", "3", "from 4 to 1000"),
        ("actions_threads", "-5", "from 4 to 1000"),
    ],
)
def test_a_wrong_value_says_what_to_write(name: str, value: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice) as caught:
        settings.parse(MODE, DEFAULTS | {name: value})
    assert name in str(caught.value) and repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("modes", "upstream"),
    [
        (["reverse:http://127.0.0.1:3000"], "http://127.0.0.1:3000"),
        (["reverse:https://forge.example/@0.0.0.0:80"], "https://forge.example"),
        (["reverse:http://[::1]:3000@127.0.0.1:0"], "http://[::1]:3000"),
    ],
)
def test_the_upstream_is_the_modes_target(modes: list[str], upstream: str) -> None:
    assert settings.upstream(modes) == upstream


@pytest.mark.parametrize(
    "modes",
    [["regular"], [], ["reverse:tcp://x:1"], ["reverse:http://x/sub"], ["reverse:http://a:1", "reverse:http://b:1"]],
)
def test_any_other_mode_is_refused(modes: list[str]) -> None:
    with pytest.raises(ValueError, match="reverse"):
        settings.upstream(modes)


def test_a_misspelt_option_is_told_the_nearest() -> None:
    message = settings.unknown(["actions_defualt_attempt", "something_else"])
    assert message is not None and "did you mean actions_default_attempt?" in message
    assert settings.unknown(["something_else"]) is None


def test_every_key_of_mitm_yaml_is_an_option() -> None:
    """mitmproxy ignores a misspelt one in silence."""
    import asyncio

    async def known() -> set[str]:
        return set(DumpMaster(options.Options()).options.keys())

    names = asyncio.run(known()) | set(settings.OPTIONS)
    assert set(yaml.safe_load((ROOT / "mitm.yaml").read_text())) <= names


def test_the_documentation_and_mitm_yaml_name_every_option() -> None:
    for file in ("addon/docs/operate.md", "mitm.yaml"):
        text = (ROOT / file).read_text()
        for name, default in DEFAULTS.items():
            assert name in text and default in text, (file, name)
