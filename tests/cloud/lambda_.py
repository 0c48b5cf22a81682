"""Lambda: Invoke takes any function name and records the call. It runs nothing, unless told where the function is."""

from __future__ import annotations

import json
import threading
import urllib.request
from typing import Any
from urllib.parse import unquote

import locks
from moto.awslambda.responses import LambdaResponse

_recorded: dict[str, list[dict[str, Any]]] = {}
_served: dict[str, str] = {}

STATUS = {"Event": 202, "DryRun": 204}
PATIENCE = 600.0
"""Seconds that an event may take, really."""


def install() -> None:
    """Puts this Invoke in the place of moto's, which would run the function in Docker."""
    LambdaResponse.invoke = invoke  # type: ignore[method-assign]


def reset(account_id: str) -> None:
    """Empties an account."""
    _recorded.pop(account_id, None)
    _served.pop(account_id, None)


def serve(account_id: str, body: dict[str, Any]) -> None:
    """Has all events of an account run: they are POSTed to `url`."""
    _served[account_id] = body["url"]


def invoke(self: LambdaResponse) -> tuple[int, dict[str, str], str]:
    """Invoke: an Event is accepted with 202."""
    kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    function = unquote(self.path).removesuffix("/").removesuffix("/invocations").split("/functions/")[-1]
    payload = self.body.decode() if isinstance(self.body, bytes) else self.body or ""
    try:
        parsed = json.loads(payload) if payload else None
    except ValueError:
        parsed = payload
    status = STATUS.get(kind, 200)
    headers = {"status": str(status), "x-amz-executed-version": "$LATEST"}
    if kind != "DryRun":
        _recorded.setdefault(self.current_account, []).append({"function": function, "type": kind, "payload": parsed})
    if self.current_account in _served and kind == "Event":
        threading.Thread(target=run, args=(self.current_account, parsed), daemon=True).start()
    if self.current_account in _served and kind == "RequestResponse":
        # The function calls AWS meanwhile, in the same account.
        lock = locks.of(self.current_account)
        lock.release()
        try:
            return status, headers, run(self.current_account, parsed).decode()
        finally:
            lock.acquire()
    return status, headers, "" if status != 200 else "null"


def run(account_id: str, event: Any) -> bytes:
    """Runs an event where the account's function is served, and returns its result."""
    request = urllib.request.Request(_served[account_id], json.dumps(event).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.read()


def invocations(account_id: str) -> list[dict[str, Any]]:
    """The calls of Invoke so far, in their order."""
    return list(_recorded.get(account_id, []))


def take(account_id: str) -> list[dict[str, Any]]:
    """The calls so far, which are forgotten with that."""
    return _recorded.pop(account_id, [])
