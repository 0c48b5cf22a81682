"""IAM, EC2, logs, CloudFormation and Lambda of the local cloud, and the views and changes of tests."""

from __future__ import annotations

import json
from typing import Any

from stage import SERVICE_POLICY, Stage, refused, stage, trust

__all__ = ["stage"]

TAGS = [{"Key": "a", "Value": "b"}]


def test_iam_names_its_limits(stage: Stage) -> None:
    good = {"RoleName": "r", "AssumeRolePolicyDocument": trust("batch.amazonaws.com")}
    create = stage.iam.create_role
    assert refused(create, **good | {"RoleName": "r" * 65})[0] == "ValidationError"
    (violation,) = stage.account.take_violations()
    assert violation == "iam:CreateRole request.RoleName: 65 characters, but 1 to 64 are allowed"
    assert refused(create, **good | {"AssumeRolePolicyDocument": "{"})[0] == "MalformedPolicyDocument"
    assert refused(create, **good | {"AssumeRolePolicyDocument": trust("x" * 2048)})[0] == "LimitExceeded"
    role = create(**good, Tags=TAGS, PermissionsBoundary="arn:aws:iam::1:policy/b")["Role"]
    assert (role["Tags"], role["RoleId"][:4]) == (TAGS, "AROA")
    for name in ("r", "R"):
        text = f"Role with name {name} already exists."
        assert refused(create, **good | {"RoleName": name}) == ("EntityAlreadyExists", text)
    shown = stage.iam.get_role(RoleName="r")["Role"]
    assert shown["PermissionsBoundary"]["PermissionsBoundaryArn"] == "arn:aws:iam::1:policy/b"
    assert refused(stage.iam.get_role, RoleName="x") == ("NoSuchEntity", "The role with name x cannot be found.")
    stage.configure(quota={"roles": 1})
    assert refused(create, **good | {"RoleName": "s"})[0] == "LimitExceeded"


def test_inline_policies_share_one_quota(stage: Stage) -> None:
    def document(size: int) -> str:
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::" + "x" * size}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=9)

    stage.service_role("r")
    put = stage.iam.put_role_policy
    put(RoleName="r", PolicyName="a", PolicyDocument=document(6000))
    put(RoleName="r", PolicyName="a", PolicyDocument=document(7000))
    code, text = refused(put, RoleName="r", PolicyName="b", PolicyDocument=document(4000))
    assert (code, text) == ("LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role r")
    assert refused(put, RoleName="r", PolicyName="b", PolicyDocument="no")[0] == "MalformedPolicyDocument"
    put(RoleName="r", PolicyName="b", PolicyDocument=document(10))
    pages = stage.iam.get_paginator("list_role_policies").paginate(RoleName="r", PaginationConfig={"PageSize": 1})
    assert [page["PolicyNames"] for page in pages] == [["a"], ["b"]]
    gone = ("NoSuchEntity", "The role policy with name c cannot be found.")
    assert refused(stage.iam.delete_role_policy, RoleName="r", PolicyName="c") == gone


def test_a_role_goes_last(stage: Stage) -> None:
    stage.service_role("r")
    stage.iam.attach_role_policy(RoleName="r", PolicyArn=SERVICE_POLICY)
    stage.iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    ))  # fmt: skip
    stage.iam.create_instance_profile(InstanceProfileName="p", Tags=TAGS)
    stage.iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    profiles = stage.iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"]
    assert [each["InstanceProfileName"] for each in profiles] == ["p"]
    assert stage.iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Tags"] == TAGS
    attached = stage.iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"]
    assert [each["PolicyArn"] for each in attached] == [SERVICE_POLICY]
    steps: list[tuple[Any, dict[str, str]]] = [
        (stage.iam.remove_role_from_instance_profile, {"InstanceProfileName": "p", "RoleName": "r"}),
        (stage.iam.detach_role_policy, {"RoleName": "r", "PolicyArn": SERVICE_POLICY}),
        (stage.iam.delete_role_policy, {"RoleName": "r", "PolicyName": "p"}),
    ]
    assert refused(stage.iam.delete_instance_profile, InstanceProfileName="p")[0] == "DeleteConflict"
    for call, parameters in steps:
        assert refused(stage.iam.delete_role, RoleName="r")[0] == "DeleteConflict"
        call(**parameters)
        assert refused(call, **parameters)[0] == "NoSuchEntity"
    stage.iam.delete_role(RoleName="r")
    stage.iam.delete_instance_profile(InstanceProfileName="p")
    assert refused(stage.iam.delete_role, RoleName="r")[0] == "NoSuchEntity"
    assert refused(stage.iam.list_instance_profiles_for_role, RoleName="r")[0] == "NoSuchEntity"
    gone = ("NoSuchEntity", "Instance Profile p cannot be found.")
    assert refused(stage.iam.delete_instance_profile, InstanceProfileName="p") == gone


def test_a_profile_has_one_role_and_may_find_a_new_one_late(stage: Stage) -> None:
    stage.configure(durations={"add_role_lag": 5})
    stage.iam.create_instance_profile(InstanceProfileName="p")
    stage.service_role("r")
    add = stage.iam.add_role_to_instance_profile
    late = ("NoSuchEntity", "The role with name r cannot be found.")
    assert refused(add, InstanceProfileName="p", RoleName="r") == late
    stage.after(5)
    add(InstanceProfileName="p", RoleName="r")
    full = ("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
    assert refused(add, InstanceProfileName="p", RoleName="r") == full
    assert refused(stage.iam.attach_role_policy, RoleName="r", PolicyArn=SERVICE_POLICY + "X")[0] == "NoSuchEntity"


def test_roles_are_tagged_and_bounded_in_place(stage: Stage) -> None:
    stage.service_role("r")
    stage.iam.tag_role(RoleName="r", Tags=[*TAGS, {"Key": "c", "Value": "d"}])
    stage.iam.untag_role(RoleName="r", TagKeys=["c"])
    stage.iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=SERVICE_POLICY)
    assert stage.iam.list_role_tags(RoleName="r")["Tags"] == TAGS
    shown = stage.state()["roles"][0]
    assert (shown["tags"], shown["boundary"], shown["managed"]) == ({"a": "b"}, SERVICE_POLICY, [SERVICE_POLICY])
    stage.iam.delete_role_permissions_boundary(RoleName="r")
    assert stage.state()["roles"][0]["boundary"] is None


def template(name: str, **more: Any) -> dict[str, Any]:
    """A request of CreateLaunchTemplate."""
    specification = [{"ResourceType": "launch-template", "Tags": TAGS}]
    return {
        "LaunchTemplateName": name,
        "LaunchTemplateData": {"ImageId": "ami-1"},
        "TagSpecifications": specification,
    } | more


def test_launch_templates_have_tokens_names_and_filters(stage: Stage) -> None:
    create, describe = stage.ec2.create_launch_template, stage.ec2.describe_launch_templates
    first = create(**template("one", ClientToken="t"))["LaunchTemplate"]
    assert create(**template("one", ClientToken="t"))["LaunchTemplate"] == first
    assert refused(create, **template("two", ClientToken="t"))[0] == "IdempotentParameterMismatch"
    assert refused(create, **template("one"))[0] == "InvalidLaunchTemplateName.AlreadyExistsException"
    assert refused(create, **template("a b"))[0] == "InvalidLaunchTemplateName.MalformedException"
    second = create(**template("two", TagSpecifications=[]))["LaunchTemplate"]
    stage.ec2.create_tags(Resources=[second["LaunchTemplateId"]], Tags=[{"Key": "later", "Value": "x"}])

    def names(**parameters: Any) -> list[str]:
        return [each["LaunchTemplateName"] for each in describe(**parameters)["LaunchTemplates"]]

    assert names(Filters=[{"Name": "tag:later", "Values": ["x", "y"]}]) == ["two"]
    assert names(Filters=[{"Name": "launch-template-name", "Values": ["o*"]}]) == ["one"]
    assert names(Filters=[{"Name": "tag:a", "Values": ["b"]}, {"Name": "launch-template-name", "Values": ["t*"]}]) == []
    assert names(LaunchTemplateIds=[first["LaunchTemplateId"]]) == names(LaunchTemplateNames=["one"]) == ["one"]
    assert describe(MaxResults=1)["NextToken"]
    versions = stage.ec2.describe_launch_template_versions(LaunchTemplateName="one")["LaunchTemplateVersions"]
    assert versions[0]["LaunchTemplateData"] == {"ImageId": "ami-1"}
    by_name = "InvalidLaunchTemplateName.NotFoundException"
    assert refused(describe, LaunchTemplateNames=["none"])[0] == by_name
    assert refused(stage.ec2.delete_launch_template, LaunchTemplateName="none")[0] == by_name
    stage.ec2.delete_launch_template(LaunchTemplateId=first["LaunchTemplateId"])
    gone = refused(stage.ec2.delete_launch_template, LaunchTemplateId=first["LaunchTemplateId"])
    assert gone[0] == "InvalidLaunchTemplateId.NotFound"
    assert [each["name"] for each in stage.state()["launch_templates"]] == ["two"]


def test_there_is_a_default_network_and_others_can_be_seeded(stage: Stage) -> None:
    vpc = stage.ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    assert {each["VpcId"] for each in stage.subnets} == {vpc}
    assert len({each["AvailabilityZoneId"] for each in stage.subnets}) == len(stage.subnets) > 2
    dns = stage.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
    assert dns["EnableDnsHostnames"]["Value"] is True
    other = stage.seed(vpc={"zones": ["us-east-1a", "us-east-1a", "us-east-1b"]}, key_pair={"name": "k"})["vpc"]
    found = stage.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [other["id"]]}])["Subnets"]
    assert sorted(each["SubnetId"] for each in found) == sorted(other["subnets"])
    assert stage.ec2.describe_key_pairs(KeyNames=["k"])["KeyPairs"]
    assert refused(stage.ec2.describe_key_pairs, KeyNames=["none"])[0] == "InvalidKeyPair.NotFound"
    image = stage.ec2.describe_images(ImageIds=["ami-0fedcba9876543210"])["Images"][0]
    assert (image["Architecture"], image["RootDeviceName"]) == ("arm64", "/dev/xvda")
    assert [each.get("Ebs", {}).get("VolumeSize") for each in image["BlockDeviceMappings"]] == [None, 30]
    assert refused(stage.ec2.describe_images, ImageIds=["ami-00000000000000001"])[0] == "InvalidAMIID.NotFound"


def test_log_groups_have_retention_and_tags(stage: Stage) -> None:
    logs = stage.account.client("logs")
    logs.create_log_group(logGroupName="/a", tags={"a": "b"})
    assert refused(logs.create_log_group, logGroupName="/a")[0] == "ResourceAlreadyExistsException"
    logs.put_retention_policy(logGroupName="/a", retentionInDays=30)
    assert refused(logs.put_retention_policy, logGroupName="/a", retentionInDays=31)[0] == "InvalidParameterException"
    shown = logs.describe_log_groups(logGroupNamePrefix="/a")["logGroups"][0]
    arn = shown["logGroupArn"] if "logGroupArn" in shown else shown["arn"].removesuffix(":*")
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b"}
    logs.tag_resource(resourceArn=arn, tags={"c": "d"})
    group = stage.state()["log_groups"][0]
    assert (group["arn"], group["retention"], group["tags"]) == (arn, 30, {"a": "b", "c": "d"})
    logs.delete_log_group(logGroupName="/a")
    assert refused(logs.tag_resource, resourceArn=arn, tags={"c": "d"})[0] == "ResourceNotFoundException"
    assert refused(logs.untag_resource, resourceArn=arn, tagKeys=["c"])[0] == "ResourceNotFoundException"
    logs.create_log_group(logGroupName="/a")
    assert stage.state()["log_groups"][0]["tags"] == {}


def test_stacks_are_as_they_were_said_to_be(stage: Stage) -> None:
    cloudformation = stage.account.client("cloudformation")
    stack = f"arn:aws:cloudformation:us-east-1:{stage.account.id}:stack/demo/1"
    body = {"stack_id": stack, "stack_status": "CREATE_IN_PROGRESS", "resources": {"Genomics": "CREATE_IN_PROGRESS"}}
    text = ("ValidationError", f"Stack with id {stack} does not exist")
    assert refused(cloudformation.describe_stacks, StackName=stack) == text
    stage.control("PUT", "stacks", body)
    for name in (stack, "demo"):
        assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_IN_PROGRESS"
    detail = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId="Genomics")[
        "StackResourceDetail"
    ]
    assert (detail["ResourceStatus"], detail["StackId"]) == ("CREATE_IN_PROGRESS", stack)
    assert (
        refused(cloudformation.describe_stack_resource, StackName=stack, LogicalResourceId="X")[0] == "ValidationError"
    )
    stage.control("PUT", "stacks", body | {"stack_status": "DELETE_COMPLETE"})
    assert cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    assert refused(cloudformation.describe_stacks, StackName="demo")[0] == "ValidationError"


def test_invocations_are_recorded(stage: Stage) -> None:
    function = f"arn:aws:lambda:us-east-1:{stage.account.id}:function:forge"
    client = stage.account.client("lambda")
    for name, kind in (("forge", "Event"), (function, "RequestResponse")):
        status = client.invoke(FunctionName=name, InvocationType=kind, Payload=b'{"sweep": true}')["StatusCode"]
        assert status == (202 if kind == "Event" else 200)
    recorded = [
        {"function": "forge", "type": "Event", "payload": {"sweep": True}},
        {"function": function, "type": "RequestResponse", "payload": {"sweep": True}},
    ]
    assert stage.control("GET", "invocations") == recorded
    assert stage.control("DELETE", "invocations") == recorded
    assert stage.control("GET", "invocations") == []


def test_seeded_things_are_there_and_dropped_ones_are_not(stage: Stage) -> None:
    stage.seed(
        role={"name": "r", "tags": {"a": "b"}, "inline": {"p": {"Version": "2012-10-17", "Statement": []}}},
        instance_profile={"name": "p", "role": "r"}, template={"name": "lt", "tags": {"a": "b"}},
        environment={"name": "e", "tags": {"a": "b"}}, queue={"name": "q", "environments": ["e"], "tags": {"a": "b"}},
        efs={"token": "t"}, fsx={"tags": {"a": "b"}},
        log_group={"name": "/g", "retention": 7}, bucket={"name": "bucket"},
    )  # fmt: skip
    state = stage.state()
    assert stage.state() == state
    kinds = {
        "roles": "role", "instance_profiles": "instance_profile", "launch_templates": "template", "job_queues": "queue",
        "compute_environments": "environment", "efs": "efs", "fsx": "fsx", "log_groups": "log_group",
    }  # fmt: skip
    assert {kind for kind in state if len(state[kind]) == 1} == set(kinds)
    assert state["job_queues"][0]["order"] == [state["compute_environments"][0]["arn"]]
    for kind, name in kinds.items():
        stage.drop(name, state[kind][0].get("name") or state[kind][0]["id"])
    assert not any(stage.state().values())


def test_an_emptied_account_is_empty(stage: Stage) -> None:
    stage.environment()
    stage.seed(efs={"token": "t"}, fsx={}, log_group={"name": "/g"}, template={"name": "lt"})
    stage.control("POST", "reset")
    assert not any(stage.state().values())
    assert stage.batch.describe_compute_environments()["computeEnvironments"] == []
