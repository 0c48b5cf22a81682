"""The local cloud's control API, as far as the demo and the benchmark need it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Account:
    """One account of a running local cloud. Accounts know nothing of each other."""

    url: str
    id: str

    @property
    def access_key(self) -> str:
        """The access key that makes a client work in this account."""
        return f"LOCAL{self.id}"

    def configure(self, **settings: Any) -> None:
        """Merges into the account's settings: scale, durations, latency, quota, tps."""
        self._ask("PUT", "config", settings)

    def config(self) -> dict[str, Any]:
        """The account's settings, defaults included."""
        return self._ask("GET", "config")

    def state(self) -> dict[str, Any]:
        """Everything that exists in the account."""
        return self._ask("GET", "state")

    def calls(self) -> list[dict[str, Any]]:
        """Every AWS call since the account was last reset."""
        return self._ask("GET", "calls")

    def violations(self) -> list[str]:
        """What AWS's models do not allow in the requests and answers so far."""
        return self._ask("GET", "violations")

    def draws(self) -> list[dict[str, Any]]:
        """How long each thing took: the durations that the cloud drew, in AWS seconds."""
        return self._ask("GET", "draws")

    def set_stack(self, event: dict[str, Any], status: str) -> None:
        """The statuses of the event's stack and resource in CloudFormation from now on."""
        resources = {event["LogicalResourceId"]: status}
        self._ask("PUT", "stacks", {"stack_id": event["StackId"], "stack_status": status, "resources": resources})

    def put_stack(self, name: str, region: str, outputs: dict[str, str]) -> None:
        """A stack that has been deployed, with its outputs."""
        stack_id = f"arn:aws:cloudformation:{region}:{self.id}:stack/{name}/51af3dc0-da77-11e4-872e-1234567db123"
        shown = {"stack_id": stack_id, "stack_status": "CREATE_COMPLETE", "resources": {}, "outputs": outputs}
        self._ask("PUT", "stacks", shown)

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs."""
        return self.state()["jobs"]

    def serve_function(self, url: str) -> None:
        """Has the function's events sent to a URL, whose answers are the function's results."""
        self._ask("PUT", "function", {"url": url})

    def reset(self) -> None:
        """Empties the account."""
        self._ask("POST", "reset")

    def _ask(self, method: str, what: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/_cloud/{self.id}/{what}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None
