"""The effective rights of a role: the actions that its policies allow, and its permissions boundary as well."""

from __future__ import annotations

import json
from typing import Any

import iam_roles
import policy as language


def may(account_id: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Answers `{"role": name, "asks": [{"action", "resource", "context"?}]}`, each with who allows or denies it."""
    role = iam_roles.backend(account_id).get_role(body["role"])
    documents = [json.loads(document) for document in role.policies.values()]
    documents += [iam_roles.document(managed) for managed in role.managed_policies.values()]
    own = [statement for each in documents for statement in language.read(each)]
    boundary = iam_roles.backend(account_id).managed_policies.get(role.permissions_boundary_arn or "")
    limit = None if boundary is None else language.read(iam_roles.document(boundary))
    principal = {"aws:PrincipalArn": role.arn, "aws:PrincipalAccount": account_id, "aws:ResourceAccount": account_id}
    return [_answer(each, own, limit, principal | each.get("context", {})) for each in body["asks"]]


def _answer(ask: dict[str, Any], own: list[Any], limit: list[Any] | None, context: dict[str, Any]) -> dict[str, Any]:
    asked = (ask["action"], ask["resource"], context)
    if not language.decide(own, *asked).allowed:
        return {"allowed": False, "by": "its policies"}
    if limit is not None and not language.decide(limit, *asked).allowed:
        return {"allowed": False, "by": "its permissions boundary"}
    return {"allowed": True, "by": "its policies"}
