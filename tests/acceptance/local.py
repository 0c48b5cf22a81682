"""The local AWS with the function in it, so that `make acceptance` has an account to ask: `LOCAL=1`, and the tests.

    python tests/acceptance/local.py BINARY [OPTION ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "demo"))

import processes  # noqa: E402
from control import Account  # noqa: E402
from runtime import Function  # noqa: E402

REGION = "eu-west-1"
SCALE = 0.02
"""Real seconds per AWS second: a Create takes about two seconds."""


class Functions:
    """As many processes of the function as events at once, and the URL to which the local AWS sends events."""

    def __init__(self, binary: Path, environment: dict[str, str]) -> None:
        self._binary, self._environment = binary, environment
        self._idle: list[Function] = []
        self._all: list[Function] = []
        functions = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = functions.run(event)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def run(self, event: Any) -> bytes:
        """Runs one event in a process that has nothing else to do."""
        try:
            function = self._idle.pop()
        except IndexError:
            function = Function(self._binary, self._environment)
            self._all.append(function)
        result, _ = function.invoke(event)
        self._idle.append(function)
        return result

    def close(self) -> None:
        """Ends all of them."""
        self._server.shutdown()
        self._server.server_close()
        for each in self._all:
            each.close()


class Local:
    """One account of a local AWS in which the function has been deployed."""

    def __init__(self, binary: Path, url: str, account_id: str) -> None:
        self.account = Account(url, account_id)
        self.account.configure(scale=SCALE, tps={"batch": None})
        self.environment = processes.clean_environment() | processes.local_environment(self.account, REGION, SCALE)
        self._functions = Functions(binary, processes.local_environment(self.account, REGION, SCALE))
        self.account.serve_function(self._functions.url)
        self.account.put_stack("tower-forge", REGION, {"ServiceToken": self.service_token})

    @property
    def service_token(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:{REGION}:{self.account.id}:function:TowerForge-handler"

    def client(self, service: str) -> Any:
        """A client of the account."""
        key = self.account.access_key
        return boto3.client(
            service, REGION, endpoint_url=self.account.url, aws_access_key_id=key, aws_secret_access_key="local"
        )

    def command(self, *options: str) -> list[str]:
        """The command of an acceptance run, which asks for no consent."""
        return [sys.executable, str(HERE), "--yes", *options]

    def close(self) -> None:
        """Ends the function."""
        self._functions.close()


def main() -> int:
    """Runs the command against a local AWS that ends with it."""
    cloud, url = processes.start_cloud()
    local = Local(Path(sys.argv[1]).resolve(), url, "123456789012")
    try:
        return subprocess.run(local.command(*sys.argv[2:]), env=local.environment, check=False).returncode
    finally:
        local.close()
        processes.stop(cloud)


if __name__ == "__main__":
    os.chdir(processes.ROOT)
    sys.exit(main())
