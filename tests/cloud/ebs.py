"""EBS's defaults of an account: whether volumes are encrypted that do not ask for it, and with which key."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends

MANAGED_BY_AWS = "alias/aws/ebs"

_default_keys: dict[tuple[str, str], str] = {}


def get_ebs_default_kms_key_id(self: Any) -> ActionResult:
    """GetEbsDefaultKmsKeyId: AWS's own key unless the account has chosen another one."""
    return ActionResult({"KmsKeyId": default_key(self.current_account, self.region)})


def default_key(account_id: str, region: str) -> str:
    """The key with which EBS encrypts the volumes that name none."""
    return _default_keys.get((account_id, region), MANAGED_BY_AWS)


def set_default_key(account_id: str, region: str, key: str, by_default: bool) -> None:
    """Chooses that key, and whether volumes are encrypted that do not ask for it: for seeded accounts."""
    _default_keys[account_id, region] = key
    ec2_backends[account_id][region].ebs_encryption_by_default = by_default


def forget(account_id: str) -> None:
    """Empties an account."""
    for key in [key for key in list(_default_keys) if key[0] == account_id]:
        del _default_keys[key]
