"""Each mistake that a person can make is answered by what was wrong, with the value, and what to write instead."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from addon import ROOT
from addon.api import parameters, routes
from addon.caller import Caller
from addon.errors import ApiError, BadRequest
from addon.proxy import option_file
from tests.support.proxy import start_proxy

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("FORGEJO_", "LISTEN"))}
GOOD = {
    "FORGEJO_URL": "http://127.0.0.1:9",
    "FORGEJO_ADMIN_USER": "a",
    "FORGEJO_ADMIN_PASSWORD": "b",
    "LISTEN": "127.0.0.1:0",
}
URL_ADVICE = "write scheme, host and port, without a path, as http://127.0.0.1:3000"
DEMO = {"FORGEJO_URL": "", "FORGEJO_ADMIN_USER": ""}
LISTEN_ADVICE = "write host:port or port, as 127.0.0.1:8080"


@pytest.mark.parametrize(
    ("environment", "said", "advice"),
    [
        ({"FORGEJO_URL": "127.0.0.1:3000"}, "FORGEJO_URL is '127.0.0.1:3000'", URL_ADVICE),
        ({"FORGEJO_URL": "http://forge/sub/"}, "FORGEJO_URL is 'http://forge/sub/'", URL_ADVICE),
        ({"FORGEJO_URL": "ftp://forge"}, "FORGEJO_URL is 'ftp://forge'", URL_ADVICE),
        ({"FORGEJO_URL": "http://u:p@forge"}, "FORGEJO_URL is", URL_ADVICE),
        ({"FORGEJO_URL": "http://forge:99999"}, "FORGEJO_URL is 'http://forge:99999'", URL_ADVICE),
        ({"FORGEJO_URL": "http://forge:port"}, "FORGEJO_URL is 'http://forge:port'", URL_ADVICE),
        ({"FORGEJO_URL": ""}, "FORGEJO_URL is not", "set both"),
        ({"FORGEJO_ADMIN_USER": ""}, "FORGEJO_ADMIN_USER is not set", "name the account"),
        ({"FORGEJO_ADMIN_PASSWORD": ""}, "set FORGEJO_ADMIN_PASSWORD_FILE or FORGEJO_ADMIN_PASSWORD for a", ""),
        ({"FORGEJO_ADMIN_PASSWORD_FILE": "/no/file"}, "FORGEJO_ADMIN_PASSWORD_FILE is '/no/file'", "can't be read"),
        ({"LISTEN": "here"}, "LISTEN is 'here'", LISTEN_ADVICE),
        ({"LISTEN": "http://127.0.0.1:80"}, "LISTEN is 'http://127.0.0.1:80'", LISTEN_ADVICE),
        ({"LISTEN": "127.0.0.1:65536"}, "LISTEN is '127.0.0.1:65536'", LISTEN_ADVICE),
        ({"LISTEN": "99999"}, "LISTEN is '99999'", LISTEN_ADVICE),
        ({"LISTEN": "127.0.0.1:9"}, "FORGEJO_URL is http://127.0.0.1:9, where the proxy itself listens", "own port"),
        ({"LISTEN": "0.0.0.0:9", "FORGEJO_URL": "http://localhost:9"}, "where the proxy itself listens", "own port"),
        ({"FORGEJO_ADMIN_TOTP_SECRET": "0189"}, "FORGEJO_ADMIN_TOTP_SECRET is not base32", "copy the secret"),
        (DEMO | {"DEMO_VERSION": "nonsense"}, "DEMO_VERSION is 'nonsense'", "write one of v7, "),
        (DEMO | {"DEMO_PACE": "abc"}, "DEMO_PACE is 'abc'", "write a number from"),
        (DEMO | {"DEMO_PACE": "nan"}, "DEMO_PACE is 'nan'", "write a number from"),
    ],
)
def test_the_environment(environment: Mapping[str, str], said: str, advice: str) -> None:
    """One line, and nothing is started."""
    done = subprocess.run([ROOT / "run.sh"], env=CLEAN | GOOD | environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr and advice in done.stderr


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (("serv",), "see ./run.sh help"),
        (("test", "--live"), "FORGEJO_LIVE_URL"),
        (("check", "--jsn"), "usage: ./run.sh check"),
        (("--set", "actions_metric=true"), "unknown option actions_metric; did you mean actions_metrics?"),
        (("web", "--set=actions_timeout=soon"), "actions_timeout is 'soon'; write a whole number"),
    ],
)
def test_the_commands(command: tuple[str, ...], advice: str) -> None:
    done = subprocess.run([ROOT / "run.sh", *command], env=CLEAN, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and advice in done.stderr and "Traceback" not in done.stderr


OPTIONS = [
    ("actions_timeout: 30\n", 'actions_timeout is 30 without quotes; write actions_timeout: "30"'),
    ("actions_metrics: true\n", 'actions_metrics is true without quotes; write actions_metrics: "true"'),
    ('actions_threads: "3"\n', "actions_threads is '3'; write a whole number from 4 to 1000"),
    ("actions_log: xml\n", "actions_log is 'xml'; write text, json or off"),
    ('actions_metrics: "yes"\n', "actions_metrics is 'yes'; write true or false"),
    ('actions_web_flows: "all"\n', "actions_web_flows is 'all'; write a whole number from 10 to 100000"),
    ("actions_colisions: native\n", "unknown option actions_colisions; did you mean actions_collisions?"),
    (
        "zzz: 1\nactions_qqqqqqqqqqqqqqqqqqqqqqq: y\n",
        "unknown option actions_qqqqqqqqqqqqqqqqqqqqqqq; the options are actions_default_attempt, ",
    ),
    ("emudhra: true\n", "emudhra is on, so anybody could sign certificates like the proxy's; remove it"),
    ("emudhra_old: true\n", "emudhra_old is on"),
    ("mode: [\n", "mitm.yaml is no YAML at line 2; write `name: value` lines"),
    ("a: 1\nmode: [x]\nmode: [y]\n", "mitm.yaml has mode twice, the second at line 3; keep one of them"),
    ("just words", "mitm.yaml holds no options; write `name: value` lines"),
]


@pytest.mark.parametrize(("text", "said"), OPTIONS)
def test_the_options(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        option_file.check(option_file.load(text))
    assert str(caught.value).startswith(said)


def test_the_options_delivered() -> None:
    option_file.check(option_file.load((ROOT / "mitm.yaml").read_text()))


def test_a_start_that_fails_shows_no_traceback() -> None:
    for options, environment, said in (
        ({"actions_timeout": "soon"}, {}, "actions_timeout is 'soon'; write a whole number from 1 to 3600"),
        ({"keep_host_heeder": True}, {}, "mitmproxy has no option keep_host_heeder"),
        ({"emudhra_old": True}, {}, "emudhra_old is on, so anybody could sign certificates like the proxy's"),
        ({}, {"ACTIONS_LOG_LEVEL": "loud"}, "ACTIONS_LOG_LEVEL is 'loud'; write DEBUG, INFO, WARNING or ERROR"),
    ):
        with start_proxy("http://127.0.0.1:9", options=options, environment=environment, listening=False) as proxy:
            assert proxy.process.wait(20) == 1
            proxy._reader.join(10)
            assert said in proxy.log() and "Traceback" not in proxy.log(), proxy.log()


WRONG = ("", "-1", "0x1", "x y", "1.5", "9" * 30, "TRUE", "né", "\x07", "x" * 2000)


@pytest.mark.parametrize("name", parameters.PARSERS)
def test_the_parameters(name: str) -> None:
    """Whatever a parameter does not take, its message names it, shows what was given, and tells what it takes."""
    messages = {text: message for text in WRONG if (message := refusal(name, text)) is not None}
    assert messages, "it takes anything"
    for text, message in messages.items():
        assert message.startswith(name) and parameters.shown(text) in message and len(message) < 300, message
        assert "takes" in message or "larger" in message, message


def refusal(name: str, text: str) -> str | None:
    try:
        parameters.PARSERS[name](name, text)
    except BadRequest as error:
        return error.message
    return None


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "o/r/actions/runs/latest/lgs", ("no such extension path", "logs")),
        ("GET", "o/r/actions/runs/007/logs", ("'007' is not a run", "`latest`")),
        ("GET", "o/r.git/actions/runs/latest", ("'r.git'", "repository")),
        ("GET", "o/r/actions/runs/latest/logs?jbo=1", ("unknown parameter 'jbo'", "job")),
        ("GET", "o/r/actions/runs/latest/logs?job=1&job=2", ("job is given more than once",)),
        ("GET", "o/r/actions/runs/latest?job=1", ("unknown parameter 'job'; runs/latest takes actor, ",)),
        ("GET", "o/r/actions/runs/7/summary?tail=1", ("unknown parameter 'tail'; runs/7/summary takes actor, ",)),
        ("GET", "o/r/actions/runs/latest?wait_for=done", ("wait_for takes effect only with wait",)),
        ("GET", "o/r/actions/runs/latest?wait=3601", ("wait takes a whole number from 0 to 3600, not '3601'",)),
        ("POST", "o/r/actions/runs/7/rerun?keep_artifacts=yes", ("keep_artifacts takes required, not 'yes'",)),
        ("GET", "o/r/actions/runs/7/summary?format=zip", ("format takes text, markdown or json, not 'zip'",)),
        ("GET", "o/r/actions/runs/latest/rerun", ("GET is not allowed here", "POST")),
        ("POST", "o/r/actions/runs/latest/logs", ("POST is not allowed here", "GET, HEAD")),
    ],
)
def test_the_paths(method: str, path: str, said: tuple[str, ...]) -> None:
    with pytest.raises(ApiError) as caught:
        routes.parse(method, f"/api/v1/repos/{path}")
    assert all(part in caught.value.message for part in said), caught.value.message


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv to be somebody else"
)
def test_a_folder_that_is_set_up_for_somebody_else(tmp_path: Path) -> None:
    """tmp_path is root's alone, so the copy lies where others may read."""
    folder = Path("/var/tmp") / tmp_path.name
    folder.mkdir(mode=0o755)
    try:
        shutil.copy(ROOT / "run.sh", folder)
        (folder / "requirements.lock").write_text("# nothing\n")
        command = ["setpriv", "--reuid=65534", "--clear-groups", folder / "run.sh", "set-up"]
        done = subprocess.run(command, env=CLEAN, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and f"{folder} is not set up for nobody: run ./run.sh set-up" in done.stderr
    finally:
        shutil.rmtree(folder)


def test_only_whole_secrets_are_redacted() -> None:
    token = "a11ce" + "0" * 35
    for secret, message, shown in (
        ("x", "access token does not exist", "access token does not exist"),
        (token, f"access token does not exist [sha: {token}]", "access token does not exist [sha: [redacted]]"),
        ("password", "the password is wrong, passwords are", "the [redacted] is wrong, passwords are"),
        ("a+b(c)*[d", "a+b(c)*[d", "[redacted]"),
    ):
        assert Caller({}, {"token": secret}).redact(message) == shown
        assert Caller({"Authorization": f"token {secret}"}).redact(message) == shown
