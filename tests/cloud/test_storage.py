"""EFS and FSx of the local cloud."""

from __future__ import annotations

from typing import Any

import pytest
from stage import Stage, refused, stage

__all__ = ["stage"]

TAGS = [{"Key": "a", "Value": "b"}]


def test_efs_goes_through_its_states(stage: Stage) -> None:
    efs, subnet = stage.account.client("efs"), stage.subnets[0]["SubnetId"]
    made = efs.create_file_system(CreationToken="t", Encrypted=True, Tags=TAGS)
    system = made["FileSystemId"]
    assert made["LifeCycleState"] == "creating"
    with pytest.raises(efs.exceptions.FileSystemAlreadyExists) as caught:
        efs.create_file_system(CreationToken="t")
    assert caught.value.response["FileSystemId"] == system
    target = {"FileSystemId": system, "SubnetId": subnet}
    assert refused(efs.create_mount_target, **target)[0] == "IncorrectFileSystemLifeCycleState"
    stage.after(10)
    assert efs.describe_file_systems(CreationToken="t")["FileSystems"][0]["LifeCycleState"] == "available"
    mounted = efs.create_mount_target(**target, SecurityGroups=[stage.group])
    assert (mounted["LifeCycleState"], mounted["AvailabilityZoneId"]) == (
        "creating",
        stage.subnets[0]["AvailabilityZoneId"],
    )
    assert refused(efs.create_mount_target, **target)[0] == "MountTargetConflict"
    foreign = stage.seed(vpc={"zones": ["us-east-1b"]})["vpc"]["subnets"][0]
    assert refused(efs.create_mount_target, FileSystemId=system, SubnetId=foreign)[0] == "MountTargetConflict"
    stage.after(10)
    shown = efs.describe_mount_targets(FileSystemId=system)["MountTargets"]
    assert [each["LifeCycleState"] for each in shown] == ["available"]
    assert efs.describe_mount_target_security_groups(MountTargetId=mounted["MountTargetId"])["SecurityGroups"] == [
        stage.group
    ]
    assert refused(efs.delete_file_system, FileSystemId=system)[0] == "FileSystemInUse"
    efs.delete_mount_target(MountTargetId=mounted["MountTargetId"])
    assert refused(efs.delete_file_system, FileSystemId=system)[0] == "FileSystemInUse"
    stage.after(10)
    assert refused(efs.delete_mount_target, MountTargetId=mounted["MountTargetId"])[0] == "MountTargetNotFound"
    efs.delete_file_system(FileSystemId=system)
    stage.after(10)
    assert refused(efs.describe_file_systems, FileSystemId=system)[0] == "FileSystemNotFound"
    assert stage.state()["efs"] == []


def test_efs_keeps_policies_and_tags(stage: Stage) -> None:
    efs, made = stage.account.client("efs"), stage.seed(efs={"token": "t", "subnets": [stage.subnets[0]["SubnetId"]]})
    system, policies = made["efs"]["id"], [{"TransitionToIA": "AFTER_30_DAYS"}]
    efs.put_lifecycle_configuration(FileSystemId=system, LifecyclePolicies=policies)
    assert efs.describe_lifecycle_configuration(FileSystemId=system)["LifecyclePolicies"] == policies
    efs.put_backup_policy(FileSystemId=system, BackupPolicy={"Status": "ENABLED"})
    assert efs.describe_backup_policy(FileSystemId=system)["BackupPolicy"]["Status"] == "ENABLED"
    efs.tag_resource(ResourceId=system, Tags=[*TAGS, {"Key": "c", "Value": "d"}])
    efs.untag_resource(ResourceId=system, TagKeys=["c"])
    assert efs.list_tags_for_resource(ResourceId=system)["Tags"] == TAGS
    updated = efs.update_file_system(FileSystemId=system, ThroughputMode="elastic")
    assert (updated["LifeCycleState"], updated["ThroughputMode"]) == ("updating", "elastic")
    shown = stage.state()["efs"][0]
    assert (shown["tags"], shown["lifecycle_policies"], len(shown["mount_targets"])) == ({"a": "b"}, policies, 1)


def lustre(stage: Stage, **more: Any) -> dict[str, Any]:
    """A request of CreateFileSystem that FSx takes."""
    return {
        "FileSystemType": "LUSTRE", "StorageCapacity": 1200, "SubnetIds": [stage.subnets[0]["SubnetId"]],
        "SecurityGroupIds": [stage.group], "LustreConfiguration": {"DeploymentType": "SCRATCH_2"}, "Tags": TAGS,
    } | more  # fmt: skip


def test_fsx_goes_through_its_states(stage: Stage) -> None:
    fsx = stage.account.client("fsx")
    made = fsx.create_file_system(**lustre(stage), ClientRequestToken="t")["FileSystem"]
    system = made["FileSystemId"]
    assert (made["Lifecycle"], made["DNSName"]) == ("CREATING", f"{system}.fsx.us-east-1.amazonaws.com")
    assert made["LustreConfiguration"]["MountName"] != "fsx"
    again = fsx.create_file_system(**lustre(stage), ClientRequestToken="t")["FileSystem"]
    assert again["FileSystemId"] == system
    other = lustre(stage, StorageCapacity=2400, ClientRequestToken="t")
    assert refused(fsx.create_file_system, **other)[0] == "IncompatibleParameterError"
    stage.after(10)
    shown = fsx.describe_file_systems(FileSystemIds=[system])["FileSystems"][0]
    assert (shown["Lifecycle"], shown["Tags"]) == ("AVAILABLE", TAGS)
    assert refused(fsx.update_file_system, FileSystemId=system, StorageCapacity=1200)[0] == "BadRequest"
    fsx.update_file_system(FileSystemId=system, StorageCapacity=2400)
    stage.after(10)
    assert (stage.state()["fsx"][0]["capacity"], stage.state()["fsx"][0]["lifecycle"]) == (2400, "AVAILABLE")
    fsx.tag_resource(ResourceARN=made["ResourceARN"], Tags=[{"Key": "c", "Value": "d"}])
    fsx.untag_resource(ResourceARN=made["ResourceARN"], TagKeys=["c"])
    assert fsx.list_tags_for_resource(ResourceARN=made["ResourceARN"])["Tags"] == TAGS
    assert fsx.delete_file_system(FileSystemId=system)["Lifecycle"] == "DELETING"
    stage.after(10)
    for call, parameters in (
        (fsx.describe_file_systems, {"FileSystemIds": [system]}),
        (fsx.delete_file_system, {"FileSystemId": system}),
    ):
        assert refused(call, **parameters)[0] == "FileSystemNotFound"


def test_fsx_checks_network_and_capacity_and_may_fail(stage: Stage) -> None:
    fsx = stage.account.client("fsx")
    rules = [{"from": 988, "to": 988}]
    made = stage.seed(security_group=[{"name": "closed"}, {"name": "open", "rules": rules}])["security_group"]
    code, text = refused(fsx.create_file_system, **lustre(stage, SecurityGroupIds=[made[0]["id"]]))
    assert (code, text.endswith("do not permit Lustre LNET network traffic on port 988")) == (
        "InvalidNetworkSettings",
        True,
    )
    for change in ({"StorageCapacity": 3600}, {"SubnetIds": [each["SubnetId"] for each in stage.subnets[:2]]}):
        assert refused(fsx.create_file_system, **lustre(stage, **change))[0] == "BadRequest"
    stage.seed(fsx_failure={"message": "no capacity"})
    system = fsx.create_file_system(**lustre(stage, SecurityGroupIds=[made[1]["id"]]))["FileSystem"]["FileSystemId"]
    stage.after(10)
    shown = fsx.describe_file_systems(FileSystemIds=[system])["FileSystems"][0]
    assert (shown["Lifecycle"], shown["FailureDetails"]["Message"]) == ("FAILED", "no capacity")
