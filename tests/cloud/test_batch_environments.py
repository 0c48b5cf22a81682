"""Compute environments of the local cloud: their life, their refusals, and IAM's part in both."""

from __future__ import annotations

import base64
import re
from typing import Any

import batch_checks
import pytest
from stage import SERVICE_POLICY, Stage, refused, stage, trust

__all__ = ["stage"]


def one_of(texts: list[str], reason: str) -> bool:
    """Whether a reason is one of these texts, whatever is filled in."""
    patterns = (re.sub(r"\\{\w+\\}", ".*", re.escape(text)) for text in texts)
    return any(re.fullmatch(f"CLIENT_ERROR - {pattern}", reason) for pattern in patterns)


def test_an_environment_is_valid_after_its_time(stage: Stage) -> None:
    stage.batch.create_compute_environment(**stage.request(tags={"a": "b"}))
    assert stage.status() == "CREATING"
    stage.after(9)
    assert stage.status() == "CREATING"
    stage.after(1)
    shown = stage.look()
    assert (shown["status"], shown["statusReason"], shown["state"]) == (
        "VALID",
        "ComputeEnvironment Healthy",
        "ENABLED",
    )
    assert shown["tags"] == {"a": "b"}
    assert shown["ecsClusterArn"].split("/")[1] == f"one_Batch_{shown['uuid']}"
    assert shown["containerOrchestrationType"] == "ECS"
    resources = shown["computeResources"]
    assert (resources["minvCpus"], resources["desiredvCpus"], resources["maxvCpus"]) == (0, 0, 16)


def test_the_whole_way_to_nothing(stage: Stage) -> None:
    stage.environment()
    assert refused(stage.batch.delete_compute_environment, computeEnvironment="one")[0] == "ClientException"
    stage.batch.update_compute_environment(computeEnvironment="one", state="DISABLED")
    assert (stage.look()["state"], stage.status()) == ("DISABLED", "UPDATING")
    busy = refused(stage.batch.delete_compute_environment, computeEnvironment="one")
    assert busy == ("ClientException", "Cannot delete, resource is being modified.")
    again = refused(stage.batch.update_compute_environment, computeEnvironment="one", state="ENABLED")
    assert again == ("ClientException", "Cannot update, resource is being modified.")
    stage.after(10)
    stage.batch.delete_compute_environment(computeEnvironment="one")
    assert stage.status() == "DELETING"
    assert refused(stage.batch.create_compute_environment, **stage.request()) == (
        "ConflictException",
        "Object already exists",
    )
    stage.batch.delete_compute_environment(computeEnvironment="one")
    stage.after(10)
    assert stage.look() is None
    gone = refused(stage.batch.delete_compute_environment, computeEnvironment="one")
    arn = f"arn:aws:batch:us-east-1:{stage.account.id}:compute-environment/one"
    assert gone == ("ClientException", f"{arn} does not exist")
    assert refused(stage.batch.update_compute_environment, computeEnvironment=arn) == gone
    stage.environment()
    assert stage.status() == "VALID"


def test_deleted_things_may_be_listed_a_moment_longer(stage: Stage) -> None:
    stage.configure(durations={"deleted_visible": 5})
    stage.environment()
    stage.disable()
    stage.batch.delete_compute_environment(computeEnvironment="one")
    stage.after(10)
    assert stage.status() == "DELETED"
    assert stage.state()["compute_environments"] == []
    stage.environment()
    assert stage.status() == "VALID"


def test_a_read_may_lag_behind_a_write(stage: Stage) -> None:
    stage.configure(durations={"describe_lag": 3, "update_lag": 3})
    stage.batch.create_compute_environment(**stage.request())
    assert stage.look() is None
    assert refused(stage.batch.create_compute_environment, **stage.request())[0] == "ConflictException"
    stage.after(3)
    assert stage.status() == "CREATING"
    stage.after(7)
    stage.batch.update_compute_environment(computeEnvironment="one", state="DISABLED")
    assert (stage.look()["state"], stage.status()) == ("ENABLED", "VALID")
    stage.after(3)
    assert (stage.look()["state"], stage.status()) == ("DISABLED", "UPDATING")


REFUSALS = [
    ({"type": "SPOT", "allocationStrategy": None}, "compute resource spotIamFleetRole is required."),
    ({"instanceRole": None}, "Instance role is required."),
    ({"instanceTypes": []}, "Resource instanceTypes are required."),
    ({"securityGroupIds": []}, "Security group ids are required."),
    ({"minvCpus": 17}, "maxvCpus should be greater than or equal to minvCpus."),
    ({"desiredvCpus": 17}, "desiredvCpus should be between minvCpus and maxvCpus."),
    ({"instanceTypes": ["m6i", "m6g"]}, "arm-based instance type cannot be used with other instance types."),
    ({"ec2Configuration": [{"imageType": "ECS_WIN"}]}, "Invalid imageType in ComputeResources.ec2Configuration"),
    ({"ec2Configuration": [{"imageType": "ECS_AL2"}]}, "Amazon Linux 2 is end-of-life."),
    ({"launchTemplate": {"launchTemplateId": "lt-1", "version": "x"}},
     "LaunchTemplateVersion must be either empty or a number or $Default or $Latest."),
    ({"launchTemplate": {"launchTemplateId": "lt-1", "overrides": [{"launchTemplateId": "lt-2"}]}},
     "LaunchTemplate.overrides.targetInstanceTypes[] is required"),
    ({"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"},
     "Allocation strategy SPOT_CAPACITY_OPTIMIZED requires compute resource type SPOT."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "text"), REFUSALS)
def test_what_create_refuses(stage: Stage, change: dict[str, Any], text: str) -> None:
    code, message = refused(
        stage.batch.create_compute_environment, **stage.request(resources=stage.resources(**change))
    )
    assert (code, text in message) == ("ClientException", True), message
    assert stage.state()["compute_environments"] == []


def test_an_environment_can_only_be_created_enabled(stage: Stage) -> None:
    text = "Compute Environment must be created in ENABLED state."
    assert refused(stage.batch.create_compute_environment, **stage.request(state="DISABLED")) == (
        "ClientException",
        text,
    )


def test_a_51st_environment_is_refused(stage: Stage) -> None:
    stage.configure(quota={"compute_environments": 1})
    stage.environment()
    assert refused(stage.batch.create_compute_environment, **stage.request("two"))[0] == "ClientException"


def test_describe_lists_all_by_pages_and_leaves_out_what_is_unknown(stage: Stage) -> None:
    stage.seed(environment=[{"name": name} for name in ("c", "a", "b")])
    pages = stage.batch.get_paginator("describe_compute_environments").paginate(PaginationConfig={"PageSize": 2})
    names = [[each["computeEnvironmentName"] for each in page["computeEnvironments"]] for page in pages]
    assert names == [["a", "b"], ["c"]]
    found = stage.batch.describe_compute_environments(computeEnvironments=["b", "none"])["computeEnvironments"]
    assert [each["computeEnvironmentName"] for each in found] == ["b"]


def test_tags_come_and_go(stage: Stage) -> None:
    stage.environment(tags={"a": "1", "b": "2"})
    arn = stage.look()["computeEnvironmentArn"]
    stage.batch.tag_resource(resourceArn=arn, tags={"a": "3", "c": "4"})
    stage.batch.untag_resource(resourceArn=arn, tagKeys=["b"])
    assert stage.look()["tags"] == stage.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "3", "c": "4"}
    too_many = {str(number): "" for number in range(49)}
    assert refused(stage.batch.tag_resource, resourceArn=arn, tags=too_many)[0] == "ClientException"


def test_only_scaling_fields_change_under_a_role_of_its_own(stage: Stage) -> None:
    stage.environment()
    stage.batch.update_compute_environment(computeEnvironment="one", computeResources={"minvCpus": 4, "maxvCpus": 8})
    stage.after(10)
    resources = stage.look()["computeResources"]
    assert [resources[key] for key in ("minvCpus", "maxvCpus", "desiredvCpus")] == [4, 8, 4]
    assert resources["instanceTypes"] == ["m6i"]
    for change, text in (
        ({"instanceTypes": ["m6i"]}, "Following fields [instanceTypes] can be updated only for Non-fargate Compute "
                                     "Environment having a Batch Service Linked Role"),
        ({"maxvCpus": 3}, "maxvCpus should be greater than or equal to minvCpus."),
        ({"desiredvCpus": 2}, "desiredvCpus cannot be less than the current desiredvCpus."),
    ):  # fmt: skip
        call = stage.batch.update_compute_environment
        assert refused(call, computeEnvironment="one", computeResources=change) == ("ClientException", text)
    linked = f"arn:aws:iam::{stage.account.id}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
    assert (
        refused(stage.batch.update_compute_environment, computeEnvironment="one", serviceRole=linked)[0]
        == "ClientException"
    )


def test_under_the_service_linked_role_more_changes_but_not_with_best_fit(stage: Stage) -> None:
    change = {"instanceTypes": ["c6i"]}
    for name, strategy in (("one", "BEST_FIT_PROGRESSIVE"), ("two", "BEST_FIT")):
        request = stage.request(name, stage.resources(allocationStrategy=strategy))
        del request["serviceRole"]
        stage.batch.create_compute_environment(**request)
    stage.after(10)
    stage.batch.update_compute_environment(computeEnvironment="one", computeResources=change)
    stage.after(10)
    assert stage.look()["computeResources"]["instanceTypes"] == ["c6i"]
    code, message = refused(stage.batch.update_compute_environment, computeEnvironment="two", computeResources=change)
    assert (code, "BEST_FIT" in message) == ("ClientException", True)


def test_a_role_that_has_not_spread_makes_it_invalid_and_an_update_repairs_it(stage: Stage) -> None:
    stage.configure(durations={"iam_propagation": 30})
    stage.environment()
    shown = stage.look()
    assert shown["status"] == "INVALID"
    assert one_of(batch_checks.ROLE_LAGS, shown["statusReason"])
    stage.after(60)
    assert stage.status() == "INVALID"
    stage.batch.update_compute_environment(computeEnvironment="one", serviceRole=stage.role, state="ENABLED")
    stage.after(10)
    assert stage.status() == "VALID"


def test_a_policy_that_has_not_spread_makes_it_invalid(stage: Stage) -> None:
    role = stage.iam.create_role(RoleName="late", AssumeRolePolicyDocument=trust("batch.amazonaws.com"))["Role"]["Arn"]
    stage.profile  # noqa: B018 - made before anything lags
    stage.configure(durations={"iam_propagation": 30})
    stage.iam.attach_role_policy(RoleName="late", PolicyArn=SERVICE_POLICY)
    stage.environment(serviceRole=role)
    reason = stage.look()["statusReason"]
    assert reason.startswith(
        f"CLIENT_ERROR - User: arn:aws:sts::{stage.account.id}:assumed-role/late/aws-batch is not authorized to "
        f"perform: ecs:DescribeClusters on resource: arn:aws:ecs:us-east-1:{stage.account.id}:cluster/one_Batch_"
    )
    assert "because no identity-based policy allows" in reason


def test_a_boundary_that_forbids_what_batch_needs_makes_it_invalid(stage: Stage) -> None:
    statement = {"Effect": "Allow", "Action": ["s3:*", "ecs:List*"], "Resource": "*"}
    boundary = stage.seed(policy={"name": "b", "document": {"Version": "2012-10-17", "Statement": [statement]}})
    stage.seed(role={"name": "bound", "policies": [SERVICE_POLICY], "boundary": boundary["policy"]["arn"]})
    stage.environment(serviceRole=f"arn:aws:iam::{stage.account.id}:role/bound")
    assert "because no permissions boundary allows" in stage.look()["statusReason"]


def test_profile_template_network_and_key_are_looked_at_late(stage: Stage) -> None:
    account = stage.account.id
    stage.seed(instance_profile={"name": "empty"})
    absent = f"arn:aws:iam::{account}:instance-profile/absent"
    cases = {
        "absent": ({"instanceRole": absent}, f"CLIENT_ERROR - Instance profile {absent} does not exist"),
        "empty": ({"instanceRole": "empty"}, "CLIENT_ERROR - Invalid IamInstanceProfile: empty"),
        "arole": ({"instanceRole": f"arn:aws:iam::{account}:role/instance"}, "CLIENT_ERROR - Invalid Iam"),
        "template": ({"launchTemplate": {"launchTemplateId": "lt-0"}}, "with template ID lt-0, does not exist"),
        "subnet": ({"subnets": ["subnet-0"]}, "The subnet ID 'subnet-0' does not exist"),
        "group": ({"securityGroupIds": ["sg-0"]}, "The security group 'sg-0' does not exist"),
        "key": ({"ec2KeyPair": "none"}, "The key pair 'none' does not exist"),
        "fleet": ({"type": "SPOT", "allocationStrategy": "BEST_FIT", "spotIamFleetRole": stage.role},
                  "Error Code: InvalidSpotFleetRequestConfig"),
    }  # fmt: skip
    for name, (change, _) in cases.items():
        stage.batch.create_compute_environment(**stage.request(name, stage.resources(**change)))
    stage.after(10)
    for name, (_, text) in cases.items():
        shown = stage.look(name)
        assert (shown["status"], text in shown["statusReason"]) == ("INVALID", True), shown["statusReason"]


@pytest.mark.parametrize(("user_data", "status"), [
    (b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/x-shellscript\n\n'
     b"#!/bin/sh\necho\n\n--x--\n", "VALID"),
    (b"#!/bin/sh\necho\n", "INVALID"),
    (b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/x-shellscript\n\n'
     + b"#" * 17000 + b"\n--x--\n", "INVALID"),
])  # fmt: skip
def test_user_data_is_mime_multipart_of_16_kib(stage: Stage, user_data: bytes, status: str) -> None:
    template = stage.ec2.create_launch_template(
        LaunchTemplateName="data", LaunchTemplateData={"UserData": base64.b64encode(user_data).decode()}
    )["LaunchTemplate"]["LaunchTemplateId"]
    stage.environment(resources=stage.resources(launchTemplate={"launchTemplateId": template, "version": "1"}))
    assert stage.status() == status
    assert stage.state()["launch_templates"][0]["data"]["UserData"].encode() == user_data


def test_a_root_volume_is_as_large_as_the_snapshot_of_its_image(stage: Stage) -> None:
    stage.seed(image={"id": "ami-00000000000000abc", "root": "/dev/sda1", "size": 8})

    def reason(size: int, **configuration: str) -> str:
        mapping = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": size}}
        name = f"t{size}{len(configuration)}"
        stage.ec2.create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={"BlockDeviceMappings": [mapping]}
        )
        change: dict[str, Any] = {"launchTemplate": {"launchTemplateName": name, "version": "1"}}
        change["ec2Configuration"] = [{"imageType": "ECS_AL2023"} | configuration]
        stage.environment(name, stage.resources(**change))
        return stage.look(name)["statusReason"]

    assert "Volume of size 29GB is smaller than snapshot 'snap-" in reason(29)
    assert "', expect size >= 30GB (Service: AmazonAutoScaling;" in reason(28)
    assert reason(30) == "ComputeEnvironment Healthy"
    assert reason(7, imageIdOverride="ami-00000000000000abc") == "ComputeEnvironment Healthy"
    assert "The image id '[ami-00000000000000abd]' does not" in reason(9, imageIdOverride="ami-00000000000000abd")


def test_an_update_of_limits_does_not_look_at_the_template_again(stage: Stage) -> None:
    stage.seed(template={"name": "data"})
    stage.environment(resources=stage.resources(launchTemplate={"launchTemplateName": "data", "version": "1"}))
    stage.ec2.delete_launch_template(LaunchTemplateName="data")
    stage.batch.update_compute_environment(computeEnvironment="one", computeResources={"maxvCpus": 8})
    stage.after(10)
    assert stage.status() == "VALID"


def test_without_its_role_an_environment_can_not_be_deleted(stage: Stage) -> None:
    stage.environment()
    stage.iam.detach_role_policy(RoleName="service", PolicyArn=SERVICE_POLICY)
    stage.iam.delete_role(RoleName="service")
    assert stage.status() == "INVALID"
    stage.disable()
    assert (stage.look()["state"], stage.status()) == ("DISABLED", "INVALID")
    stage.batch.delete_compute_environment(computeEnvironment="one")
    stage.after(10)
    assert "sts:AssumeRole" in stage.look()["statusReason"]
    stage.service_role("service")
    stage.batch.delete_compute_environment(computeEnvironment="one")
    stage.after(10)
    assert stage.look() is None


def test_a_deletion_that_was_over_is_over_whoever_looks(stage: Stage) -> None:
    stage.environment()
    stage.disable()
    stage.batch.delete_compute_environment(computeEnvironment="one")
    stage.after(10)
    stage.drop("role", "service")
    assert stage.look() is None


def test_a_lost_cluster_is_beyond_repair(stage: Stage) -> None:
    stage.environment()
    stage.drop("cluster", "one")
    assert stage.look()["statusReason"] == "CLIENT_ERROR - Clusters can not be blank."
    stage.batch.update_compute_environment(computeEnvironment="one", serviceRole=stage.role)
    stage.after(10)
    assert stage.status() == "INVALID"
    stage.disable()
    stage.batch.delete_compute_environment(computeEnvironment="one")
    stage.after(10)
    assert stage.look() is None


def test_fargate_has_no_instances(stage: Stage) -> None:
    fargate = {
        key: value
        for key, value in stage.resources(type="FARGATE").items()
        if key in ("type", "maxvCpus", "subnets", "securityGroupIds")
    }
    assert (
        refused(stage.batch.create_compute_environment, **stage.request(resources=fargate | {"minvCpus": 0}))[0]
        == "ClientException"
    )
    stage.environment(resources=fargate)
    shown = stage.look()
    assert (shown["status"], "desiredvCpus" in shown["computeResources"]) == ("VALID", False)
    call, latest = stage.batch.update_compute_environment, {"updateToLatestImageVersion": True}
    text = "The following parameters can't be updated for Fargate compute environment: updateToLatestImageVersion"
    assert refused(call, computeEnvironment="one", computeResources=latest) == ("ClientException", text)
    call(computeEnvironment="one", computeResources={"maxvCpus": 32})
    stage.after(10)
    assert stage.look()["computeResources"]["maxvCpus"] == 32
