"""The demo that `./run.sh` starts without a Forgejo: python -m tests.double.serve_demo HOST:PORT PROGRAM [ARGS].

DEMO_VERSION names another Forgejo (v7 to v16), DEMO_PACE how long its runner takes, as a part of its usual time.
Runs the demo's stand-in in this process and the proxy PROGRAM before it, prints lines to paste once it listens, and
ends both together.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

from tests.double.demo import ADMIN_PASSWORD, ADMIN_USER, ALICE_TOKEN, BOB_TOKEN, REPO, VERSION, Demo

START_TIMEOUT = 30.0
EXAMPLES = (
    ("the log of the newest run of a workflow", BOB_TOKEN, "latest/logs?workflow_id=ci.yml"),
    ("the log of job 1 of run 42", BOB_TOKEN, "42/logs?job=1"),
    ("the jobs of the newest run of a workflow", BOB_TOKEN, "latest/jobs?workflow_id=ci.yml"),
    ("what failed", BOB_TOKEN, "latest/summary"),
    ("run it again (alice may write)", ALICE_TOKEN, "latest/rerun"),
)


def main() -> int:
    """The exit status: that of the proxy; 0 after Ctrl-C or SIGTERM."""
    listen, command = sys.argv[1], sys.argv[2:]
    host, _, port = listen.rpartition(":")
    if _open(host, int(port)):
        print(f"run.sh: {listen} is taken; set LISTEN to another port, as LISTEN=8081 ./run.sh", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):  # also where SIGINT came ignored, as for a job in the background
        signal.signal(number, _interrupt)
    demo = Demo(os.environ.get("DEMO_VERSION", VERSION), pace=float(os.environ.get("DEMO_PACE", "1")))
    double = demo.start()
    environment = os.environ | {"FORGEJO_ADMIN_USER": ADMIN_USER, "FORGEJO_ADMIN_PASSWORD": ADMIN_PASSWORD}
    # A group of its own: Ctrl-C reaches this process only, which then ends the proxy.
    proxy = subprocess.Popen(
        [*command, "--mode", f"reverse:{double.url}@{listen}"], env=environment, start_new_session=True
    )
    try:
        _wait_for(proxy, host, int(port))
        _print_examples(f"http://{host}:{port}/api/v1/repos/{REPO}/actions/runs")
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
    while proxy.poll() is None and time.monotonic() < deadline and not _open(host, port):
        time.sleep(0.05)


def _open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host.strip("[]"), port), timeout=1).close()
    except OSError:
        return False
    return True


def _print_examples(base: str) -> None:
    print("\nA demo Forgejo with sample runs is behind the proxy. Paste into another terminal:\n")
    for what, token, path in EXAMPLES:
        post = "-X POST " if path.endswith("/rerun") else ""
        print(f"  # {what}\n  curl {post}-H 'Authorization: token {token}' '{base}/{path}'\n")
    if shutil.which("git"):
        host = base.removeprefix("http://").partition("/")[0]
        print(f"  # a repository to push to (see Recipes)\n  git clone http://alice:{ALICE_TOKEN}@{host}/{REPO}.git\n")
    print("Ctrl-C ends it. To run in front of your own Forgejo: ./run.sh help", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
