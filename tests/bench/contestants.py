"""Who is compared: the upstream itself, mitmdump without an addon, this project, nginx where it is installed, and
another revision of this project if one is given."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from addon import ROOT
from tests.bench.load import address
from tests.support.proxy import Proxy, start_proxy

DIRECT, BARE, OURS, NGINX = "direct", "bare mitmdump", "ours", "nginx"
# What in mitm.yaml is the project's; the rest is mitmproxy's and the same for both.
WITHOUT_ADDON = {"scripts": [], "block_list": []}
NGINX_CONFIG = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder}; client_max_body_size 0; keepalive_requests 1000000;
    upstream forgejo {{ server {upstream}; keepalive 128; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://forgejo; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $http_host; proxy_request_buffering off; proxy_buffering off;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Revision:
    """A revision of this project: the name that tables show, its folder, and the Python of its .venv."""

    name: str
    root: Path
    python: str


@dataclass(frozen=True)
class Contestant:
    """`pid` is that of its first process, None for the upstream itself. `is_ours` is also true for other revisions."""

    name: str
    url: str
    pid: int | None
    is_ours: bool = False


THIS = Revision(OURS, ROOT, sys.executable)


@contextmanager
def start_contestants(
    upstream: str,
    admin: tuple[str, str] = ("none", "none"),
    options: Mapping[str, object] | None = None,
    against: Revision | None = None,
    forked: bool = False,
) -> Iterator[list[Contestant]]:
    """All that there are, in front of the same upstream. `admin` and `options` are this project's.

    With `forked` they start cheaply, where possible: not for measurements.
    """
    with ExitStack() as stack:
        found = [
            Contestant(DIRECT, upstream, None),
            stack.enter_context(_bare_mitmdump(upstream, forked)),
            *(
                _revision(each, stack.enter_context(_started(each, upstream, admin, options, forked)))
                for each in (THIS, against)
                if each is not None
            ),
        ]
        if shutil.which("nginx"):
            found.append(stack.enter_context(_nginx(upstream)))
        yield found


def ours(contestants: Sequence[Contestant]) -> list[Contestant]:
    """This project, and its other revision if there is one."""
    return [each for each in contestants if each.is_ours]


def _started(
    revision: Revision, upstream: str, admin: tuple[str, str], options: Mapping[str, object] | None, forked: bool
) -> AbstractContextManager[Proxy]:
    return start_proxy(upstream, admin, options, root=revision.root, python=revision.python, forked=forked)


def _revision(revision: Revision, proxy: Proxy) -> Contestant:
    return Contestant(revision.name, proxy.url, proxy.process.pid, is_ours=True)


@contextmanager
def _bare_mitmdump(upstream: str, forked: bool) -> Iterator[Contestant]:
    port = _free_port()
    options = WITHOUT_ADDON | {"mode": [f"reverse:{upstream}@127.0.0.1:{port}"]}
    with start_proxy(upstream, options=options, listening=False, forked=forked) as proxy:
        _wait_for(port)
        yield Contestant(BARE, f"http://127.0.0.1:{port}", proxy.process.pid)


@contextmanager
def _nginx(upstream: str) -> Iterator[Contestant]:
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        where = "{}:{}".format(*address(upstream))
        config.write_text(NGINX_CONFIG.format(folder=folder, port=port, upstream=where))
        process = subprocess.Popen(["nginx", "-c", str(config), "-p", folder, "-e", f"{folder}/error.log"])
        try:
            _wait_for(port)
            yield Contestant(NGINX, f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
