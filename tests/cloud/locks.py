"""One lock per account, held by every reader and writer of the account's resources.

moto's backends are not thread safe, and the strictness on top looks from one service into another (Batch
into IAM). One lock for all services of an account keeps both right; accounts do not wait for each other.
"""

from __future__ import annotations

import threading

_locks: dict[str, threading.RLock] = {}
_guard = threading.Lock()


def of(account_id: str) -> threading.RLock:
    """The lock of an account."""
    with _guard:
        return _locks.setdefault(account_id, threading.RLock())
