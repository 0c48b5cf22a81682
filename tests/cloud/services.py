"""The services whose semantics are added to moto, and their common functions: install, and reset."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from types import ModuleType
from typing import Any

from moto.core import responses
from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.core.utils import method_names_from_class

import locks

NAMES = (
    "batch", "iam", "ec2", "efs", "fsx", "logs", "cloudformation", "stack_calls", "lambda_", "dynamodb", "jobs",
    "inhabited", "seed", "snapshot", "sts",
)  # fmt: skip


def modules() -> list[ModuleType]:
    """The modules, in the order in which they are installed."""
    return [importlib.import_module(name) for name in NAMES if importlib.util.find_spec(name)]


def _work_out_once() -> None:
    """Keeps two things that moto works out in each request: the methods of a class, and the backends of an account, which it
    looks for among those of all accounts."""
    responses.method_names_from_class = functools.cache(method_names_from_class)
    new = BackendDict.__getitem__

    def of_account(self: BackendDict[Any], account_id: str) -> AccountSpecificBackend[Any]:
        return dict.__getitem__(self, account_id) if account_id in self else new(self, account_id)

    BackendDict.__getitem__ = of_account


def install() -> None:
    """Puts the semantics of every service on top of moto."""
    _work_out_once()
    for module in modules():
        if hasattr(module, "install"):
            module.install()


def reset(account_id: str) -> None:
    """Empties an account of everything that services hold."""
    with locks.of(account_id):
        for backends in list(BackendDict._instances):  # noqa: SLF001 - moto offers only a reset of all accounts
            if account_id in backends.keys():
                backends[account_id].reset()
                del backends[account_id]
        for module in modules():
            if hasattr(module, "reset"):
                module.reset(account_id)
