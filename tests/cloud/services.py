"""The services whose semantics are added to moto, and their common functions: install, and reset."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from moto.core.base_backend import BackendDict

import locks

NAMES = (
    "batch", "iam", "ec2", "efs", "fsx", "logs", "cloudformation", "stack_calls", "lambda_", "dynamodb", "jobs",
    "inhabited", "seed", "snapshot", "sts",
)  # fmt: skip


def modules() -> list[ModuleType]:
    """The modules, in the order in which they are installed."""
    return [importlib.import_module(name) for name in NAMES if importlib.util.find_spec(name)]


def install() -> None:
    """Puts the semantics of every service on top of moto."""
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
