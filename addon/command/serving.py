"""Checks everything that can be checked before a start, then becomes mitmdump, mitmweb or the demo."""

from __future__ import annotations

import contextlib
import os
import runpy
import shlex
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from addon import INSTALLED, ROOT
from addon.check.setup import DEFAULT_LISTEN, DEMO, Setup
from addon.errors import SignInFailed
from addon.forgejo.admin.credentials import totp
from addon.inherited import account_secrets
from addon.proxy import option_file

PROGRAMS: Mapping[str, str] = {"serve": "mitmdump", "web": "mitmweb"}
MITMWEB_PORT = 8081
URL_ADVICE = "scheme, host and port, without a path, as http://127.0.0.1:3000"
# Variables of the demo's account are its own. It must not get a real password.
NOT_FOR_THE_DEMO = ("FORGEJO_ADMIN_PASSWORD", "FORGEJO_ADMIN_PASSWORD_FILE", "FORGEJO_ADMIN_TOTP_SECRET")


def serve(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Becomes `program`, or the demo with it if no Forgejo is configured. Raises ValueError with the mistake."""
    setup = Setup(environment, _options(arguments))
    host, port = _listen(setup)
    _check_environment(setup)
    command = [str(Path(sys.executable).parent / program), "--set", f"confdir={_confdir(environment)}"]
    if program == "mitmweb":
        command += ["--set", "web_open_browser=false", *_web_port(setup, port, arguments)]
    where = f"{host.strip('[]')}:{port}"  # mitmproxy takes IPv6 addresses without brackets
    if setup.upstream is not None:
        environment = dict(environment)
        if file := environment.get("FORGEJO_ADMIN_PASSWORD_FILE"):  # the application has another working directory
            environment["FORGEJO_ADMIN_PASSWORD_FILE"] = os.path.abspath(file)
        account_secrets.put_away(environment)
        become([*command, "--mode", f"reverse:{setup.upstream}@{where}", *arguments], environment)
    for name in NOT_FOR_THE_DEMO:
        os.environ.pop(name, None)
    run("tests.double.serve_demo", [where, *command, *arguments])


def run(module: str, arguments: Sequence[str]) -> NoReturn:
    """Runs a module of the project as a program in this process."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")
    sys.exit(0)


def become(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Replaces this process by the command, so that a signal meant for it finds it."""
    sys.stdout.flush()
    os.execve(command[0], command, environment)  # noqa: S606


def _options(arguments: Sequence[str]) -> Mapping[str, Any]:
    """The options of mitm.yaml. Raises ValueError for a mistake there or in `--set`, which mitmproxy would not tell."""
    try:
        options = option_file.load((ROOT / "mitm.yaml").read_text("utf-8"))
    except OSError as error:
        raise ValueError(str(error)) from None
    option_file.check({**dict(_set_by(arguments)), **options})
    return options


def _set_by(arguments: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The options that `--set NAME=VALUE` or `--set=NAME=VALUE` sets."""
    words = iter(arguments)
    for word in words:
        if word == "--set" or word.startswith("--set="):
            name, _, value = (word.removeprefix("--set=") if "=" in word else next(words, "")).partition("=")
            yield name, value


def _listen(setup: Setup) -> tuple[str, int]:
    if setup.listen is None:
        given = setup.environment.get("LISTEN")
        raise ValueError(f"LISTEN is {given!r}; write host:port or port, as {DEFAULT_LISTEN}")
    return setup.listen


def _check_environment(setup: Setup) -> None:
    """Raises ValueError for what would prevent the start or every sign-in."""
    given = setup.environment.get
    if setup.is_demo:
        return
    if not given("FORGEJO_URL") and not DEMO.is_dir():
        raise ValueError(f"set FORGEJO_URL to your Forgejo's {URL_ADVICE}; there is no demo here")
    if not given("FORGEJO_URL"):
        raise ValueError("FORGEJO_ADMIN_USER is set, but FORGEJO_URL is not; set both, or neither for the demo")
    if setup.upstream is None:
        raise ValueError(f"FORGEJO_URL is {given('FORGEJO_URL')!r}; write {URL_ADVICE}")
    if setup.points_at_itself:
        listen = given("LISTEN") or DEFAULT_LISTEN
        raise ValueError(
            f"FORGEJO_URL is {setup.upstream}, where the proxy itself listens ({listen}); name Forgejo's own port"
        )
    if not given("FORGEJO_ADMIN_USER"):
        raise ValueError("FORGEJO_ADMIN_USER is not set; name the account whose web session the proxy uses")
    if file := given("FORGEJO_ADMIN_PASSWORD_FILE"):
        if not os.access(file, os.R_OK):
            raise ValueError(f"FORGEJO_ADMIN_PASSWORD_FILE is {file!r}, which can't be read")
    elif not given("FORGEJO_ADMIN_PASSWORD"):
        raise ValueError(f"set FORGEJO_ADMIN_PASSWORD_FILE or FORGEJO_ADMIN_PASSWORD for {given('FORGEJO_ADMIN_USER')}")
    if secret := given("FORGEJO_ADMIN_TOTP_SECRET"):
        try:
            totp(secret)
        except SignInFailed as error:
            raise ValueError(
                f"{error.message}; copy the secret that Forgejo showed: letters, and digits 2 to 7"
            ) from None


def _confdir(environment: Mapping[str, str]) -> Path:
    """mitmproxy's folder. It reads only config.yaml there, and keeps its certificates beside it."""
    state = environment.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    confdir = Path(state, "forgejo-actions-proxy") if INSTALLED else ROOT / ".mitm"
    try:
        confdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        confdir.chmod(0o700)
        _link_options(confdir / "config.yaml")
    except OSError as error:
        raise ValueError(f"{confdir} can't be written: {error.strerror}") from None
    return confdir


def _link_options(config: Path) -> None:
    """Makes config.yaml lead to mitm.yaml. The path of the addon in it is relative to the project's own confdir."""
    if INSTALLED:
        text = (ROOT / "mitm.yaml").read_text("utf-8")
        config.write_text(text.replace("../addon/entry.py", str(ROOT / "addon/entry.py")), "utf-8")
    elif not config.is_symlink():
        config.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError):  # another start has just made it
            config.symlink_to("../mitm.yaml")


def _web_port(setup: Setup, taken: int, arguments: Sequence[str]) -> list[str]:
    """mitmweb's own port: the first free one that is not the proxy's, unless a port was chosen."""
    if "web_port" in setup.options or "web_port" in shlex.join(arguments) or "--web-port" in shlex.join(arguments):
        return []
    ports = (port for port in range(MITMWEB_PORT, MITMWEB_PORT + 100) if port != taken and _is_free(port))
    return ["--web-port", str(next(ports, MITMWEB_PORT))]


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
