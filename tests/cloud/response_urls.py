"""CloudFormation's bucket for the responses of custom resources: one presigned URL for each request.

The URL has the form of AWS's: the key names stack, logical ID and request, and the signature is in the query. The
server refuses as S3 does, and hands the first answer to the stack. The simulator in `tests/it` checks more.
"""

from __future__ import annotations

import functools
import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

Shape = dict[str, Any]

LONGEST = 4096
"""The longest answer that CloudFormation reads, in bytes."""

_heard: dict[str, tuple[Shape, Callable[[Shape], None]]] = {}


def presign(event: Shape, region: str, signed: int, heard: Callable[[Shape], None]) -> str:
    """A URL for the answer to an event, signed in that second; `heard` gets the answer, or what was wrong with it."""
    key = quote(f"{event['StackId']}|{event['LogicalResourceId']}|{event['RequestId']}", safe="/")
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(signed))
    credential = quote(f"LOCAL/{date[:8]}/{region}/s3/aws4_request", safe="")
    target = (
        f"/{key}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-SignedHeaders=host&X-Amz-Expires=7200"
        f"&X-Amz-Credential={credential}&X-Amz-Signature={uuid.uuid4().hex}"
    )
    _heard[target] = event, heard
    return f"http://127.0.0.1:{_server().server_port}{target}"


def fault(event: Shape, answer: Shape) -> str | None:
    """Why CloudFormation would not take an answer, in its words; None where it would."""
    if answer.get("Status") not in ("SUCCESS", "FAILED"):
        return "Invalid Status"
    if answer["Status"] == "FAILED" and not answer.get("Reason"):
        return "Invalid Reason"
    if not answer.get("PhysicalResourceId") or len(answer["PhysicalResourceId"]) > 1024:
        return "Invalid PhysicalResourceId"
    if event["RequestType"] == "Delete" and answer["PhysicalResourceId"] != event["PhysicalResourceId"]:
        return "Invalid PhysicalResourceId"
    wrong = [key for key in ("StackId", "RequestId", "LogicalResourceId") if answer.get(key) != event[key]]
    return f"Invalid {wrong[0]}" if wrong else None


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # S3: the signature covers an empty content type.
        if self.path not in _heard or self.headers.get("Content-Type"):
            self._end(403)
            return
        event, heard = _heard[self.path]
        failed = {"Status": "FAILED", "PhysicalResourceId": event.get("PhysicalResourceId")}
        try:
            answer = json.loads(body)
            why = "Response object is too long." if len(body) > LONGEST else fault(event, answer)
        except (ValueError, AttributeError):
            answer, why = {}, "Response is not valid JSON"
        heard(answer if why is None else failed | {"Reason": why})
        self._end(200)

    def _end(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@functools.cache
def _server() -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="responses", daemon=True).start()
    return server
