"""Who calls: the account, the region and the application of a request, from its headers alone.

The access key decides the account: `LOCAL` and twelve digits name it, so that any number of runs share one
cloud without seeing each other; every other key belongs to moto's usual account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import partitions

DEFAULT_ACCOUNT = "123456789012"

_KEY = re.compile(r"LOCAL(\d{12})")
_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
_PRESIGNED = re.compile(r"(?:^|&)X-Amz-(Credential=[^&]+)")
# The value that an SDK writes for AWS_SDK_UA_APP_ID, in the characters that it lets through.
_APP = re.compile(r"(?:^|\s)app/([\w!#$%&'*+.^`|~-]+)")


def function_role(region: str) -> str:
    """The name of the function's role, as `template.yaml` has it."""
    return f"TowerForge-handler-{region}"


@dataclass(frozen=True)
class Caller:
    """The sender of a request. `scope` is the service that the signature is for, None where unsigned."""

    account: str
    region: str
    scope: str | None
    app: str | None

    @property
    def arn(self) -> str:
        """The principal as AWS names it: the function's role and the session, which is the application."""
        return f"arn:{partitions.of(self.region)}:sts::{self.account}:assumed-role/{function_role(self.region)}/{self.app or 'tower-forge'}"


def caller(environ: dict[str, Any]) -> Caller:
    """The sender of the request in a WSGI environment."""
    signed = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if not signed and (presigned := _PRESIGNED.search(environ.get("QUERY_STRING", ""))):
        signed = _SCOPE.search(unquote(presigned[1]))
    key, region, scope = signed.groups() if signed else ("", "us-east-1", None)
    local = _KEY.fullmatch(key)
    agent = f"{environ.get('HTTP_USER_AGENT', '')} {environ.get('HTTP_X_AMZ_USER_AGENT', '')}"
    app = _APP.search(agent)
    account = local[1] if local else DEFAULT_ACCOUNT
    if signed:
        partitions.note(account, region)
    return Caller(account, region, scope, app[1] if app else None)
