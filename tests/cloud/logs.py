"""CloudWatch Logs: log groups with retention and tags; moto is nearly right.

moto takes any retention, any name, tags for groups that do not exist, and gives a new group the tags of a deleted one.
"""

from __future__ import annotations

import re
from typing import Any

import settings
from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import LogsBackend, logs_backends

RETENTIONS = {
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}  # fmt: skip

_moto: dict[str, Any] = {}


def install() -> None:
    """Puts these methods in the place of moto's."""
    for method in (create_log_group, delete_log_group, put_retention_policy, tag_resource, untag_resource):
        _moto[method.__name__] = getattr(LogsBackend, method.__name__)
        setattr(LogsBackend, method.__name__, method)


def create_log_group(self: LogsBackend, log_group_name: str, tags: dict[str, str] | None, **kwargs: Any) -> Any:
    """CreateLogGroup: the tags come with it."""
    if not re.fullmatch(r"[.\-_/#A-Za-z0-9]{1,512}", log_group_name):
        _invalid(
            f"1 validation error detected: Value '{log_group_name}' at 'logGroupName' failed to satisfy constraint"
        )
    return _moto["create_log_group"](self, log_group_name, tags or {}, **kwargs)


def delete_log_group(self: LogsBackend, log_group_name: str) -> None:
    """DeleteLogGroup: its tags go with it."""
    group = self.groups.get(log_group_name)
    _moto["delete_log_group"](self, log_group_name)
    self.tagger.delete_all_tags_for_resource(group.arn)


def put_retention_policy(self: LogsBackend, log_group_name: str, retention_in_days: str) -> None:
    """PutRetentionPolicy: only certain numbers of days."""
    if int(retention_in_days) not in RETENTIONS:
        _invalid(f"1 validation error detected: Value '{retention_in_days}' at 'retentionInDays' is not allowed")
    _moto["put_retention_policy"](self, log_group_name, retention_in_days)


def tag_resource(self: LogsBackend, arn: str, tags: dict[str, str]) -> None:
    """TagResource: ResourceNotFoundException where there is no such group, as the API reference says."""
    _present(self, arn)
    _moto["tag_resource"](self, arn, tags)


def untag_resource(self: LogsBackend, arn: str, tag_keys: list[str]) -> None:
    """UntagResource: the same."""
    _present(self, arn)
    _moto["untag_resource"](self, arn, tag_keys)


def described(account_id: str) -> list[dict[str, Any]]:
    """All log groups of an account, as the snapshot shows them."""
    return [
        {
            "name": group.name,
            "arn": group.arn.removesuffix(":*"),
            "region": region,
            "retention": int(group.retention_in_days) if group.retention_in_days else None,
            "tags": dict(sorted(backend.tagger.get_tag_dict_for_resource(group.arn).items())),
        }
        for region, backend in list(logs_backends[account_id].items())
        for group in backend.groups.values()
    ]


def _present(backend: LogsBackend, arn: str) -> None:
    # The only things here that can have tags are groups; an ARN names one with or without the `:*` of its streams.
    if arn.removesuffix(":*") not in {group.arn.removesuffix(":*") for group in backend.groups.values()}:
        raise ResourceNotFoundException


def _invalid(text: str) -> None:
    settings.error("logs", "InvalidParameterException", text)
