"""The services whose semantics are added to moto, and their common functions: install, and reset."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import uuid
from types import ModuleType
from typing import Any

import xmltodict
from moto.core import errors, responses
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
    """Keeps four things that moto works out in each request: the methods of a class, the errors of a service, whether a name
    may stand in XML, and the backends of an account, which it looks for among those of all accounts."""
    responses.method_names_from_class = functools.cache(method_names_from_class)
    errors.ErrorLookupFactory = functools.cache(errors.ErrorLookupFactory)
    xmltodict._validate_name = functools.lru_cache(xmltodict._validate_name)  # noqa: SLF001
    new = BackendDict.__getitem__

    def of_account(self: BackendDict[Any], account_id: str) -> AccountSpecificBackend[Any]:
        return dict.__getitem__(self, account_id) if account_id in self else new(self, account_id)

    BackendDict.__getitem__ = of_account


def _request_id(headers: dict[str, str]) -> str:
    """A random UUID, as AWS's are; moto draws 52 letters one by one."""
    headers["x-amzn-requestid"] = str(uuid.uuid4())
    return headers["x-amzn-requestid"]


def install() -> None:
    """Puts the semantics of every service on top of moto."""
    _work_out_once()
    responses.gen_amzn_requestid_long = _request_id
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
