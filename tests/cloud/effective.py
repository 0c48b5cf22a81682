"""The effective rights of a role: the actions that its policies allow, and its permissions boundary as well."""

from __future__ import annotations

import json
from typing import Any

import iam_roles
import policy as language


def may(account_id: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Answers `{"role": name, "asks": [{"action", "resource", "context"?, "granted"?}]}`, each with who allows or denies it.

    `granted`: the resource's own policy allows it to any principal. Within an account that is enough, and only an
    explicit deny is stronger (IAM User Guide, "Policy evaluation logic", "Identity-based policies with boundaries").
    """
    role = iam_roles.backend(account_id).get_role(body["role"])
    documents = [json.loads(document) for document in role.policies.values()]
    documents += [iam_roles.document(managed) for managed in role.managed_policies.values()]
    own = [statement for each in documents for statement in language.read(each)]
    boundary = iam_roles.backend(account_id).managed_policies.get(role.permissions_boundary_arn or "")
    limit = None if boundary is None else language.read(iam_roles.document(boundary))
    principal = {"aws:PrincipalArn": role.arn, "aws:PrincipalAccount": account_id, "aws:ResourceAccount": account_id}
    principal |= {f"aws:PrincipalTag/{tag['Key']}": tag["Value"] for tag in role.tags or []}
    return [_answer(each, own, limit, principal | each.get("context", {})) for each in body["asks"]]


def _answer(ask: dict[str, Any], own: list[Any], limit: list[Any] | None, context: dict[str, Any]) -> dict[str, Any]:
    asked = (ask["action"], ask["resource"], context)
    for name, statements in (("its policies", own), ("its permissions boundary", limit)):
        decision = None if statements is None else language.decide(statements, *asked)
        if decision and not decision.allowed and (decision.explicit or not ask.get("granted")):
            return {"allowed": False, "by": name}
    return {"allowed": True, "by": "the resource's policy" if ask.get("granted") else "its policies"}
