"""IAM: the limits, the texts and the eventual consistency that moto lacks.

moto is right about EntityAlreadyExists, NoSuchEntity, DeleteConflict and LimitExceeded in principle. Added
here: length limits, quotas, AWS's own texts, paging, case-insensitive names, when other services see new
resources (`iam_roles`), and managed policies that all accounts share, so that a new account costs nothing.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import batch_world
import iam_roles
import settings
from moto.core.responses import ActionResult
from moto.iam import models
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, InstanceProfile, Role
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator
from moto.iam.responses import IamResponse

_moto: dict[str, Any] = {}


def install() -> None:
    """Puts these methods in the place of moto's."""
    _shared_policies("aws")
    IAMBackend._init_aws_policies = lambda self: list(  # type: ignore[method-assign]
        _shared_policies(self.region_name).values()
    )
    IAMBackend._init_managed_policies = lambda self: dict(  # type: ignore[method-assign]
        _shared_policies(self.region_name)
    )
    for method in (
        attach_role_policy, detach_role_policy, create_role, get_role, delete_role, put_role_policy,
        delete_role_policy, update_assume_role_policy, create_instance_profile, get_instance_profile,
        delete_instance_profile, add_role_to_instance_profile, remove_role_from_instance_profile,
        get_instance_profiles_for_role,
    ):  # fmt: skip
        _moto[method.__name__] = getattr(IAMBackend, method.__name__)
        setattr(IAMBackend, method.__name__, method)
    for handler in (list_role_policies, list_attached_role_policies):
        setattr(IamResponse, handler.__name__, handler)


@functools.cache
def _shared_policies(partition: str) -> dict[str, models.ManagedPolicy]:
    """AWS's managed policies, read once for each partition and shared: nobody can change them."""
    parsed = json.loads(models.aws_managed_policies_data)
    made = [models.AWSManagedPolicy.from_data(name, "aws", partition, data) for name, data in parsed.items()]
    return {policy.arn: policy for policy in made}


def create_role(
    self: IAMBackend,
    role_name: str,
    assume_role_policy_document: str,
    path: str,
    permissions_boundary: str | None,
    description: str,
    tags: list[dict[str, str]],
    max_session_duration: str | None,
    linked_service: str | None = None,
) -> Role:
    """CreateRole: GetRole shows it at once, the services that assume it see it later."""
    _name("roleName", role_name, 64)
    if any(role.name.lower() == role_name.lower() for role in self.roles.values()):
        # IAM: names differ by more than case.
        settings.error("iam", "EntityAlreadyExists", f"Role with name {role_name} already exists.", 409)
    _within("RolesPerAccount", len(self.roles) + 1, _quota(self, "roles"))
    _trust(self, assume_role_policy_document)
    role = _moto["create_role"](
        self, role_name, assume_role_policy_document, path, permissions_boundary, description, tags,
        max_session_duration, linked_service,
    )  # fmt: skip
    iam_roles.spread(role)
    role.made_at = _clock(self).now()
    return role


def get_role(self: IAMBackend, role_name: str) -> Role:
    """Every call that names a role finds it here, with AWS's text where there is none."""
    role = next((role for role in self.roles.values() if role.name == role_name), None)
    if role is None:
        _no_such(f"The role with name {role_name} cannot be found.")
    return role


def delete_role(self: IAMBackend, role_name: str) -> None:
    """DeleteRole: Batch settles first, and notices at once that the role of an environment has gone."""
    batch_world.all_of(self.account_id)
    _moto["delete_role"](self, role_name)
    batch_world.all_of(self.account_id)


def update_assume_role_policy(self: IAMBackend, role_name: str, policy_document: str) -> None:
    """UpdateAssumeRolePolicy."""
    batch_world.all_of(self.account_id)
    _trust(self, policy_document)
    _moto["update_assume_role_policy"](self, role_name, policy_document)


def attach_role_policy(self: IAMBackend, policy_arn: str, role_name: str) -> None:
    """AttachRolePolicy: no error where it is attached already."""
    role, policy = self.get_role(role_name), self.managed_policies.get(policy_arn)
    if policy is None:
        _no_such(f"Policy {policy_arn} does not exist or is not attachable.")
    if policy_arn in role.managed_policies:
        return
    _within("PoliciesPerRole", len(role.managed_policies) + 1, _quota(self, "managed_policies_per_role"))
    batch_world.all_of(self.account_id)
    role.managed_policies[policy_arn] = policy
    iam_roles.spread_policy(role, policy_arn)


def detach_role_policy(self: IAMBackend, policy_arn: str, role_name: str) -> None:
    """DetachRolePolicy."""
    batch_world.all_of(self.account_id)
    if self.get_role(role_name).managed_policies.pop(policy_arn, None) is None:
        _no_such(f"Policy {policy_arn} was not found.")


def put_role_policy(self: IAMBackend, role_name: str, policy_name: str, policy_json: str) -> None:
    """PutRolePolicy: all inline policies of a role share one quota, in which white space does not count."""
    _name("policyName", policy_name, 128)
    role = self.get_role(role_name)
    after = {**role.policies, policy_name: policy_json}
    size, limit = sum(_size(each) for each in after.values()), _quota(self, "inline_policy_characters")
    if size > limit:
        settings.error(
            "iam", "LimitExceeded", f"Maximum policy size of {limit} bytes exceeded for role {role_name}", 409
        )
    batch_world.all_of(self.account_id)
    changed = role.policies.get(policy_name) != policy_json
    _moto["put_role_policy"](self, role_name, policy_name, policy_json)
    if changed:
        iam_roles.spread_policy(role, policy_name)


def delete_role_policy(self: IAMBackend, role_name: str, policy_name: str) -> None:
    """DeleteRolePolicy."""
    batch_world.all_of(self.account_id)
    if self.get_role(role_name).policies.pop(policy_name, None) is None:
        _no_such(f"The role policy with name {policy_name} cannot be found.")


def create_instance_profile(
    self: IAMBackend, name: str, path: str, role_names: list[str], tags: list[dict[str, str]] | None = None
) -> InstanceProfile:
    """CreateInstanceProfile: an empty one; the role is a second call."""
    _name("instanceProfileName", name, 128)
    if any(each.lower() == name.lower() for each in self.instance_profiles):
        settings.error("iam", "EntityAlreadyExists", f"Instance Profile {name} already exists.", 409)
    _within("InstanceProfilesPerAccount", len(self.instance_profiles) + 1, _quota(self, "instance_profiles"))
    profile = _moto["create_instance_profile"](self, name, path, role_names, tags)
    iam_roles.spread(profile)
    return profile


def get_instance_profile(self: IAMBackend, profile_name: str) -> InstanceProfile:
    """Every call that names a profile finds it here, with AWS's text where there is none."""
    if profile_name not in self.instance_profiles:
        _no_such(f"Instance Profile {profile_name} cannot be found.")
    return self.instance_profiles[profile_name]


def delete_instance_profile(self: IAMBackend, name: str, ignore_attached_roles: bool = False) -> None:
    """DeleteInstanceProfile: Batch's pending changes to it are done first."""
    batch_world.all_of(self.account_id)
    _moto["delete_instance_profile"](self, name, ignore_attached_roles)


def add_role_to_instance_profile(self: IAMBackend, profile_name: str, role_name: str) -> None:
    """AddRoleToInstanceProfile: may not find a role that was made a moment ago; one role and no more."""
    role = self.get_role(role_name)
    if _clock(self).now() < getattr(role, "made_at", float("-inf")) + _clock(self).duration("add_role_lag"):
        _no_such(f"The role with name {role_name} cannot be found.")
    batch_world.all_of(self.account_id)
    _moto["add_role_to_instance_profile"](self, profile_name, role_name)
    iam_roles.spread(self.get_instance_profile(profile_name))


def remove_role_from_instance_profile(self: IAMBackend, profile_name: str, role_name: str) -> None:
    """RemoveRoleFromInstanceProfile: NoSuchEntity where the role is not inside."""
    batch_world.all_of(self.account_id)
    profile = self.get_instance_profile(profile_name)
    if role_name not in [role.name for role in profile.roles]:
        _no_such(f"The role with name {role_name} cannot be found.")
    profile.roles = [role for role in profile.roles if role.name != role_name]


def get_instance_profiles_for_role(self: IAMBackend, role_name: str) -> list[InstanceProfile]:
    """ListInstanceProfilesForRole: NoSuchEntity where there is no such role."""
    self.get_role(role_name)
    return [each for each in self.instance_profiles.values() if role_name in [role.name for role in each.roles]]


def list_role_policies(self: IamResponse) -> ActionResult:
    """ListRolePolicies, page by page."""
    return _page(self, "PolicyNames", sorted(self.backend.get_role(self._get_param("RoleName")).policies))


def list_attached_role_policies(self: IamResponse) -> ActionResult:
    """ListAttachedRolePolicies, page by page."""
    prefix = self._get_param("PathPrefix", "/")
    attached = self.backend.get_role(self._get_param("RoleName")).managed_policies.values()
    chosen = sorted((each for each in attached if each.path.startswith(prefix)), key=lambda each: each.name)
    return _page(self, "AttachedPolicies", [{"PolicyName": each.name, "PolicyArn": each.arn} for each in chosen])


def _page(response: IamResponse, member: str, values: list[Any]) -> ActionResult:
    start, size = int(response._get_param("Marker") or 0), response._get_int_param("MaxItems", 100)
    more = start + size < len(values)
    result: dict[str, Any] = {member: values[start : start + size], "IsTruncated": more}
    if more:
        result["Marker"] = str(start + size)
    return ActionResult(result)


def _clock(backend: IAMBackend) -> settings.AccountSettings:
    return settings.for_account(backend.account_id)


def _quota(backend: IAMBackend, name: str) -> int:
    return _clock(backend).quota(name)


def _within(quota: str, count: int, limit: int) -> None:
    if count > limit:
        settings.error("iam", "LimitExceeded", f"Cannot exceed quota for {quota}: {limit}", 409)


def _no_such(text: str) -> None:
    # moto's own exception, which moto itself catches in places.
    raise NotFoundException(text)


def _size(document: str) -> int:
    return len(re.sub(r"\s", "", document))


def _name(member: str, value: str, limit: int) -> None:
    for wrong, rule in (
        (len(value) > limit, f"Member must have length less than or equal to {limit}"),
        (not re.fullmatch(r"[\w+=,.@-]+", value), r"Member must satisfy regular expression pattern: [\w+=,.@-]+"),
    ):
        if wrong:
            text = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
            settings.error("iam", "ValidationError", text)


def _trust(backend: IAMBackend, document: str) -> None:
    # IAM: bad JSON and bad statements are MalformedPolicyDocument, a trust policy too long is a quota.
    IAMTrustPolicyDocumentValidator(document).validate()
    _within("ACLSizePerRole", _size(document), _quota(backend, "trust_policy_characters"))
