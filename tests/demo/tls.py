"""TLS, which a local AWS has no use for: whether the function speaks it, and whom it believes."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import binary as shipped
import cloudformation
import processes
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from runtime import Function

CREATE = shipped.MALFORMED | {"RequestType": "Create", "ResourceProperties": {"WorkDir": "s3://lab/work", "MaxCpus": "64"}}


class Quiet(ThreadingHTTPServer):
    """Says nothing about clients that go away, as those do that do not believe it."""

    def handle_error(self, *_: Any) -> None:
        """Nothing, on purpose."""


class Server:
    """An HTTPS server on the loopback that refuses everything, and remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.seen: set[str] = set()
        self.certificate = folder / "authority.pem"
        key = folder / "key.pem"
        _write_certificate(self.certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server = Quiet(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                # AWS4-HMAC-SHA256 Credential=<key>/<day>/<region>/<service>/aws4_request, …
                seen.update(self.headers.get("Authorization", "").split("/")[3:4])
                body = b'{"__type": "AccessDeniedException", "message": "no"}'
                self.send_response(403)
                self.send_header("x-amzn-errortype", "AccessDeniedException")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()


def check(function: Path) -> None:
    """SystemExit unless the calls of the SDK and of the claim reach AWS over TLS, or if an unknown authority is believed."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        local = shipped.ENVIRONMENT | processes.EVERYTHING_ALLOWED | {"AWS_ENDPOINT_URL": server.url, "TOWER_FORGE_TIME_SCALE": "0.05"}
        try:
            told = play(function, local | {"SSL_CERT_FILE": str(server.certificate)})
            if not {"iam", "dynamodb"} <= server.seen:
                raise SystemExit(f"signed calls came over TLS to {sorted(server.seen)} only: {told}")
            server.seen.clear()
            # It tries again for minutes of AWS.
            told = play(function, local | {"TOWER_FORGE_TIME_SCALE": "0.001"})
            if server.seen or not all("ertificate" in each for each in told):
                raise SystemExit(f"an unknown authority was believed: {sorted(server.seen)} {told}")
        finally:
            server.close()


def play(function: Path, environment: dict[str, str]) -> list[str]:
    """A preview, which calls the SDK, and a request, which begins with the claim; what both told."""
    url = cloudformation.ResponseUrl()
    try:
        with Function(function, environment) as process:
            result, _ = process.invoke({"plan": CREATE})
            process.invoke(url.in_event(CREATE))
        return [text.decode(errors="replace") for text in (result, *url.answers())]
    finally:
        url.close()


def _write_certificate(certificate: Path, key: Path) -> None:
    """A certificate that is its own authority, for the loopback."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tower-forge test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(pem, pkcs8, serialization.NoEncryption()))
