"""Lambda: Invoke takes any function name, records the call and runs nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse

_recorded: dict[str, list[dict[str, Any]]] = {}

STATUS = {"Event": 202, "DryRun": 204}


def install() -> None:
    """Puts this Invoke in the place of moto's, which would run the function in Docker."""
    LambdaResponse.invoke = invoke  # type: ignore[method-assign]


def reset(account_id: str) -> None:
    """Empties an account."""
    _recorded.pop(account_id, None)


def invoke(self: LambdaResponse) -> tuple[int, dict[str, str], str]:
    """Invoke: an Event is accepted with 202."""
    kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    function = unquote(self.path).removesuffix("/").removesuffix("/invocations").split("/functions/")[-1]
    payload = self.body.decode() if isinstance(self.body, bytes) else self.body or ""
    try:
        parsed = json.loads(payload) if payload else None
    except ValueError:
        parsed = payload
    if kind != "DryRun":
        _recorded.setdefault(self.current_account, []).append({"function": function, "type": kind, "payload": parsed})
    status = STATUS.get(kind, 200)
    return status, {"status": str(status), "x-amz-executed-version": "$LATEST"}, "" if status != 200 else "null"


def invocations(account_id: str) -> list[dict[str, Any]]:
    """The calls of Invoke so far, in their order."""
    return list(_recorded.get(account_id, []))


def take(account_id: str) -> list[dict[str, Any]]:
    """The calls so far, which are forgotten with that."""
    return _recorded.pop(account_id, [])
