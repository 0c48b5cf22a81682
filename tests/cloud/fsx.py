"""FSx for Lustre: life cycles, tokens and rules, in the place of moto's calls, which have none of these."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import ec2
import partitions
import settings
from moto.ec2.models import ec2_backends
from moto.fsx.responses import FSxResponse

Shape = dict[str, Any]

PAGE = 50

LNET_PORT = 988


# FSx: "You can't make another storage increase until 6 hours after the last increase was requested" (user guide).
COOLDOWN = 6 * 3600


@dataclass
class Growth:
    """The last growth of a file system, an administrative action of type FILE_SYSTEM_UPDATE."""

    size: int
    requested: float
    # When it is under way, when the capacity is there, and when the data are spread over all of it; in AWS seconds.
    begins: float
    grown: float
    optimized: float
    failure: str | None = None
    time: float = field(default_factory=time.time)

    def status(self, now: float) -> str:
        """Its status, as an administrative action."""
        if now < self.begins:
            return "PENDING"
        if now < self.grown:
            return "IN_PROGRESS"
        if self.failure:
            return "FAILED"
        return "UPDATED_OPTIMIZING" if now < self.optimized else "COMPLETED"


@dataclass
class FileSystem:
    """A file system."""

    id: str
    arn: str
    request: Shape
    tags: dict[str, str]
    vpc: str
    mount_name: str
    state: str = "CREATING"
    until: float | None = None
    # Its error message if it is not to become AVAILABLE.
    failure: str | None = None
    growth: Growth | None = None
    created: float = field(default_factory=time.time)


# By account and region.
_systems: dict[tuple[str, str], dict[str, FileSystem]] = {}
_tokens: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
# The error messages of the next file systems of an account.
_failures: dict[str, list[str]] = {}
# The same of the next growths.
_growth_failures: dict[str, list[str]] = {}


def install() -> None:
    """Puts these calls in the place of moto's."""
    for handler in (
        create_file_system, describe_file_systems, update_file_system, delete_file_system,
        tag_resource, untag_resource, list_tags_for_resource,
    ):  # fmt: skip
        setattr(FSxResponse, handler.__name__, handler)


def reset(account_id: str) -> None:
    """Empties an account."""
    for kept in (_systems, _tokens):
        for key in [key for key in list(kept) if key[0] == account_id]:
            del kept[key]
    _failures.pop(account_id, None)
    _growth_failures.pop(account_id, None)


def fail_next_growth(account_id: str, message: str) -> None:
    """Makes the next growth of a file system end as FAILED."""
    _growth_failures.setdefault(account_id, []).append(message)


def fail_next(account_id: str, message: str) -> None:
    """Makes the next file system that is created end as FAILED."""
    _failures.setdefault(account_id, []).append(message)


def create_file_system(self: FSxResponse) -> str:
    """CreateFileSystem: the same token answers with the same file system; id and names are known at once."""
    request, clock = json.loads(self.body), _clock(self)
    systems, tokens = _of(self), _tokens.setdefault((self.current_account, self.region), {})
    token = request.get("ClientRequestToken")
    asked = json.dumps({key: value for key, value in request.items() if key != "ClientRequestToken"}, sort_keys=True)
    if token in tokens and tokens[token][0] != asked:
        # Also of a file system that has been deleted since; how long FSx remembers a token is not documented.
        text = "A file system with the same client request token but different parameters already exists."
        settings.error("fsx", "IncompatibleParameterError", text, 400, Parameter="ClientRequestToken")
    if token in tokens and tokens[token][1] in systems:
        return json.dumps({"FileSystem": _shown(self.region, self.current_account, systems[tokens[token][1]])})
    vpc = _checked(self, request)
    system = add(self.current_account, self.region, request, vpc)
    system.state, system.until = "CREATING", clock.now() + clock.duration("fsx_create")
    system.failure = next(iter(_failures.get(self.current_account, [])), None)
    if system.failure:
        _failures[self.current_account].pop(0)
    if token:
        tokens[token] = (asked, system.id)
    return json.dumps({"FileSystem": _shown(self.region, self.current_account, system)})


def add(account_id: str, region: str, request: Shape, vpc: str) -> FileSystem:
    """A file system as a request describes it, AVAILABLE at once."""
    system_id = f"fs-{secrets.token_hex(9)[:17]}"
    # FSx: the mount name is "fsx" for SCRATCH_1 only; it must be read from the answer.
    scratch_1 = (request.get("LustreConfiguration") or {}).get("DeploymentType", "SCRATCH_1") == "SCRATCH_1"
    system = FileSystem(
        id=system_id,
        arn=f"arn:{partitions.of(region)}:fsx:{region}:{account_id}:file-system/{system_id}",
        request=request,
        tags=_pairs(request.get("Tags")),
        vpc=vpc,
        mount_name="fsx" if scratch_1 else secrets.token_hex(4),
        state="AVAILABLE",
    )
    _systems.setdefault((account_id, region), {})[system_id] = system
    return system


def describe_file_systems(self: FSxResponse) -> str:
    """DescribeFileSystems: neither tokens nor tags can be asked for; an unknown id is an error."""
    request, systems = json.loads(self.body), _of(self)
    asked = request.get("FileSystemIds")
    found = [_system(self, each) for each in asked] if asked else list(systems.values())
    # FSx: a token is base64, and a page has at most 50, by AWS's model.
    start = int(base64.b64decode(request.get("NextToken") or "") or 0)
    size = min(request.get("MaxResults", PAGE), PAGE)
    shown = [_shown(self.region, self.current_account, each) for each in found[start : start + size]]
    page: Shape = {"FileSystems": shown}
    if start + size < len(found):
        page["NextToken"] = base64.b64encode(str(start + size).encode()).decode()
    return json.dumps(page)


def update_file_system(self: FSxResponse) -> str:
    """UpdateFileSystem: an AVAILABLE one may grow, and stays AVAILABLE meanwhile; it never shrinks."""
    request, clock = json.loads(self.body), _clock(self)
    system = _system(self, request.get("FileSystemId"))
    if system.state != "AVAILABLE":
        settings.error("fsx", "BadRequest", f"File system {system.id} is {system.state}, it must be AVAILABLE.")
    if (wanted := request.get("StorageCapacity")) is not None:
        present, kind = system.request["StorageCapacity"], _deployment(system.request)
        if wanted <= present or kind == "SCRATCH_1":
            text = f"Storage capacity {wanted} must be greater than the current {present}, which {kind} must allow."
            settings.error("fsx", "BadRequest", text)
        _capacity(wanted, kind)
        now = clock.now()
        if system.growth and system.growth.status(now) not in ("COMPLETED", "FAILED"):
            text = "Unable to perform the storage capacity update. There is an update already in progress."
            settings.error("fsx", "BadRequest", text)
        if system.growth and not system.growth.failure and now < system.growth.requested + COOLDOWN:
            text = "Unable to perform the storage capacity update. The last one was requested less than 6 hours ago."
            settings.error("fsx", "BadRequest", text)  # unconfirmed
        takes, spread = clock.duration("fsx_update", system.id), clock.duration("fsx_optimize", system.id)
        failure = next(iter(_growth_failures.get(self.current_account, [])), None)
        if failure:
            _growth_failures[self.current_account].pop(0)
        system.growth = Growth(wanted, now, now + takes / 4, now + takes, now + takes + spread, failure)
    system.request["LustreConfiguration"] = (system.request.get("LustreConfiguration") or {}) | (
        request.get("LustreConfiguration") or {}
    )
    return json.dumps({"FileSystem": _shown(self.region, self.current_account, system)})


def delete_file_system(self: FSxResponse) -> str:
    """DeleteFileSystem: a FAILED one has to be deleted like any other."""
    request, clock = json.loads(self.body), _clock(self)
    system = _system(self, request.get("FileSystemId"))
    if system.state != "DELETING":
        system.state, system.until = "DELETING", clock.now() + clock.duration("fsx_delete")
    return json.dumps({"FileSystemId": system.id, "Lifecycle": "DELETING", "LustreResponse": {}})


def tag_resource(self: FSxResponse) -> str:
    """TagResource."""
    request = json.loads(self.body)
    _tagged(self, request).tags.update(_pairs(request.get("Tags")))
    return "{}"


def untag_resource(self: FSxResponse) -> str:
    """UntagResource."""
    request = json.loads(self.body)
    for key in request.get("TagKeys", []):
        _tagged(self, request).tags.pop(key, None)
    return "{}"


def list_tags_for_resource(self: FSxResponse) -> str:
    """ListTagsForResource."""
    tags = _tag_list(_tagged(self, json.loads(self.body)).tags)
    return json.dumps({"Tags": tags} if tags else {})


def described(account_id: str) -> list[Shape]:
    """All file systems of an account, as the snapshot shows them."""
    systems = [
        {
            "id": system.id,
            "arn": system.arn,
            "region": region,
            "lifecycle": system.state,
            "capacity": system.request.get("StorageCapacity"),
            "deployment_type": _deployment(system.request),
            "throughput": (system.request.get("LustreConfiguration") or {}).get("PerUnitStorageThroughput"),
            "version": system.request.get("FileSystemTypeVersion"),
            "kms_key": system.request.get("KmsKeyId"),
            "subnets": system.request.get("SubnetIds", []),
            "security_groups": system.request.get("SecurityGroupIds", []),
            "mount_name": system.mount_name,
            "failure": system.failure if system.state == "FAILED" else None,
            "tags": dict(sorted(system.tags.items())),
        }
        for account, region in list(_systems)
        if account == account_id
        for system in of(account_id, region).values()
    ]
    return sorted(systems, key=lambda each: each["id"])


def of(account_id: str, region: str) -> dict[str, FileSystem]:
    """The file systems of an account and region, settled up to now."""
    now = settings.for_account(account_id).now()
    systems = _systems.setdefault((account_id, region), {})
    for system in list(systems.values()):
        if system.until is None or system.until > now:
            continue
        system.until = None
        if system.state == "DELETING":
            del systems[system.id]
        else:
            system.state = "FAILED" if system.failure else "AVAILABLE"
    for system in systems.values():
        # FSx: the capacity changes only when the growth is over.
        if system.growth and system.growth.status(now) in ("UPDATED_OPTIMIZING", "COMPLETED"):
            system.request["StorageCapacity"] = system.growth.size
    return systems


def _checked(response: FSxResponse, request: Shape) -> str:
    """FSx: the checks at creation; the VPC of the subnet is the answer."""
    if request.get("FileSystemType") != "LUSTRE":
        settings.error("fsx", "BadRequest", "The local cloud has LUSTRE file systems only.")
    subnets, backend = request.get("SubnetIds") or [], ec2_backends[response.current_account][response.region]
    if len(subnets) != 1:
        settings.error("fsx", "BadRequest", "Exactly one subnet ID is required for a Lustre file system.")
    known = {subnet_id: subnet for zone in backend.subnets.values() for subnet_id, subnet in zone.items()}
    if subnets[0] not in known:
        text = f"The subnet ID '{subnets[0]}' does not exist"
        settings.error("fsx", "InvalidNetworkSettings", text, InvalidSubnetId=subnets[0])
    if ec2.is_edge(known[subnets[0]]):
        # FSx for Lustre is in few Local Zones, and in no Wavelength Zone. The text is unconfirmed.
        text = f"Amazon FSx is not available in {known[subnets[0]].availability_zone}."
        settings.error("fsx", "InvalidNetworkSettings", text, InvalidSubnetId=subnets[0])
    _capacity(request.get("StorageCapacity"), _deployment(request))
    vpc = known[subnets[0]].vpc_id
    groups = [group for group in backend.groups[vpc].values() if group.id in (request.get("SecurityGroupIds") or [])]
    if not request.get("SecurityGroupIds"):
        groups = [group for group in backend.groups[vpc].values() if group.name == "default"]
    if not any(_permits_lnet(group) for group in groups):
        settings.error(
            "fsx",
            "InvalidNetworkSettings",
            "The file system cannot be created because the default security group in the subnet provided or the "
            "provided security groups do not permit Lustre LNET network traffic on port 988",
        )
    return vpc


def _permits_lnet(group: Any) -> bool:
    """Whether a security group lets its own members reach the Lustre port."""
    for rule in group.ingress_rules:
        ports = rule.ip_protocol == "-1" or (
            rule.ip_protocol == "tcp" and int(rule.from_port) <= LNET_PORT <= int(rule.to_port)
        )
        if ports and (rule.ip_range or rule.source_group.get("GroupId") == group.id):
            return True
    return False


def _capacity(wanted: Any, deployment: str) -> None:
    # FSx: SSD storage is 1200, 2400 and then steps of 2400 GiB; SCRATCH_1 takes steps of 3600.
    step = 3600 if deployment == "SCRATCH_1" else 2400
    if not isinstance(wanted, int) or not (wanted == 1200 or (wanted > 0 and wanted % step == 0) or wanted == 2400):
        text = f"Invalid storage capacity {wanted}: valid are 1200, 2400 and multiples of {step} GiB."
        settings.error("fsx", "BadRequest", text)


def _deployment(request: Shape) -> str:
    return (request.get("LustreConfiguration") or {}).get("DeploymentType", "SCRATCH_1")


def _of(response: FSxResponse) -> dict[str, FileSystem]:
    return of(response.current_account, response.region)


def _clock(response: FSxResponse) -> settings.AccountSettings:
    return settings.for_account(response.current_account)


def _system(response: FSxResponse, system_id: str | None) -> FileSystem:
    system = _of(response).get(str(system_id))
    if system is None:
        settings.error("fsx", "FileSystemNotFound", f"File system '{system_id}' does not exist.")
    return system


def _tagged(response: FSxResponse, request: Shape) -> FileSystem:
    system = _of(response).get(str(request.get("ResourceARN")).split("/")[-1])
    if system is None:
        text = f"Resource '{request.get('ResourceARN')}' does not exist."
        settings.error("fsx", "ResourceNotFound", text)
    return system


def _shown(region: str, account_id: str, system: FileSystem) -> Shape:
    given = system.request
    lustre = {"DeploymentType": "SCRATCH_1", "DataCompressionType": "NONE"} | (given.get("LustreConfiguration") or {})
    shown: Shape = {
        "OwnerId": account_id,
        "CreationTime": system.created,
        "FileSystemId": system.id,
        "FileSystemType": given.get("FileSystemType", "LUSTRE"),
        "Lifecycle": system.state,
        "StorageCapacity": given.get("StorageCapacity"),
        "StorageType": given.get("StorageType", "SSD"),
        "VpcId": system.vpc,
        "SubnetIds": given.get("SubnetIds", []),
        "DNSName": f"{system.id}.fsx.{region}.{partitions.dns_suffix(region)}",
        "ResourceARN": system.arn,
    }
    if shown["FileSystemType"] == "LUSTRE":
        shown["LustreConfiguration"] = lustre | {"MountName": system.mount_name}
        shown["FileSystemTypeVersion"] = given.get("FileSystemTypeVersion", "2.10")
    if system.tags:  # AWS's model knows no empty list of them
        shown["Tags"] = _tag_list(system.tags)
    if given.get("KmsKeyId"):
        shown["KmsKeyId"] = given["KmsKeyId"]
    if system.growth:
        shown["AdministrativeActions"] = _actions(system.growth, settings.for_account(account_id).now())
    if system.state == "FAILED":
        shown["FailureDetails"] = {"Message": system.failure}
    return shown


def _actions(growth: Growth, now: float) -> list[Shape]:
    """FSx: a growth is one action, and the optimization after it another."""
    status = growth.status(now)
    update: Shape = {
        "AdministrativeActionType": "FILE_SYSTEM_UPDATE",
        "RequestTime": growth.time,
        "Status": status,
        "TargetFileSystemValues": {"StorageCapacity": growth.size},
    }
    if status == "FAILED":
        update["FailureDetails"] = {"Message": growth.failure}
    if status != "UPDATED_OPTIMIZING":
        return [update]
    optimization = {"AdministrativeActionType": "STORAGE_OPTIMIZATION", "Status": "IN_PROGRESS", "ProgressPercent": 10}
    return [update, optimization | {"RequestTime": growth.time}]


def _pairs(tags: list[dict[str, str]] | None) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in tags or []}


def _tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
