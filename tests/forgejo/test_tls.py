"""A Forgejo at https://: its certificate must be from an authority that the application knows."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mitmproxy.certs import CertStore

from addon.errors import UpstreamUnexpected
from addon.forgejo.transport import Transport


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def authority(tmp_path: Path) -> CertStore:
    """A certificate authority that nobody knows yet."""
    return CertStore.from_store(tmp_path, "authority", 2048)


@pytest.fixture
def address(authority: CertStore, tmp_path: Path) -> Iterator[str]:
    """A server with a certificate of the authority for `localhost`."""
    entry = authority.get_cert("localhost", [x509.DNSName("localhost")])
    key = entry.privatekey.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "chain.pem").write_bytes(entry.cert.to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_unknown_authority_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the environment change nothing."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "authority-ca-cert.pem"))
    with pytest.raises(UpstreamUnexpected) as refused:
        Transport(address, 5, 1).request("GET", "/")
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.__cause__)


def test_a_known_authority_is_accepted(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "authority-ca-cert.pem"))
    assert Transport(address, 5, 1).request("GET", "/").status == 204


def test_a_certificate_for_another_host_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "authority-ca-cert.pem"))
    with pytest.raises(UpstreamUnexpected) as refused:
        Transport(address.replace("localhost", "127.0.0.1"), 5, 1).request("GET", "/")
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.__cause__)
