"""mitmdump without the add-ons that have nothing to do: what goes, what stays, and that the net holds without them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from mitmproxy import exceptions, options
from mitmproxy.addons import anticache, save
from mitmproxy.test import taddons
from mitmproxy.tools.dump import DumpMaster

from addon import ROOT, settings
from addon.proxy.addon import ActionsExtension, idle_addons
from addon.proxy.supervisor import Supervisor
from tests.support.proxy import start_proxy
from tests.support.upstream import Upstream

# Each with what would be missing.
KEPT = {
    "block": "block_global, block_private",
    "blocklist": "the net of mitm.yaml",
    "clientplayback": "mitmproxy can't take it away: it ends asynchronously",
    "disableh2c": "h2c upgrades, which would go past every check",
    "errorcheck": "a failing start ends",
    "keepserving": "ends after a replay",
    "nextlayer": "what a connection speaks",
    "proxyserver": "the proxy",
    "scriptloader": "this addon",
    "termlog": "the console",
    "tlsconfig": "TLS, on both sides",
    "updatealtsvc": "clients would be told of a way around the proxy",
}
# Options of what goes that only tune what another option starts.
TUNING = {
    "command_history", "dns_name_servers", "dns_use_hosts_file", "dumper_default_contentview", "dumper_filter",
    "export_preserve_original_ip", "onboarding_host", "readfile_filter", "save_stream_filter",
    "server_replay_extra", "server_replay_ignore_content", "server_replay_ignore_host", "server_replay_ignore_params",
    "server_replay_ignore_payload_params", "server_replay_ignore_port", "server_replay_kill_extra",
    "server_replay_nopop", "server_replay_refresh", "server_replay_reuse", "server_replay_use_headers", "strip_ech",
}  # fmt: skip
NET_ONLY = """
import sys
sys.path.insert(0, {root!r})
from addon.proxy import idle_addons

class Lost:
    def running(self):
        idle_addons.drop()
        print("listening on http://{{}}:{{}}".format(*self.where()), flush=True)

    def where(self):
        from mitmproxy import ctx
        return ctx.master.addons.get("proxyserver").listen_addrs()[0][:2]

addons = [Lost()]
"""


class Recorder:
    """Stands in for mitmproxy's Loader."""

    def __init__(self) -> None:
        self.options: set[str] = set()

    def add_option(self, name: str, *_: Any, **__: Any) -> None:
        self.options.add(name)


def dump_addons(**values: Any) -> tuple[dict[str, Any], dict[str, Any], frozenset[str]]:
    """mitmdump's add-ons before and after `drop`, and the options that can no longer change."""

    async def run() -> tuple[dict[str, Any], dict[str, Any], frozenset[str]]:
        master = DumpMaster(options.Options(), with_termlog=True)
        master.options.update(flow_detail=0, onboarding=False)
        master.options.update(**values)
        before = dict(master.addons.lookup)
        frozen = idle_addons.drop()
        return before, dict(master.addons.lookup), frozen

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _all_lines_again() -> Iterator[None]:
    yield
    idle_addons.CHATTY.setLevel("NOTSET")


def test_each_of_mitmproxys_addons_is_known() -> None:
    """A later mitmproxy with another one fails here: it stays until someone has read what it does."""
    before, after, _ = dump_addons()
    assert set(before) == set(KEPT) | set(idle_addons.IDLE)
    assert set(after) == set(KEPT)


def test_each_of_their_options_is_known() -> None:
    """One that could set a dropped add-on to work must be in the table."""
    addons, _, _ = dump_addons()
    recorder = Recorder()
    for name in idle_addons.IDLE:
        if hasattr(addons[name], "load"):
            addons[name].load(recorder)
    assert recorder.options == TUNING | {option for idle in idle_addons.IDLE.values() for option in idle}


@pytest.mark.parametrize(
    ("addon", "option", "value"),
    [
        ("anticache", "anticache", True),
        ("dumper", "flow_detail", 1),
        ("mapremote", "map_remote", ["|a|b"]),
        ("modifyheaders", "modify_headers", ["/X-A/b"]),
        ("onboarding", "onboarding", True),
        ("proxyauth", "proxyauth", "any"),
        ("stickycookie", "stickycookie", "."),
    ],
)
def test_what_has_something_to_do_stays(addon: str, option: str, value: Any) -> None:
    _, after, frozen = dump_addons(**{option: value})
    assert addon in after and option not in frozen


def test_a_late_change_is_refused() -> None:
    _, _, frozen = dump_addons()
    assert idle_addons.refusal(frozen, ["modify_headers", "block_list"]) == (
        "modify_headers changes by a restart only, or with actions_lean: false"
    )
    assert idle_addons.refusal(frozen, ["block_list"]) is None
    addon = ActionsExtension()
    with taddons.context(anticache.AntiCache(), save.Save(), addon) as context:
        context.configure(addon, mode=["reverse:http://127.0.0.1:9"])
        assert addon._settings is not None
        addon._frozen, addon._supervisor = frozen, Supervisor(addon._settings)  # as once it is running
        with pytest.raises(exceptions.OptionsError, match="anticache changes by a restart only"):
            context.configure(addon, anticache=True)


def test_the_setting() -> None:
    default = {name: value for name, (value, _) in settings.OPTIONS.items()}
    mode = ["reverse:http://127.0.0.1:9"]
    assert settings.parse(mode, default).lean
    assert not settings.parse(mode, default | {"actions_lean": "false"}).lean
    with pytest.raises(ValueError, match="actions_lean is 'no'; write true or false"):
        settings.parse(mode, default | {"actions_lean": "no"})


def test_the_net_holds_without_addon_and_without_the_others(tmp_path: Path) -> None:
    script = tmp_path / "lost.py"
    script.write_text(NET_ONLY.format(root=str(ROOT)))
    with Upstream() as upstream, start_proxy(upstream.url, options={"scripts": [str(script)]}) as proxy:
        base = f"{proxy.url}/api/v1/repos/o/r/actions/runs"
        assert requests.get(f"{base}/latest/logs", timeout=10).status_code == 503
        assert requests.post(f"{base}/by-number/1/rerun", timeout=10).status_code == 503
        assert requests.get(f"{proxy.url}/big/3", timeout=10).headers["Content-Length"] == str(3 << 20)
        assert {seen.path for seen in upstream.requests} == {"/big/3"}


@pytest.mark.parametrize("setting", ["true", "false"])
def test_mitmproxys_options_work_in_both_settings(tmp_path: Path, setting: str) -> None:
    saved = tmp_path / "flows"
    given = {"modify_headers": ["/X-Added/yes"], "save_stream_file": str(saved), "actions_lean": setting}
    with Upstream() as upstream, start_proxy(upstream.url, options=given) as proxy:
        assert requests.get(f"{proxy.url}/x", timeout=10).headers["X-Added"] == "yes"
        assert upstream.requests[-1].headers["X-Added"] == "yes"
        assert proxy.stop() == 0
    assert b"X-Upstream" in saved.read_bytes()
