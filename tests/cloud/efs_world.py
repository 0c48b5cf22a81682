"""The resources of EFS in an account and region, and how they change with time.

As in Batch nothing runs in the background: every call settles first the changes that have ended by then.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import partitions
import settings

Shape = dict[str, Any]


@dataclass
class MountTarget:
    """A mount target: one per availability zone of a file system."""

    id: str
    subnet: str
    zone: str
    zone_id: str
    vpc: str
    groups: list[str]
    state: str = "creating"
    until: float | None = None


@dataclass
class FileSystem:
    """A file system."""

    id: str
    arn: str
    token: str
    request: Shape
    tags: dict[str, str]
    state: str = "creating"
    until: float | None = None
    targets: dict[str, MountTarget] = field(default_factory=dict)
    lifecycle: list[Shape] = field(default_factory=list)
    backup: str = "DISABLED"
    created: float = field(default_factory=time.time)


# By account and region, then by id.
_systems: dict[tuple[str, str], dict[str, FileSystem]] = {}


def forget(account_id: str) -> None:
    """Empties an account."""
    for key in [key for key in list(_systems) if key[0] == account_id]:
        del _systems[key]


def add(account_id: str, region: str, request: Shape) -> FileSystem:
    """A file system as a request describes it, available at once."""
    systems, system_id = _systems.setdefault((account_id, region), {}), f"fs-{secrets.token_hex(8)[:17]}"
    arn = f"arn:{partitions.of(region)}:elasticfilesystem:{region}:{account_id}:file-system/{system_id}"
    system = FileSystem(
        system_id, arn, request.get("CreationToken", system_id), request, pairs(request.get("Tags")), "available"
    )
    systems[system_id] = system
    return system


def add_target(account_id: str, region: str, system: FileSystem, subnet: Any, groups: list[str]) -> MountTarget:
    """A mount target in a subnet, available at once."""
    zone_id = subnet._availability_zone.zone_id
    target_id = f"fsmt-{secrets.token_hex(9)[:17]}"
    target = MountTarget(target_id, subnet.id, subnet.availability_zone, zone_id, subnet.vpc_id, groups, "available")
    system.targets[target_id] = target
    return target


def described(account_id: str) -> list[Shape]:
    """All file systems of an account, as the snapshot shows them."""
    systems = [
        {
            "id": system.id,
            "arn": system.arn,
            "region": region,
            "token": system.token,
            "lifecycle": system.state,
            "encrypted": bool(system.request.get("Encrypted")),
            "kms_key": system.request.get("KmsKeyId"),
            "throughput_mode": system.request.get("ThroughputMode", "bursting"),
            "performance_mode": system.request.get("PerformanceMode", "generalPurpose"),
            "one_zone": system.request.get("AvailabilityZoneName"),
            "mount_targets": sorted(
                (
                    {
                        "id": each.id,
                        "subnet": each.subnet,
                        "zone": each.zone,
                        "groups": each.groups,
                        "lifecycle": each.state,
                    }
                    for each in system.targets.values()
                ),
                key=lambda each: each["zone"],
            ),  # fmt: skip
            "tags": dict(sorted(system.tags.items())),
            "lifecycle_policies": system.lifecycle,
            "backup": system.backup,
        }
        for account, region in list(_systems)
        if account == account_id
        for system in of(account_id, region).values()
    ]
    return sorted(systems, key=lambda each: (each["token"], each["id"]))


def of(account_id: str, region: str) -> dict[str, FileSystem]:
    """The file systems of an account and region, settled up to now."""
    now = settings.for_account(account_id).now()
    systems = _systems.setdefault((account_id, region), {})
    for system in list(systems.values()):
        for thing, within in [*((each, system.targets) for each in list(system.targets.values())), (system, systems)]:
            if thing.until is not None and thing.until <= now:
                thing.until = None
                if thing.state == "deleting":
                    del within[thing.id]
                else:
                    thing.state = "available"
    return systems


def pairs(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """EFS's list of tags as a map."""
    return {each["Key"]: each["Value"] for each in tags or []}
