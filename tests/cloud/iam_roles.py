"""The view of other services on a role or an instance profile: whether it exists, has spread, trusts and may.

IAM answers at once for its new resources; the services that assume a role learn of them later. A role, its
policies and a profile therefore bear the moment (in AWS seconds) from which the others see them.
"""

from __future__ import annotations

import fnmatch
import json
from typing import Any

import partitions
import settings
from moto.iam.models import IAMBackend, InstanceProfile, Role, iam_backends


def backend(account_id: str) -> IAMBackend:
    """IAM of an account; it has no regions."""
    return iam_backends[account_id][partitions.of_account(account_id)]


def spread(thing: Any) -> None:
    """Notes that a role or profile has just been made or changed, and from when on other services see it."""
    clock = settings.for_account(thing.account_id)
    thing.seen_from = clock.now() + clock.duration("iam_propagation", thing.name)


def spread_policy(role: Role, policy: str) -> None:
    """The same of a policy (the ARN of a managed one, the name of an inline one) that a role has just got."""
    clock = settings.for_account(role.account_id)
    seen_from = getattr(role, "policies_seen_from", {})
    delay = clock.duration("iam_propagation", role.name)
    role.policies_seen_from = seen_from | {policy: clock.now() + delay}


def role_of(account_id: str, arn: str) -> Role | None:
    """The role of an ARN. The path counts: a role under another path is another role."""
    return next((role for role in list(backend(account_id).roles.values()) if role.arn == arn), None)


def profile_of(account_id: str, name_or_arn: str) -> InstanceProfile | None:
    """The instance profile of a name or ARN."""
    profiles = list(backend(account_id).instance_profiles.values())
    return next((each for each in profiles if name_or_arn in (each.name, each.arn)), None)


def seen(thing: Any, at: float) -> bool:
    """Whether other services saw a role or profile at the time `at`."""
    return getattr(thing, "seen_from", at) <= at


def trusts(role: Role, service: str) -> bool:
    """Whether a service may assume the role, as far as its trust policy says."""
    for statement in _statements(role.assume_role_policy_document):
        principal = statement.get("Principal", {})
        services = _list(principal.get("Service")) if isinstance(principal, dict) else _list(principal)
        accounts = _list(statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount"))
        if (
            statement.get("Effect") == "Allow"
            and "sts:AssumeRole" in _list(statement.get("Action"))
            and (service in services or "*" in services)
            and (not accounts or role.account_id in accounts)
        ):
            return True
    return False


def refusal(role: Role, action: str, at: float) -> str | None:
    """The role's missing permission or trust for an action (on anything) at the time `at`, in the words of AWS."""
    documents = role.policies | {arn: _text(policy) for arn, policy in role.managed_policies.items()}
    seen_from = getattr(role, "policies_seen_from", {})
    if not any(_allows(document, action) for key, document in documents.items() if seen_from.get(key, at) <= at):
        return "identity-based policy"
    boundary = backend(role.account_id).managed_policies.get(role.permissions_boundary_arn or "")
    if boundary is not None and not _allows(_text(boundary), action):
        return "permissions boundary"
    return None


def document(policy: Any) -> dict[str, Any]:
    """The document of a managed policy."""
    return json.loads(_text(policy))


def _text(policy: Any) -> str:
    return next(each.document for each in policy.versions if each.version_id == policy.default_version_id)


def _allows(document: str, action: str) -> bool:
    effects = {
        statement.get("Effect")
        for statement in _statements(document)
        for pattern in _list(statement.get("Action"))
        if fnmatch.fnmatchcase(action.lower(), pattern.lower())
    }
    return "Allow" in effects and "Deny" not in effects


def _statements(document: str) -> list[dict[str, Any]]:
    return _list(json.loads(document).get("Statement"))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
