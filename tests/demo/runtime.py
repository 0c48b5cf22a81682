"""Lambda's Runtime API at its least, for measuring: it knows to the moment when the function asks and answers.

The demo uses cargo-lambda's instead; this one adds no process and no copying to the measured work.
"""

from __future__ import annotations

import json
import queue
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cloudformation
import processes

PATIENCE = 600.0
"""Seconds after which a measurement is given up."""


class Function:
    """A started binary, and the Runtime API that it speaks to."""

    def __init__(self, binary: Path, environment: dict[str, str]) -> None:
        self._asked: queue.Queue[float] = queue.Queue()
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._results: queue.Queue[bytes] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._log = tempfile.TemporaryFile()
        runtime = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "measured",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [binary], env=processes.clean_environment() | environment | runtime, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        try:
            self.init_ms = (self._wait(self._asked) - started) * 1000
        except BaseException:
            self.close()
            raise

    def invoke(self, event: dict[str, Any]) -> tuple[bytes, float]:
        """The result of the function, and the seconds from the event to its asking for the next one."""
        started = time.perf_counter()
        self._events.put(event)
        result = self._wait(self._results)
        return result, self._wait(self._asked) - started

    def peak_memory(self) -> float | None:
        """The most memory that the function has had resident, in MB, where the system tells."""
        return processes.peak_memory(self._process.pid)

    def log(self) -> str:
        """The end of the function's log."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-3000:]

    def close(self) -> None:
        """Ends the process and the API."""
        processes.stop(self._process)
        self._server.shutdown()
        self._server.server_close()
        self._log.close()

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _wait(self, wanted: queue.Queue[Any]) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                return wanted.get(timeout=0.2)
            except queue.Empty:
                if self._process.poll() is not None:
                    raise SystemExit(f"the binary ended with {self._process.returncode}\n{self.log()}") from None
        raise SystemExit(f"the function did not come to an end in {PATIENCE:.0f} s\n{self.log()}")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        asked, events, results = self._asked, self._events, self._results

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.put(time.perf_counter())
                event = events.get()
                account, region = cloudformation.account_and_region(event)
                body = json.dumps(event).encode()
                self._answer(
                    200,
                    body,
                    {
                        "Lambda-Runtime-Aws-Request-Id": "00000000-0000-0000-0000-000000000001",
                        "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 900) * 1000)),
                        "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{region}:{account}:function:measured",
                        "Content-Type": "application/json",
                    },
                )

            def do_POST(self) -> None:
                results.put(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                self._answer(202, b"", {})

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
