"""./run.sh check: each planted misconfiguration is found and gets a remedy, nothing else is, and nothing is changed."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from addon import ROOT
from addon.check import machine, reach, server
from addon.check.__main__ import findings
from addon.check.finding import Finding, Level
from addon.check.setup import Setup
from tests.conftest import VERSIONS
from tests.double import Double, Fault
from tests.support.proxy import start_proxy

MITM_YAML = (ROOT / "mitm.yaml").read_text()
PUBLIC = "https://forge.example/"
SECRET = "planted-password-of-the-account"


@dataclass
class Plant:
    """A set-up in which all is well, but for what is planted."""

    finding: str
    level: Level
    remedy: str
    version: str = "v15"
    root_url: str = PUBLIC
    user: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    ahead: float = 0
    address: str | None = None
    mitm_yaml: str | None = None


P, W = Level.PROBLEM, Level.WARNING
PLANTS: dict[str, Plant] = {
    "a misspelt option": Plant("options", P, "mitm.yaml", options={"actions_defualt_attempt": "1"}),
    "a wrong value": Plant("options", P, "mitm.yaml", options={"actions_timeout": "soon"}),
    "an option that mitmproxy ignores": Plant("options", P, "mitm.yaml", options={"keep_host_heeder": True}),
    "no addon": Plant("mitm.yaml", P, "delivered", options={"scripts": []}),
    "no net": Plant("mitm.yaml", P, "delivered", options={"block_list": []}),
    "a file that is no YAML": Plant("mitm.yaml", P, "name: value", mitm_yaml="mode: [\n"),
    "nothing there": Plant("Forgejo", P, "FORGEJO_URL", environment={"FORGEJO_URL": "http://127.0.0.1:9"}),
    "the proxy itself": Plant("Forgejo", P, "Forgejo's own", environment={"FORGEJO_URL": "http://localhost:{free}"}),
    "a secret that is not base32": Plant(
        "second factor", P, "digits 2 to 7", environment={"FORGEJO_ADMIN_TOTP_SECRET": "0189"}
    ),
    "an option twice": Plant("mitm.yaml", P, "keep one", mitm_yaml=MITM_YAML + "http2: true\n"),
    "a URL with a path": Plant("Forgejo", P, "http://127.0.0.1:3000", environment={"FORGEJO_URL": "http://x:1/sub"}),
    "not Forgejo": Plant("Forgejo", P, "own address", faults=[Fault("/api/v1/version", "html", 9)]),
    "too old": Plant("version", P, "upgrade", faults=[Fault("/api/v1/version", "json", 9, {"version": "1.20.1"})]),
    "too new": Plant(
        "version", W, "--live", faults=[Fault("/api/v1/version", "json", 9, {"version": "99.0.1+gitea-1.22.0"})]
    ),
    "a wrong password": Plant("sign-in", P, "browser", environment={"FORGEJO_ADMIN_PASSWORD": f"{SECRET}-not"}),
    "a second factor": Plant("sign-in", P, "base32", user={"totp": "JBSWY3DPEHPK3PXP"}),
    "must change password": Plant("sign-in", P, "change it", user={"must_change_password": True}),
    "a security key": Plant("sign-in", P, "remove the key", user={"webauthn": True}),
    "an inactive account": Plant("sign-in", P, "activate", user={"active": False}),
    "ROOT_URL is Forgejo's own": Plant("ROOT_URL", P, "app.ini", root_url="http://127.0.0.1:{port}/"),
    "ROOT_URL is not what clients use": Plant("ROOT_URL", P, "app.ini", address="http://forge.example:8080"),
    "ROOT_URL without TLS": Plant("ROOT_URL", W, "TLS", root_url="http://forge.example/"),
    "a sub-path": Plant("sub-path", W, "take /sub off", root_url="https://forge.example/sub/"),
    "a clock that is off": Plant("clock", P, "NTP", ahead=-120),
    "a clock that drifts": Plant("clock", W, "NTP", ahead=12),
    "mitmweb for everybody": Plant("mitmweb", P, "ssh", options={"web_host": "0.0.0.0"}),
    "plain http to the network": Plant("LISTEN", W, "reverse proxy", environment={"LISTEN": "0.0.0.0:{free}"}),
    "public clients cut off": Plant(
        "block_global",
        P,
        "block_global: false",
        options={"block_global": True},
        environment={"LISTEN": "0.0.0.0:{free}"},
    ),
    "a wrong LISTEN": Plant("LISTEN", P, "host:port", environment={"LISTEN": "here"}),
    "a port that is taken": Plant("proxy", P, "LISTEN=8081", environment={"LISTEN": "127.0.0.1:{port}"}),
    "no account": Plant("account", P, "name the account", environment={"FORGEJO_ADMIN_USER": ""}),
    "no password": Plant("password", P, "FORGEJO_ADMIN_PASSWORD", environment={"FORGEJO_ADMIN_PASSWORD": ""}),
    "no password file": Plant("password", P, "path", environment={"FORGEJO_ADMIN_PASSWORD_FILE": "/nowhere/password"}),
}
# What follows from the planted, and may be told too.
CONSEQUENCES = {
    "public clients cut off": {"LISTEN"},
    "ROOT_URL is not what clients use": {"address"},
    "no addon": {"mitm.yaml"},
    "a port that is taken": {"Forgejo"},
}


@pytest.fixture(autouse=True, scope="module")
def one_look_at_packages() -> Iterator[None]:
    """What is installed is the same for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "packages", functools.cache(machine.packages))
        yield


@contextmanager
def planted(plant: Plant) -> Iterator[tuple[Double, dict[str, Finding]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        names = {"free": str(free.getsockname()[1]), "port": ""}
    with Double(version=plant.version, root_url=plant.root_url) as double:
        names["port"] = double.url.rpartition(":")[2]
        double.root = plant.root_url.rstrip("/").format(**names)
        double.seconds_ahead = plant.ahead
        double.faults.extend(plant.faults)
        user = double.world.user("service", SECRET, admin=True)
        for name, value in plant.user.items():
            setattr(user, name, value)
        environment = {
            "FORGEJO_URL": double.url,
            "FORGEJO_ADMIN_USER": user.name,
            "FORGEJO_ADMIN_PASSWORD": SECRET,
            "LISTEN": names["free"],
        }
        environment |= {name: value.format(**names) for name, value in plant.environment.items()}
        text = plant.mitm_yaml or yaml.safe_dump(yaml.safe_load(MITM_YAML) | dict(plant.options))
        found = list(findings(environment, text, plant.address))
        assert SECRET not in "".join(finding.line() for finding in found)
        yield double, {finding.name: finding for finding in found if finding.level in (P, W)}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_misconfiguration(name: str) -> None:
    plant = PLANTS[name]
    with planted(plant) as (double, found):
        finding = found.pop(plant.finding)
        assert (finding.level, plant.remedy in finding.remedy) == (plant.level, True), finding
        assert set(found) <= CONSEQUENCES.get(name, set()), found
        unchanged(double)


def unchanged(double: Double) -> None:
    """Only questions, and the sign-in."""
    asked = {(seen.method, seen.path.removeprefix("/sub")) for seen in double.requests}
    assert {each for each in asked if each[0] not in ("GET", "HEAD")} <= {
        ("POST", "/user/login"),
        ("POST", "/user/two_factor"),
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_all_is_well(version: str) -> None:
    with planted(Plant("", W, "", version=version)) as (double, found):
        assert found == {}
        unchanged(double)


def test_less_than_an_administrator_and_a_second_factor() -> None:
    with Double(version="v15", root_url=PUBLIC) as double:
        double.settings.REQUIRE_SIGNIN_VIEW = True
        user = double.world.user("service", SECRET, totp="JBSWY3DPEHPK3PXP")
        user.language = "de-DE"
        environment = {"FORGEJO_URL": double.url, "FORGEJO_ADMIN_USER": user.name, "FORGEJO_ADMIN_PASSWORD": SECRET, "FORGEJO_ADMIN_TOTP_SECRET": "JBSWY3DPEHPK3PXP"}  # fmt: skip
        told = {finding.name: finding for finding in findings(environment, MITM_YAML)}
    assert {finding.level for name, finding in told.items() if name != "proxy"} == {Level.OK}, told
    assert "no administrator" in told["account"].text and "de-DE" in told["account"].text
    assert "one-time code" in told["sign-in"].text and "Secure" in told["ROOT_URL"].text


def test_packages_that_are_not_as_locked() -> None:
    versions = {"one": "1.0", "two": "2.1"}
    assert machine.packages("one==1.0 \\\n    --hash=sha256:0\n", versions.__getitem__).level is Level.OK
    wrong = machine.packages('two==2.0 \\\nthree==1 ; sys_platform == "none"\n', versions.__getitem__)
    assert wrong.level is P and "two (2.1, locked ==2.0)" in wrong.text and "remove .venv" in wrong.remedy


@pytest.mark.parametrize(
    ("upstream", "table", "level"),
    [
        ("http://127.0.0.1:3000", ["0: 0100007F:0BB8 00000000:0000 0A"], Level.OK),
        ("http://localhost:3000", ["0: 00000000:0BB8 00000000:0000 0A"], W),
        ("http://127.0.0.1:3000", [f"0: {'0' * 32}:0BB8 {'0' * 32}:0000 0A"], W),
        ("http://127.0.0.1:3000", ["0: 00000000:0BB9 00000000:0000 0A", "1: 00000000:0BB8 00000000:0000 01"], Level.OK),
        ("http://10.0.0.7:3000", [], W),
        ("https://forgejo", [], W),
    ],
)
def test_past_the_proxy(upstream: str, table: list[str], level: Level) -> None:
    assert machine.past_the_proxy(upstream, lambda: iter(table)).level is level


@pytest.mark.parametrize(("mode", "level", "said"), [(0o600, Level.OK, ""), (0o644, W, "chmod 600"), (None, P, "")])
def test_the_password_file(tmp_path: Path, mode: int | None, level: Level, said: str) -> None:
    file = tmp_path / "password"
    file.write_text("" if mode is None else SECRET)
    file.chmod(mode or 0o600)
    with planted(Plant("", W, "", environment={"FORGEJO_ADMIN_PASSWORD_FILE": str(file)})) as (_, found):
        assert (found["password"].level if "password" in found else Level.OK) is level
        assert said in (found["password"].remedy if "password" in found else "")


def test_the_address_that_clients_use() -> None:
    """It is asked as clients ask; what answers there must be the extension."""
    with Double(version="v15") as double, start_proxy(double.url) as proxy:
        assert reach.address(proxy.url).level is Level.OK
        assert reach.running(("127.0.0.1", int(proxy.url.rpartition(":")[2]))).text.startswith("is running")
        assert "not the extension" in reach.address(double.url).text
        (told,) = server.findings(Setup({}, {}), proxy.url)
        assert told.level is P and "a proxy with this extension" in told.text
    assert "nothing listens there" in reach.address("http://127.0.0.1:9").text


def test_the_demo_has_no_problem() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORGEJO_")} | {
        "LISTEN": "1"
    }
    done = subprocess.run([ROOT / "run.sh", "check"], env=environment, capture_output=True, text=True, timeout=60)
    assert "this is the demo" in done.stdout and "✗" not in done.stdout and done.returncode == 0


def test_the_command() -> None:
    with Double(version="v15", root_url=PUBLIC) as double:
        admin = double.world.admin
        environment = {
            **os.environ,
            "FORGEJO_URL": double.url,
            "FORGEJO_ADMIN_USER": admin.name,
            "FORGEJO_ADMIN_PASSWORD": admin.password,
        }

        def check(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [ROOT / "run.sh", "check", *arguments], env=environment | changed, capture_output=True, text=True, timeout=60
            )  # fmt: skip

        fine = check()
        assert fine.returncode == 0 and "✓ sign-in" in fine.stdout and "no problems" in fine.stdout
        assert len(fine.stdout.splitlines()) <= 24, "one screen"
        bad = check("--json", FORGEJO_ADMIN_PASSWORD=SECRET)
        told = json.loads(bad.stdout)
        assert bad.returncode == 1 and told["ok"] is False and SECRET not in bad.stdout + bad.stderr
        (sign_in,) = [each for each in told["checks"] if each["name"] == "sign-in"]
        assert sign_in["level"] == "problem" and sign_in["remedy"]
        assert "write it as https://forge.example" in check("--address", "forge.example").stderr
