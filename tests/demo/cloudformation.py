"""CloudFormation's side of a custom resource: sample events made deliverable, and the URL that hears the answer.

The simulator with all of CloudFormation's strictness is part of the integration tests; this is the little that a
person at a terminal needs.
"""

from __future__ import annotations

import json
import queue
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

IN_PROGRESS = {"Create": "CREATE_IN_PROGRESS", "Update": "UPDATE_IN_PROGRESS", "Delete": "DELETE_IN_PROGRESS"}
COMPLETE = {"Create": "CREATE_COMPLETE", "Update": "UPDATE_COMPLETE", "Delete": "DELETE_COMPLETE"}
FAILED = {"Create": "CREATE_FAILED", "Update": "UPDATE_FAILED", "Delete": "DELETE_FAILED"}


class ResponseUrl:
    """A server on the loopback that stands where CloudFormation's presigned URL points to."""

    def __init__(self, port: int = 0, heard: Callable[[bytes], None] | None = None) -> None:
        """`heard` is called with each answer; port 0 lets the system choose."""
        answers: queue.Queue[bytes] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answers.put(body)
                if heard:
                    heard(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._answers = answers
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def in_event(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event with its ResponseURL leading here. Path and query stay as they are, escapes included."""
        url = urlsplit(event["ResponseURL"])
        here = url._replace(scheme="http", netloc=f"127.0.0.1:{self._server.server_port}")
        return event | {"ResponseURL": urlunsplit(here)}

    def answers(self) -> list[bytes]:
        """The answers that have come since this was last asked."""
        found = []
        while not self._answers.empty():
            found.append(self._answers.get())
        return found

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()


def load_event(path: Path) -> Any:
    """A sample event, whatever it holds; SystemExit with a sentence where it cannot be read."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise SystemExit(f"there is no {path}; the sample events are in events/") from None
    except json.JSONDecodeError as error:
        raise SystemExit(f"{path} is no JSON: {error}") from None


def is_request(event: Any) -> bool:
    """Whether an event is a request that wants an answer. Sweeps, plans and some malformed ones are not."""
    return isinstance(event, dict) and isinstance(event.get("ResponseURL"), str)


def account_and_region(event: Any) -> tuple[str, str]:
    """The account and the region that an event's stack lives in, from the ARN in StackId; an example's without one."""
    stack = event.get("StackId") if isinstance(event, dict) else None
    found = re.match(r"arn:[^:]+:cloudformation:([^:]+):(\d{12}):", stack) if isinstance(stack, str) else None
    return (found[2], found[1]) if found else ("123456789012", "eu-west-1")
