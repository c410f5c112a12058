"""The files in addon/deploy/: nginx is run as they say, the others are read by their own programs where those are."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from ipaddress import ip_address, ip_network
from pathlib import Path, PurePosixPath

import pytest
import yaml

from addon import ROOT, settings
from tests.double import Double
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample

DEPLOY = ROOT / "addon/deploy"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@dataclass(frozen=True)
class Stage:
    """A stand-in behind two proxies behind nginx with `url`, or behind the first of them."""

    double: Double
    proxies: tuple[Proxy, ...]
    demo: Sample
    url: str
    certificate: str

    def curl(self, path: str, *options: str) -> str:
        """What curl prints; it trusts nginx's certificate."""
        host, port = "forge.example", self.url.rpartition(":")[2]
        token = ("-H", f"Authorization: token {self.demo.writer}")
        command = [
            "curl",
            "-sS",
            "--max-time",
            "20",
            "--cacert",
            self.certificate,
            "--resolve",
            f"{host}:{port}:127.0.0.1",
        ]
        done = subprocess.run(
            [*command, *token, *options, f"https://{host}:{port}{path}"], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextlib.contextmanager
def stage(name: str, folder: Path) -> Iterator[Stage]:
    """`name` with the addresses of this test instead of its own."""
    certificate = folder / "fullchain.pem"
    subject = ("-subj", "/CN=forge.example", "-addext", "subjectAltName=DNS:forge.example")
    key = folder / "privkey.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            *subject,
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    with Double(version="v15", root_url="https://forge.example/") as double, contextlib.ExitStack() as running:
        admin, demo = double.world.admin, sample(double.world, "deploy")
        count = 2 if "paths" in name else 1
        proxies = tuple(
            running.enter_context(start_proxy(double.url, (admin.name, admin.password))) for _ in range(count)
        )
        port = free_port()
        addresses = dict(
            zip(("127.0.0.1:8081", "127.0.0.1:8082") if count == 2 else ("127.0.0.1:8080",), proxies, strict=True)
        )
        text = (DEPLOY / name).read_text().replace("listen 443 ", f"listen 127.0.0.1:{port} ")
        text = text.replace("/etc/ssl/forge.example", str(folder)).replace(
            "127.0.0.1:3000", double.url.removeprefix("http://")
        )
        for address, proxy in addresses.items():
            assert address in text
            text = text.replace(address, proxy.url.removeprefix("http://"))
        running.enter_context(nginx(folder, text, port))
        yield Stage(double, proxies, demo, f"https://127.0.0.1:{port}", str(certificate))


@contextlib.contextmanager
def nginx(folder: Path, site: str, port: int) -> Iterator[None]:
    (folder / "site.conf").write_text(site)
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary} include {folder}/site.conf; }}\n"
    )
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 20
        while not open_port(port):
            assert process.poll() is None and time.monotonic() < deadline, process.stderr and process.stderr.read()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def open_port(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@needs_nginx
def test_nginx_in_front_of_everything(tmp_path: Path) -> None:
    with stage("nginx.conf", tmp_path) as running:
        demo = running.demo
        version = ("-o", "/dev/null", "-w", "%{http_version} %{http_code}")
        assert running.curl(f"{demo.base}/1/logs", "--http2", *version) == "2 200"
        spoofed = ("-H", "X-Forwarded-For: 6.6.6.6", "-H", "X-Forwarded-Proto: gopher", "-H", "X-Real-IP: 6.6.6.6", "-H", "X-WebAuth-User: root", "-H", "Forwarded: for=6.6.6.6", "-H", "X-Forwarded-Host: evil.example")  # fmt: skip
        running.double.forget_requests()
        links = json.loads(running.curl(f"{demo.base}/by-number/1", *spoofed))
        assert links["logs_url"].startswith(f"https://forge.example:{running.url.rpartition(':')[2]}/api/v1/repos/")
        running.curl("/api/v1/version", *spoofed)
        asked = [seen for seen in running.double.requests if seen.path.startswith("/api/")]
        assert len(asked) > 1 and {seen.headers["X-Forwarded-For"] for seen in asked} == {"127.0.0.1"}
        assert {seen.headers["X-Real-IP"] for seen in asked} == {"127.0.0.1"}
        assert not any({"X-WebAuth-User", "Forwarded", "X-Forwarded-Host"} & set(seen.headers) for seen in asked)
        large = tmp_path / "large"
        large.write_bytes(bytes(3_000_000))
        assert running.curl("/api/v1/version", "--http2", "--data-binary", f"@{large}", *version) == "2 404"


@needs_nginx
def test_two_proxies_behind_nginx_get_only_what_is_theirs(tmp_path: Path) -> None:
    with stage("nginx-paths.conf", tmp_path) as running:
        demo, one, two = running.demo, *running.proxies

        def status(path: str, *options: str) -> str:
            return running.curl(path, "-o", "/dev/null", "-w", "%{http_code}", *options)

        deadline = time.monotonic() + 30
        while not all("runs/1/logs → 200" in proxy.log() for proxy in (one, two)):
            assert status(f"{demo.base}/1/logs") == "200"
            assert time.monotonic() < deadline, "one of them is never asked"

        for path in (
            f"{demo.base}/latest", f"{demo.base}/by-number/2", f"{demo.base}/2/jobs", f"{demo.base}/2/summary",
            "/api/v1/actions-extensions/", "/api/v1/actions-extensions/health", f"/{demo.base}//2/jobs", f"{demo.base}/%6catest",
            f"/%61pi/v1/repos/{demo.repo.full_name}/actions/runs/2/jobs",
        ):  # fmt: skip
            assert "x-actions-extension" in running.curl(path, "-I", "--path-as-is").lower(), path
        assert status(f"{demo.base}/2/rerun", "-X", "POST") == "201"

        assert one.stop() == 0  # as for an update: the other answers, and nobody notices
        assert [status(f"{demo.base}/1/logs") for _ in range(4)] == ["200"] * 4
        assert two.stop() == 0  # with none left, Forgejo goes on, and answers nothing in their place
        assert (status("/api/v1/version"), status(f"{demo.base}/1/logs")) == ("200", "502")


def test_the_unit() -> None:
    """Also what systemd does not check: paths and names that must agree with run.sh."""
    text = (DEPLOY / "actions-proxy.service").read_text()
    values = dict(
        line.partition("=")[::2]
        for line in text.splitlines()
        if "=" in line and not line.startswith(("#", "Environment"))
    )
    environment = dict(re.findall(r"^Environment=([A-Z_]+)=(.*)$", text, re.M))
    assert environment["FORGEJO_ADMIN_PASSWORD_FILE"] == "%d/" + values["LoadCredential"].partition(":")[0]
    assert values["ExecStart"] == f"{values['WorkingDirectory']}/run.sh"
    assert values["ReadWritePaths"] == f"{values['WorkingDirectory']}/.mitm"
    assert values["KillMode"] == "mixed", "the application must not be ended beside the proxy"
    known_by_run_sh(environment)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "actions-proxy.service"
    unit.write_text((DEPLOY / unit.name).read_text().replace("/opt/actions-proxy/run.sh", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, unit.name in done.stderr) == (0, False), done.stderr


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")
def test_caddy_takes_the_caddyfile(tmp_path: Path) -> None:
    command = ["caddy", "adapt", "--adapter", "caddyfile", "--validate", "--config", DEPLOY / "Caddyfile"]
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PATH": "/usr/bin:/usr/local/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=home)
    assert done.returncode == 0, done.stderr


def test_nginx_and_caddy_send_the_same_paths() -> None:
    (nginx_paths,) = re.findall(r"location ~ (\S+) \{", (DEPLOY / "nginx-paths.conf").read_text())
    (caddy_paths,) = re.findall(r"path_regexp (\S+)", (DEPLOY / "Caddyfile").read_text())
    for path in (
        "/api/v1/repos/o/r/actions/runs/latest",
        "/api/v1/actions-extensions",
        "/api/v1/actions-extensions/health",
    ):
        assert re.search(nginx_paths, path) and re.search(caddy_paths, path)
    for path in (
        "/api/v1/repos/o/r",
        "/o/r/actions/runs/1",
        "/api/actions/runner.v1.RunnerService/FetchTask",
        "/x/api/v1/repos/o/r/actions/",
    ):
        assert not re.search(nginx_paths, path) and not re.search(caddy_paths, path)


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def test_the_dockerfile() -> None:
    """What it copies is there, before what is run needs it, and its commands are ones that run.sh has."""
    known = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"}
    found = instructions()
    assert found[0][0] == "FROM" and {name for name, _ in found} <= known
    copied: list[str] = []
    for name, argument in found:
        if name == "COPY":
            *sources, _ = shlex.split(argument)
            assert all((ROOT / source).exists() for source in sources)
            copied += sources
        if "./run.sh" in argument and name == "RUN":
            assert {"run.sh", "requirements.lock"} <= set(copied) and "./run.sh set-up" in argument
    assert {"addon", "mitm.yaml"} <= set(copied)
    assert json.loads(dict(found)["ENTRYPOINT"]) == ["./run.sh"]
    assert json.loads(dict(found)["HEALTHCHECK"].partition("CMD ")[2])[1] == "-c"
    known_by_run_sh({pair.partition("=")[0]: "" for pair in dict(found)["ENV"].split()} | {"LISTEN": ""})


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file out of the image's build: the last rule that matches it or a parent decides."""
    parents = [path, *map(str, PurePosixPath(path).parents)][:-1]
    left_out = False
    for rule in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = rule.removeprefix("!").removeprefix("**/")
        names = [PurePosixPath(each).name for each in parents] if "**/" in rule else parents
        if rule and not rule.startswith("#") and any(fnmatch(name, pattern) for name in names):
            left_out = not rule.startswith("!")
    return left_out


def test_no_secret_gets_into_the_image() -> None:
    for path in (
        "addon/deploy/password",
        "addon/deploy/password.txt",
        ".env",
        "password",
        ".git/config",
        ".mitm/mitmproxy-ca.pem",
    ):
        assert ignored(path), path
    assert subprocess.run(["git", "check-ignore", "-q", "addon/deploy/password"], cwd=ROOT).returncode in (0, 128)


def test_the_image_without_a_forgejo(tmp_path: Path) -> None:
    """What the Dockerfile copies is enough to say what is missing. There is no demo in an image."""
    copied = [source for name, argument in instructions() if name == "COPY" for source in shlex.split(argument)[:-1]]
    files = [file for source in copied for file in [ROOT / source, *(ROOT / source).rglob("*")] if file.is_file()]
    for file in files:
        path = file.relative_to(ROOT)
        if not ignored(str(path)):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, tmp_path / path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FORGEJO_")}
    for command in ((), ("web",)):
        done = subprocess.run(
            [sys.executable, "-m", "addon.command", *command], cwd=tmp_path, env=clean, capture_output=True, text=True
        )
        assert done.returncode == 2 and "set FORGEJO_URL to your Forgejo's scheme, host and port" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_passwords_file_has_one_owner_and_mode() -> None:
    """Each instruction to make it agrees with the user in the image, and with where compose.yaml reads it."""
    (uid,) = re.findall(r"--uid (\d+)", (DEPLOY / "Dockerfile").read_text())
    file = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["secrets"]["password"]["file"]
    for page in (ROOT / "README.md", DEPLOY / "compose.yaml", ROOT / "addon/docs/deploy.md"):
        assert f"sudo install -D -m 600 -o {uid} /dev/stdin {file}" in page.read_text(), page
    assert ROOT not in Path(file).parents


def test_the_compose_file() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    proxy, forgejo = compose["services"]["actions-proxy"], compose["services"]["forgejo"]
    context = (DEPLOY / proxy["build"]["context"]).resolve()
    assert context == ROOT and (context / proxy["build"]["dockerfile"]).exists()
    known_by_run_sh(proxy["environment"])
    assert proxy["environment"]["FORGEJO_URL"] == "http://forgejo:3000"
    (secret,) = proxy["secrets"]
    assert (
        proxy["environment"]["FORGEJO_ADMIN_PASSWORD_FILE"] == f"/run/secrets/{secret}" and secret in compose["secrets"]
    )
    assert not any("3000" in port for port in forgejo["ports"]), "Forgejo can be reached past the proxy"
    assert all(port.startswith("127.0.0.1:") for port in proxy["ports"])
    (gateway,) = [each["gateway"] for each in compose["networks"]["outside"]["ipam"]["config"]]
    assert (
        proxy["command"] == ["--set", f"actions_trusted_proxies={gateway}"]
        and "actions_trusted_proxies" in settings.OPTIONS
    )
    assert "actions_trusted_proxies" not in yaml.safe_load((ROOT / "mitm.yaml").read_text()), "it would win over --set"
    for service in compose["services"].values():
        assert set(service["networks"]) <= set(compose["networks"])
    assert set(forgejo["networks"]) & set(proxy["networks"]) == {"inside"} and compose["networks"]["inside"]["internal"]
    address = proxy["networks"]["inside"]["ipv4_address"]
    assert forgejo["environment"]["FORGEJO__security__REVERSE_PROXY_TRUSTED_PROXIES"] == f"{address}/32"
    (inside,) = compose["networks"]["inside"]["ipam"]["config"]
    assert ip_address(address) in ip_network(inside["subnet"])
    assert ip_address(address) not in ip_network(inside["ip_range"]), "Forgejo, which starts first, could get it"


@pytest.mark.parametrize("file", ["nginx.conf", "nginx-paths.conf"])
def test_nginx_removes_what_tells_a_user_or_another_host(file: str) -> None:
    found = dict(re.findall(r"proxy_set_header (\S+) (\S+);", (DEPLOY / file).read_text()))
    removed = {"X-Forwarded-Host", "Forwarded", "X-WebAuth-User", "X-WebAuth-Email", "X-WebAuth-FullName"}
    assert {name for name, value in found.items() if value == '""'} >= removed
    assert {found[name] for name in ("X-Forwarded-For", "X-Real-IP")} == {"$remote_addr"}


def test_caddy_removes_the_same() -> None:
    text = (DEPLOY / "Caddyfile").read_text()
    assert set(re.findall(r"request_header -(\S+)", text)) == {"Forwarded", "X-Real-IP", "X-WebAuth-*"}
    sites = re.findall(r"^\S*forge\.example \{\n(.*)", text, re.MULTILINE)
    assert sites == ["\timport clean"] * 2


def known_by_run_sh(environment: dict[str, str]) -> None:
    """`[_FILE]` behind a name stands for a second variable."""
    text = (ROOT / "addon/command/usage.txt").read_text()
    for name in environment:
        assert name.removesuffix("_FILE") in text or name.startswith("PYTHON"), name


def test_the_deployment_page_names_each_file() -> None:
    page = (ROOT / "addon/docs/deploy.md").read_text()
    assert all(f"addon/deploy/{file.name}" in page for file in DEPLOY.iterdir())
