"""Faults on demand, and the rate limit: errors and delays of a call before or after it is executed."""

from __future__ import annotations

import os
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

import settings
from wire import Call

KINDS = ("throttle", "error500", "refuse", "lose", "slow", "deny", "kill_before", "kill_after")

# How each service says that it is asked too often, that it has failed, and that one may not: (code, message,
# status). Services that are not named answer as the first line of each does.
THROTTLES = {
    None: ("ThrottlingException", "Rate exceeded", 400),
    "batch": ("TooManyRequestsException", "Too Many Requests", 429),
    "cloudformation": ("Throttling", "Rate exceeded", 400),
    # A table on demand; a key that is asked for too often may be ProvisionedThroughputExceededException: see `code`.
    "dynamodb": ("ThrottlingException", "Throughput exceeds the current capacity of your table or index.", 400),
    "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "efs": ("ThrottlingException", "Rate exceeded", 429),
    "iam": ("Throttling", "Rate exceeded", 400),
    "lambda": ("TooManyRequestsException", "Rate Exceeded.", 429),
    "s3": ("SlowDown", "Please reduce your request rate.", 503),
    "sts": ("Throttling", "Rate exceeded", 400),
}
FAILURES = {
    None: ("InternalServerError", "An internal error occurred.", 500),
    "batch": ("ServerException", "An unexpected error occurred.", 500),
    "cloudformation": ("InternalFailure", "An internal failure occurred.", 500),
    "ec2": ("InternalError", "An internal error has occurred", 500),
    "iam": ("ServiceFailure", "The request processing has failed because of an unknown error.", 500),
    "lambda": ("ServiceException", "An error occurred and the request cannot be processed.", 500),
    "logs": ("ServiceUnavailableException", "The service cannot complete the request.", 500),
    "s3": ("InternalError", "We encountered an internal error. Please try again.", 500),
    "sts": ("InternalFailure", "An internal failure occurred.", 500),
}
DENIALS = {
    None: ("AccessDeniedException", 400),
    "batch": ("AccessDeniedException", 403),
    "cloudformation": ("AccessDenied", 403),
    "ec2": ("UnauthorizedOperation", 403),
    "efs": ("AccessDeniedException", 403),
    "iam": ("AccessDenied", 403),
    "lambda": ("AccessDeniedException", 403),
    "s3": ("AccessDenied", 403),
    "sts": ("AccessDenied", 403),
}


def throttle(service: str, code: str | None = None) -> tuple[str, str, int]:
    """The answer of a service that is asked too often."""
    usual, message, status = THROTTLES.get(service, THROTTLES[None])
    return code or usual, message, status


def failure(service: str, code: str | None = None) -> tuple[str, str, int]:
    """The answer of a service that has failed."""
    usual, message, status = FAILURES.get(service, FAILURES[None])
    return code or usual, message, status


def denial(service: str, principal: str, action: str, resource: str, why: str) -> tuple[str, str, int]:
    """The answer of a service to somebody who may not; `why` is the clause that ends AWS's sentence."""
    code, status = DENIALS.get(service, DENIALS[None])
    on = "" if resource == "*" and service == "ec2" else f" on resource: {resource}"
    text = f"User: {principal} is not authorized to perform: {action}{on} {why}"
    if service == "ec2":
        text = f"You are not authorized to perform this operation. {text}"
    return code, text, status


@dataclass
class Rule:
    """Which calls a fault meets, and which of them it befalls.

    `code` is another code than the usual one, for services that have several for throttling or failure.
    """

    do: str
    service: str | None = None
    operation: str | None = None
    app: str | None = None
    mutating: bool | None = None
    resource: str | None = None
    nth: int = 1
    times: int | None = 1
    pid: int | None = None
    seconds: float = 0
    code: str | None = None
    matched: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.do not in KINDS:
            raise ValueError(f"do: one of {', '.join(KINDS)} is wanted, not {self.do!r}")
        if self.nth < 1 or (self.times is not None and self.times < 1):
            raise ValueError("nth and times count from 1")
        # A signal to 0, to 1 or to a negative number would end far more than one process.
        if self.do.startswith("kill") and (not isinstance(self.pid, int) or self.pid <= 1 or self.pid == os.getpid()):
            raise ValueError(f"{self.do}: the pid of another process is wanted, not {self.pid!r}")

    def due(self, call: Call, app: str | None, resources: list[str]) -> bool:
        """Counts the call where it matches, and says whether the fault befalls it."""
        matches = (
            (self.service in (None, call.service))
            and (self.operation in (None, call.operation))
            and (self.app in (None, app))
            and (self.mutating in (None, call.mutating))
            and (self.resource is None or any(self.resource in each for each in resources))
        )
        if not matches:
            return False
        self.matched += 1
        return self.nth <= self.matched and (self.times is None or self.matched < self.nth + self.times)


class Faults:
    """The rules of one account, and its token buckets."""

    def __init__(self, account_id: str) -> None:
        self._settings = settings.for_account(account_id)
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def put(self, rules: list[dict[str, Any]]) -> None:
        """Replaces the rules; their counts begin anew."""
        try:
            parsed = [Rule(**rule) for rule in rules]
        except TypeError as wrong:
            raise ValueError(f"a rule cannot be read: {wrong}") from wrong
        with self._lock:
            self._rules = parsed

    def describe(self) -> list[dict[str, Any]]:
        """The rules with how often each has matched and how often it has struck."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def strike(self, call: Call, app: str | None, resources: list[str]) -> Rule | None:
        """The fault that befalls a call. Every rule counts the call; the first that is due strikes."""
        with self._lock:
            due = [rule for rule in self._rules if rule.due(call, app, resources)]
            if not due:
                return None
            due[0].hits += 1
            return due[0]

    def admit(self, service: str, region: str) -> bool:
        """Takes a token out of the service's bucket, which holds as many as one AWS second allows."""
        rate = self._settings.tps(service)
        if rate is None:
            return True
        now = self._settings.now()
        with self._lock:
            tokens, then = self._buckets.get((service, region), (rate, now))
            tokens = min(rate, tokens + (now - then) * rate)
            admitted = tokens >= 1
            self._buckets[(service, region)] = (tokens - admitted, now)
            return admitted


_faults: dict[str, Faults] = {}
_guard = threading.Lock()


def of(account_id: str) -> Faults:
    """The faults of an account."""
    with _guard:
        return _faults.setdefault(account_id, Faults(account_id))
