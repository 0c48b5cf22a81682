"""EFS: its calls, answered from `efs_world`, in the place of moto's, where everything is available at once."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import ec2
import efs_world
import settings
from efs_world import FileSystem, MountTarget, Shape, pairs
from moto.ec2.models import ec2_backends
from moto.efs.responses import EFSResponse

Answer = tuple[str, dict[str, Any]]


def install() -> None:
    """Puts these calls in the place of moto's."""
    for handler in (
        create_file_system, describe_file_systems, update_file_system, delete_file_system,
        create_mount_target, describe_mount_targets, delete_mount_target,
        describe_mount_target_security_groups, modify_mount_target_security_groups,
        put_lifecycle_configuration, describe_lifecycle_configuration,
        put_backup_policy, describe_backup_policy, tag_resource, untag_resource, list_tags_for_resource,
    ):  # fmt: skip
        setattr(EFSResponse, handler.__name__, handler)


def reset(account_id: str) -> None:
    """Empties an account."""
    efs_world.forget(account_id)


def create_file_system(self: EFSResponse) -> Answer:
    """CreateFileSystem: a token that is in use answers 409 with the id of the file system that bears it."""
    request, systems, clock = json.loads(self.body), _of(self), _clock(self)
    token = request.get("CreationToken", "")
    for system in systems.values():
        if system.token == token:
            text = f"File system '{system.id}' already exists with creation token '{token}'"
            settings.error("efs", "FileSystemAlreadyExists", text, 409, FileSystemId=system.id)
    if len(systems) >= clock.quota("file_systems"):
        settings.error("efs", "FileSystemLimitExceeded", "You have exceeded the limit of file systems.", 403)
    system = efs_world.add(self.current_account, self.region, request)
    system.state, system.until = "creating", clock.now() + clock.duration("efs_create")
    return _json(_shown(self.current_account, system), 201)


def describe_file_systems(self: EFSResponse) -> Answer:
    """DescribeFileSystems: by id, by token (the cheapest look-up), or all."""
    token, system_id = self._get_param("CreationToken"), self._get_param("FileSystemId")
    if system_id:
        found = [_system(self, system_id)]
    else:
        found = [each for each in _of(self).values() if token in (None, each.token)]
    return _page(self, "FileSystems", [_shown(self.current_account, each) for each in found])


def update_file_system(self: EFSResponse) -> Answer:
    """UpdateFileSystem: the throughput only."""
    system, clock = _available(self, self._get_param("FileSystemId")), _clock(self)
    system.request |= {key: value for key, value in json.loads(self.body).items() if key != "FileSystemId"}
    system.state, system.until = "updating", clock.now() + clock.duration("efs_update")
    return _json(_shown(self.current_account, system), 202)


def delete_file_system(self: EFSResponse) -> Answer:
    """DeleteFileSystem: 409 while there are mount targets, those being deleted included."""
    system, clock = _system(self, self._get_param("FileSystemId")), _clock(self)
    if system.targets:
        settings.error("efs", "FileSystemInUse", f"File system '{system.id}' has mount targets.", 409)
    if system.state != "deleting":
        system.state, system.until = "deleting", clock.now() + clock.duration("efs_delete")
    return "", {"status": 204}


def create_mount_target(self: EFSResponse) -> Answer:
    """CreateMountTarget: of an available file system, one per availability zone, all in one VPC."""
    request, clock = json.loads(self.body), _clock(self)
    system = _available(self, request.get("FileSystemId"))
    subnet = _subnet(self, request.get("SubnetId"))
    if ec2.is_edge(subnet):
        # EFS, CreateMountTarget: UnsupportedAvailabilityZone. The text is unconfirmed.
        text = f"Mount targets are not supported in {subnet.availability_zone}."
        settings.error("efs", "UnsupportedAvailabilityZone", text, 400)
    for target in system.targets.values():
        if target.zone == subnet.availability_zone or target.vpc != subnet.vpc_id:
            why = "mount target already exists in this AZ"
            if target.vpc != subnet.vpc_id:
                why = "requested subnet for new mount target is not in the same VPC as existing mount targets"
            settings.error("efs", "MountTargetConflict", why, 409)
    one_zone = system.request.get("AvailabilityZoneName")
    if one_zone and one_zone != subnet.availability_zone:
        text = f"The file system is in {one_zone}, the subnet is not."
        settings.error("efs", "AvailabilityZonesMismatch", text, 400)
    groups = request.get("SecurityGroups") or _default_groups(self, subnet.vpc_id)
    known = {group_id for vpc in ec2_backends[self.current_account][self.region].groups.values() for group_id in vpc}
    if missing := [group for group in groups if group not in known]:
        settings.error("efs", "SecurityGroupNotFound", f"The SecurityGroup ID '{missing[0]}' does not exist", 400)
    target = efs_world.add_target(self.current_account, self.region, system, subnet, groups)
    target.state, target.until = "creating", clock.now() + clock.duration("mount_target_create")
    return _json(_target_shown(self.current_account, system, target))


def describe_mount_targets(self: EFSResponse) -> Answer:
    """DescribeMountTargets: of a file system, or one."""
    account, target_id = self.current_account, self._get_param("MountTargetId")
    if target_id:
        system, target = _target(self, target_id)
        return _page(self, "MountTargets", [_target_shown(account, system, target)])
    system = _system(self, self._get_param("FileSystemId"))
    return _page(self, "MountTargets", [_target_shown(account, system, each) for each in system.targets.values()])


def delete_mount_target(self: EFSResponse) -> Answer:
    """DeleteMountTarget: takes time; mounts are broken by force."""
    _, target = _target(self, self._get_param("MountTargetId"))
    if target.state != "deleting":
        target.state, target.until = "deleting", _clock(self).now() + _clock(self).duration("mount_target_delete")
    return "", {"status": 204}


def describe_mount_target_security_groups(self: EFSResponse) -> Answer:
    """DescribeMountTargetSecurityGroups: not of a target that is being made or deleted, says the API reference."""
    target = _target(self, self._get_param("MountTargetId"))[1]
    if target.state in ("creating", "deleting"):
        text = f"Mount target '{target.id}' is in state '{target.state}'."
        settings.error("efs", "IncorrectMountTargetState", text, 409)
    return _json({"SecurityGroups": target.groups})


def modify_mount_target_security_groups(self: EFSResponse) -> Answer:
    """ModifyMountTargetSecurityGroups."""
    _, target = _target(self, self._get_param("MountTargetId"))
    target.groups = json.loads(self.body).get("SecurityGroups") or target.groups
    return "", {"status": 204}


def put_lifecycle_configuration(self: EFSResponse) -> Answer:
    """PutLifecycleConfiguration: replaces all policies; one transition per policy."""
    system, policies = _available(self, self._get_param("FileSystemId")), json.loads(self.body)["LifecyclePolicies"]
    if any(len(policy) != 1 for policy in policies):
        settings.error("efs", "BadRequest", "One or more LifecyclePolicy objects specified are malformed.", 400)
    system.lifecycle = policies
    return _json({"LifecyclePolicies": policies})


def describe_lifecycle_configuration(self: EFSResponse) -> Answer:
    """DescribeLifecycleConfiguration."""
    return _json({"LifecyclePolicies": _system(self, self._get_param("FileSystemId")).lifecycle})


def put_backup_policy(self: EFSResponse) -> Answer:
    """PutBackupPolicy."""
    system = _available(self, self._get_param("FileSystemId"))
    system.backup = json.loads(self.body)["BackupPolicy"]["Status"]
    return _json({"BackupPolicy": {"Status": system.backup}})


def describe_backup_policy(self: EFSResponse) -> Answer:
    """DescribeBackupPolicy."""
    return _json({"BackupPolicy": {"Status": _system(self, self._get_param("FileSystemId")).backup}})


def tag_resource(self: EFSResponse) -> Answer:
    """TagResource, by id or ARN."""
    system = _tagged(self)
    system.tags |= pairs(json.loads(self.body).get("Tags"))
    if len(system.tags) > 50:
        settings.error("efs", "BadRequest", "A file system can have 50 tags at most.", 400)
    return "", {"status": 200}


def untag_resource(self: EFSResponse) -> Answer:
    """UntagResource, by id or ARN."""
    system = _tagged(self)
    for key in self.querystring.get("tagKeys", []):
        system.tags.pop(key, None)
    return "", {"status": 200}


def list_tags_for_resource(self: EFSResponse) -> Answer:
    """ListTagsForResource, by id or ARN."""
    return _json({"Tags": _tag_list(_tagged(self).tags)})


def _of(response: EFSResponse) -> dict[str, FileSystem]:
    return efs_world.of(response.current_account, response.region)


def _clock(response: EFSResponse) -> settings.AccountSettings:
    return settings.for_account(response.current_account)


def _system(response: EFSResponse, system_id: str | None) -> FileSystem:
    system = _of(response).get(str(system_id).split("/")[-1])
    if system is None:
        settings.error("efs", "FileSystemNotFound", f"File system '{system_id}' does not exist.", 404)
    return system


def _available(response: EFSResponse, system_id: str | None) -> FileSystem:
    system = _system(response, system_id)
    if system.state != "available":
        text = f"File system '{system.id}' is in state '{system.state}', must be 'available'."
        settings.error("efs", "IncorrectFileSystemLifeCycleState", text, 409)
    return system


def _target(response: EFSResponse, target_id: str) -> tuple[FileSystem, MountTarget]:
    for system in _of(response).values():
        if target_id in system.targets:
            return system, system.targets[target_id]
    settings.error("efs", "MountTargetNotFound", f"Mount target '{target_id}' does not exist.", 404)


def _tagged(response: EFSResponse) -> FileSystem:
    return _system(response, unquote(response.path).split("/resource-tags/")[-1])


def _subnet(response: EFSResponse, subnet_id: str | None) -> Any:
    for zone in ec2_backends[response.current_account][response.region].subnets.values():
        if subnet_id in zone:
            return zone[subnet_id]
    settings.error("efs", "SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist", 400)


def _default_groups(response: EFSResponse, vpc_id: str) -> list[str]:
    groups = ec2_backends[response.current_account][response.region].groups[vpc_id].values()
    return [group.id for group in groups if group.name == "default"]


def _shown(account_id: str, system: FileSystem) -> Shape:
    given = system.request
    shown: Shape = {
        "OwnerId": account_id,
        "CreationToken": system.token,
        "FileSystemId": system.id,
        "FileSystemArn": system.arn,
        "CreationTime": system.created,
        "LifeCycleState": system.state,
        "NumberOfMountTargets": len(system.targets),
        "SizeInBytes": {"Value": 6144, "Timestamp": system.created},
        "PerformanceMode": given.get("PerformanceMode", "generalPurpose"),
        "Encrypted": bool(given.get("Encrypted")),
        "ThroughputMode": given.get("ThroughputMode", "bursting"),
        "Tags": _tag_list(system.tags),
        "FileSystemProtection": {"ReplicationOverwriteProtection": "ENABLED"},
    }
    if "Name" in system.tags:
        shown["Name"] = system.tags["Name"]
    optional = ("KmsKeyId", "ProvisionedThroughputInMibps", "AvailabilityZoneName")
    return shown | {key: given[key] for key in optional if given.get(key) is not None}


def _target_shown(account_id: str, system: FileSystem, target: MountTarget) -> Shape:
    return {
        "OwnerId": account_id,
        "MountTargetId": target.id,
        "FileSystemId": system.id,
        "SubnetId": target.subnet,
        "LifeCycleState": target.state,
        "AvailabilityZoneId": target.zone_id,
        "AvailabilityZoneName": target.zone,
        "VpcId": target.vpc,
    }


def _page(response: EFSResponse, member: str, shapes: list[Shape]) -> Answer:
    start, size = int(response._get_param("Marker") or 0), response._get_int_param("MaxItems", 100)
    page: Shape = {member: shapes[start : start + size]}
    if start + size < len(shapes):
        page["NextMarker"] = str(start + size)
    return _json(page)


def _tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _json(shape: Shape, status: int = 200) -> Answer:
    return json.dumps(shape), {"status": status, "Content-Type": "application/json"}
