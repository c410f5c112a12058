"""The demo that `./run.sh` starts without a Forgejo: python -m tests.double.serve_demo HOST:PORT PROGRAM [ARGS].

DEMO_VERSION chooses the Forgejo version (v7 to v16). DEMO_PACE is the runner's time as a factor of the usual time.
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
import time
from types import FrameType

from tests.double.demo import ADMIN_PASSWORD, ADMIN_USER, ALICE_TOKEN, REPO, VERSION, Demo

START_TIMEOUT = 30.0


def main() -> int:
    """The exit status: that of the proxy; 0 after Ctrl-C or SIGTERM."""
    listen, command = sys.argv[1], sys.argv[2:]
    host, _, port = listen.rpartition(":")
    if _open(host, int(port)):
        print(f"run.sh: {listen} is taken; set LISTEN to another port, as LISTEN=8081 ./run.sh", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):  # also where SIGINT came ignored, as for a job in the background
        signal.signal(number, _interrupt)
    version = os.environ.get("DEMO_VERSION", VERSION)
    demo = Demo(version, f"http://{_reachable(listen)}/", pace=float(os.environ.get("DEMO_PACE", "1")))
    double = demo.start()
    environment = os.environ | {"FORGEJO_ADMIN_USER": ADMIN_USER, "FORGEJO_ADMIN_PASSWORD": ADMIN_PASSWORD}
    # A group of its own: Ctrl-C reaches this process only, which then ends the proxy.
    proxy = subprocess.Popen(
        [*command, "--mode", f"reverse:{double.url}@{listen}"], env=environment, start_new_session=True
    )
    try:
        _wait_for(proxy, host, int(port))
        _print_introduction(demo, version)
        return proxy.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # a second one must not leave the proxy behind
            signal.signal(number, signal.SIG_IGN)
        proxy.terminate()
        proxy.wait()
        demo.stop()


def _wait_for(proxy: subprocess.Popen[bytes], host: str, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while proxy.poll() is None and time.monotonic() < deadline and not _answers(host, port):
        time.sleep(0.05)


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
    print("Look inside:    ./run.sh web    (the same in mitmweb)")
    print("Your Forgejo:   ./run.sh help")
    print("\nCtrl-C ends the demo.", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
