"""mitmdump in a process of its own, forked from one that has loaded the modules: a third of the CPU time of a start."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["addon.proxy.addon", "mitmproxy.tools.dump", "mitmproxy.tools.main", "tests.support.forked_application"]
)


class ForkedMitmdump:
    """As much of `subprocess.Popen` as tests use."""

    def __init__(self, confdir: str, folder: Path, environment: Mapping[str, str]) -> None:
        reader, writer = CONTEXT.Pipe(duplex=False)
        given = (confdir, folder, dict(environment), writer)
        self._process = CONTEXT.Process(target=_mitmdump, args=given, daemon=True)
        self._process.start()
        writer.close()
        self.stdout: TextIO = os.fdopen(os.dup(reader.fileno()))
        reader.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("mitmdump", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _mitmdump(confdir: str, folder: Path, environment: Mapping[str, str], output: Connection) -> None:
    from mitmproxy.tools.main import mitmdump

    from tests.support import forked_application

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    output.close()
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    forked_application.prepare()
    _write_authority(Path(confdir))
    sys.argv = ["mitmdump", "--set", f"confdir={confdir}"]
    mitmdump()


def _write_authority(confdir: Path) -> None:
    """A certificate authority with an elliptic key. Otherwise mitmproxy makes and loads an RSA key, which takes 0.15 s."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mitmproxy")])
    now, day = datetime.now(UTC), timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    public = builder.sign(key, hashes.SHA256()).public_bytes(pem)
    (confdir / "mitmproxy-ca.pem").write_bytes(private + public)
