"""The plan of a deployed function, asked as `make plan AWS=1` does, from a server that plays Lambda."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import play
import pytest

EVENT = Path(__file__).resolve().parents[2] / "events/create-spot.json"
PLAN = {"operation": "Create", "forge": "Cafe1", "steps": [], "warnings": []}


class Lambda:
    """Answers each invocation alike, and remembers the requests."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = PLAN
        self.status = 200
        self.asked: list[tuple[str, Any]] = []
        lambda_ = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                lambda_.asked.append((self.path, json.loads(body)))
                answer = json.dumps(lambda_.answer).encode()
                self.send_response(lambda_.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    server = Lambda()
    environment = {"ENDPOINT_URL": server.url, "ACCESS_KEY_ID": "AKIA", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "eu-central-1"}
    for name, value in environment.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield server
    server.close()


def test_the_deployed_function_is_asked_for_the_plan(deployed: Lambda, capsys: pytest.CaptureFixture[str]) -> None:
    play.plan_on_aws(EVENT)
    event = json.loads(EVENT.read_text())
    assert deployed.asked == [("/2015-03-31/functions/TowerForge-handler/invocations", {"plan": event})]
    out = capsys.readouterr().out
    assert "eu-central-1" in out and "Create forge Cafe1" in out and "nothing has been changed" in out


def test_a_refusal_is_told(deployed: Lambda) -> None:
    deployed.answer = {"error": "[InvalidRequest] MaxCpus: given 200, allowed: up to 150"}
    with pytest.raises(SystemExit, match="up to 150"):
        play.plan_on_aws(EVENT)
    deployed.answer, deployed.status = {"Message": "Function not found: TowerForge-handler"}, 404
    with pytest.raises(SystemExit, match="Function not found"):
        play.plan_on_aws(EVENT)
