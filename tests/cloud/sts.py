"""STS: an assumed role's key belongs to the same account. Its session policy is not enforced."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import settings
from moto.core.responses import ActionResult
from moto.sts.responses import TokenResponse


def install() -> None:
    """Puts this AssumeRole in the place of moto's, whose keys belong to moto's usual account."""
    TokenResponse.assume_role = assume_role


def assume_role(self: TokenResponse) -> ActionResult:
    """AssumeRole: within the account only."""
    arn, session, policy = (self._get_param(each) for each in ("RoleArn", "RoleSessionName", "Policy"))
    if arn.split(":")[4] != self.current_account:
        settings.error("sts", "AccessDenied", f"not authorized to perform: sts:AssumeRole on resource: {arn}", 403)
    if policy is not None:
        _check(policy)
    credentials: dict[str, Any] = {
        "AccessKeyId": f"LOCAL{self.current_account}",
        "SecretAccessKey": "local",
        "SessionToken": "local",
        "Expiration": datetime.now(UTC) + timedelta(hours=1),
    }
    name = arn.split("/")[-1]
    assumed = f"{arn.split(':iam:')[0]}:sts::{self.current_account}:assumed-role/{name}/{session}"
    user = {"AssumedRoleId": f"AROALOCALLOCALLOCAL00:{session}", "Arn": assumed}
    return ActionResult({"Credentials": credentials, "AssumedRoleUser": user, "PackedPolicySize": 6})


def _check(policy: str) -> None:
    try:
        json.loads(policy)
    except ValueError:
        settings.error("sts", "MalformedPolicyDocument", "Syntax errors in policy.")
