"""The demo that `./run.sh` starts without a Forgejo: python -m tests.double.serve_demo HOST:PORT PROGRAM [ARGS].

DEMO_VERSION chooses the Forgejo version, as v7. DEMO_PACE is the runner's time as a factor of the usual time.
The stand-in runs in this process, the proxy PROGRAM in front of it. Both end together.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from queue import SimpleQueue

from addon import COMMAND
from addon.proxy.lifetime import LIFELINE
from tests.double.demo import ADMIN_PASSWORD, ADMIN_USER, ALICE_TOKEN, REPO, VERSION, Demo
from tests.double.versions import VERSIONS


def main() -> int:
    """The exit status: that of the proxy; 0 after Ctrl-C, SIGTERM or SIGHUP; 2 after a wrong input."""
    listen, command = sys.argv[1], sys.argv[2:]
    host, _, port = listen.rpartition(":")
    try:
        version, pace = _version(os.environ.get("DEMO_VERSION", VERSION)), _pace(os.environ.get("DEMO_PACE", "1"))
        if _open(host, int(port)):
            raise ValueError(f"{listen} is taken; set LISTEN to another port, as LISTEN=8082 {COMMAND}")
    except ValueError as error:
        print(f"{COMMAND.removeprefix('./')}: {error}", file=sys.stderr)
        return 2
    ends: SimpleQueue[int] = SimpleQueue()
    _end_by_signals(ends)
    demo = Demo(version, f"http://{_reachable(listen)}/", pace=pace)
    double = demo.start()
    environment = os.environ | {
        "FORGEJO_ADMIN_USER": ADMIN_USER,
        "FORGEJO_ADMIN_PASSWORD": ADMIN_PASSWORD,
        LIFELINE: "stdin",
    }
    # A session of its own: Ctrl-C reaches this process only. The proxy ends when this process does, because its
    # standard input ends then.
    proxy = subprocess.Popen(
        [*command, "--mode", f"reverse:{double.url}@{listen}"],
        env=environment,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert proxy.stdin is not None
    threading.Thread(target=lambda: ends.put(proxy.wait()), daemon=True).start()
    try:
        if _is_reached(ends, host, int(port)):
            _print_introduction(demo, version)
        status = ends.get()
    finally:
        proxy.stdin.close()
        proxy.wait()
        demo.stop()
    return status if status >= 0 else 128 - status


def _end_by_signals(ends: SimpleQueue[int]) -> None:
    """Lets a signal end the demo, also where SIGINT came ignored, as for a job in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores it
            signal.signal(number, lambda *_: ends.put(0))


def _version(text: str) -> str:
    """A version's name, also without its v. Raises ValueError."""
    name = text if text.startswith("v") else f"v{text}"
    if name not in VERSIONS:
        raise ValueError(f"DEMO_VERSION is {text!r}; write one of {', '.join(VERSIONS)}")
    return name


def _pace(text: str) -> float:
    """Raises ValueError for what is no number from 0.01 to 100."""
    try:
        pace = float(text)
    except ValueError:
        pace = 0
    if not 0.01 <= pace <= 100:
        raise ValueError(f"DEMO_PACE is {text!r}; write a number from 0.01 to 100, as 0.5 for twice as fast")
    return pace


def _is_reached(ends: SimpleQueue[int], host: str, port: int) -> bool:
    """Whether the proxy answers before something ends it."""
    while ends.empty() and not _answers(host, port):
        time.sleep(0.05)
    return ends.empty()


def _answers(host: str, port: int) -> bool:
    """Whether the proxy answers, which it does after its start line."""
    connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=5)
    try:
        connection.request("GET", "/api/v1/actions-extensions")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host.strip("[]"), port), timeout=1).close()
    except OSError:
        return False
    return True


def _reachable(listen: str) -> str:
    """An address that clients on this machine can use."""
    host, _, port = listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _print_introduction(demo: Demo, version: str) -> None:
    root = demo.double.root
    print(f"\nDemo: a stand-in for Forgejo {version[1:]} with sample runs of {REPO}, behind the proxy at {root}\n")
    print("You are alice; her token may read and write. Try this in another terminal:\n")
    for what, command in demo.examples():
        print(f"  # {what}\n  {command}\n")
    if shutil.which("git"):
        address = root.removeprefix("http://")
        print(f"  # A repository to push to\n  git clone http://alice:{ALICE_TOKEN}@{address}/{REPO}.git\n")
    print(f"In a browser:   {root}/")
    print(f"Documentation:  {root}/api/v1/actions-extensions/docs")
    print(f"Look inside:    {COMMAND} web    (the same in mitmweb)")
    print(f"Your Forgejo:   {COMMAND} help")
    print("\nCtrl-C ends the demo.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
