"""The log of every call that an account has received."""

from __future__ import annotations

import threading
from typing import Any

import settings
from accounts import Caller
from wire import Call

Entry = dict[str, Any]


class Log:
    """The calls of one account in the order in which they came."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._next = 1

    def add(self, call: Call, caller: Caller) -> Entry:
        """Notes a call that has come; its outcome is written into the entry as it is known.

        `status` stays None for as long as there is no answer, and for ever where there is none.
        """
        with self._lock:
            entry = {
                "seq": self._next,
                "at": settings.for_account(self._account_id).now(),
                "app": caller.app,
                "region": caller.region,
                "service": call.service,
                "operation": call.operation,
                "mutating": call.mutating,
                "resources": call.names,
                "status": None,
                "error": None,
                "message": None,
                "fault": None,
                "authz": [],
                "request": call.loggable,
            }
            self._next += 1
            self._entries.append(entry)
            return entry

    def entries(self) -> list[Entry]:
        """A copy of the entries."""
        with self._lock:
            return [dict(entry) for entry in self._entries]

    def clear(self) -> None:
        """Empties the log; numbers go on."""
        with self._lock:
            self._entries.clear()


_logs: dict[str, Log] = {}
_guard = threading.Lock()


def of(account_id: str) -> Log:
    """The log of an account."""
    with _guard:
        return _logs.setdefault(account_id, Log(account_id))
