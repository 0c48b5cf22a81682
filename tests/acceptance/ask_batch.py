"""Questions about Batch, IAM, EC2 and FSx, asked with scratch resources. Only `limit_below_use` starts an instance."""

from __future__ import annotations

import json
from typing import Any

from account import MINUTES, Aws, Shape, refusal

SERVICE_POLICY = "service-role/AWSBatchServiceRole"
INSTANCE_POLICY = "service-role/AmazonEC2ContainerServiceforEC2Role"
FLEET_POLICY = "service-role/AmazonEC2SpotFleetTaggingRole"
EXECUTION_POLICY = "service-role/AmazonECSTaskExecutionRolePolicy"
SPREAD = 2 * MINUTES
"""AWS seconds after which changes in IAM are expected to be visible everywhere."""


def role(aws: Aws, what: str, service: str, *policies: str) -> str:
    """A scratch role that a service may assume; its ARN."""
    iam, name = aws.client("iam"), aws.name(what)
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_trust({"Service": service}), Tags=aws.tag_list)
    for each in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:{partition(made['Role']['Arn'])}:iam::aws:policy/{each}")
    return made["Role"]["Arn"]


def partition(arn: str) -> str:
    """The partition of an ARN: `aws`, `aws-cn` …"""
    return arn.split(":")[1]


def _trust(principal: Shape) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def profile(aws: Aws) -> str:
    """A scratch instance profile with its role; its ARN."""
    # EC2 is the service with another name in China.
    suffix = "amazonaws.com.cn" if aws.region.startswith("cn-") else "amazonaws.com"
    role(aws, "instance", f"ec2.{suffix}", INSTANCE_POLICY)
    iam, name = aws.client("iam"), aws.name("instance")
    made = iam.create_instance_profile(InstanceProfileName=name, Tags=aws.tag_list)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return made


def ec2_resources(aws: Aws, instance_profile: str, **more: Any) -> Shape:
    """The computeResources of a scratch environment on EC2."""
    return {
        "type": "EC2", "allocationStrategy": "BEST_FIT_PROGRESSIVE", "minvCpus": 0, "maxvCpus": 2,
        "instanceTypes": ["optimal"], "subnets": aws.run.subnets, "securityGroupIds": aws.run.groups,
        "instanceRole": instance_profile,
    } | more  # fmt: skip


def environment(aws: Aws, what: str, resources: Shape, service_role: str = "") -> Shape:
    """A request of CreateComputeEnvironment."""
    request = {"computeEnvironmentName": aws.name(what), "type": "MANAGED", "computeResources": resources}
    return request | {"tags": aws.tags} | ({"serviceRole": service_role} if service_role else {})


def fargate(aws: Aws, what: str, service_role: str = "") -> str:
    """Makes a scratch environment on Fargate and waits; its ARN."""
    resources = {"type": "FARGATE", "maxvCpus": 1, "subnets": aws.run.subnets, "securityGroupIds": aws.run.groups}
    request = environment(aws, what, resources, service_role)
    arn = aws.client("batch").create_compute_environment(**request)["computeEnvironmentArn"]
    settled(aws, arn)
    return arn


def settled(aws: Aws, arn: str) -> Shape:
    """A settled environment: state, status and reason."""

    def look() -> Shape | None:
        shown = aws.client("batch").describe_compute_environments(computeEnvironments=[arn])["computeEnvironments"]
        return shown[0] if shown and shown[0]["status"] in ("VALID", "INVALID") else None

    shown = aws.until(f"environment {arn}", look)
    return {"state": shown["state"], "status": shown["status"], "reason": shown.get("statusReason", "")}


def queue(aws: Aws, environments: list[str], **more: Any) -> str:
    """Makes a scratch queue and waits; its ARN."""
    made = aws.client("batch").create_job_queue(
        jobQueueName=aws.name("queue"), priority=1, computeEnvironmentOrder=order(environments), tags=aws.tags, **more
    )["jobQueueArn"]
    queue_settled(aws, made)
    return made


def order(environments: list[str]) -> list[Shape]:
    """A computeEnvironmentOrder."""
    return [{"order": number, "computeEnvironment": arn} for number, arn in enumerate(environments, 1)]


def queue_settled(aws: Aws, arn: str) -> Shape:
    """A settled queue."""

    def look() -> Shape | None:
        shown = aws.client("batch").describe_job_queues(jobQueues=[arn])["jobQueues"]
        return shown[0] if shown and shown[0]["status"] in ("VALID", "INVALID") else None

    return aws.until(f"queue {arn}", look)


def queue_with_disabled_environment(aws: Aws) -> Shape:
    """Another order of a queue's three environments, one of which is DISABLED."""
    first, second, third = (fargate(aws, f"environment{number}") for number in range(3))
    made = queue(aws, [first, second, third])
    aws.client("batch").update_compute_environment(computeEnvironment=third, state="DISABLED")
    state = settled(aws, third)["state"]
    wanted = [second, first, third]
    refused = refusal(aws.client("batch").update_job_queue, jobQueue=made, computeEnvironmentOrder=order(wanted))
    found = [each["computeEnvironment"] for each in queue_settled(aws, made)["computeEnvironmentOrder"]]
    return {"state": state, "refused": refused, "changed": found == wanted}


def clear_time_limits(aws: Aws) -> Shape:
    """A queue's time limits after an update with an empty list."""
    limit = {
        "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "state": "RUNNABLE", "maxTimeSeconds": 600,
        "action": "CANCEL",
    }  # fmt: skip
    made = queue(aws, [fargate(aws, "environment")], jobStateTimeLimitActions=[limit])
    refused = refusal(aws.client("batch").update_job_queue, jobQueue=made, jobStateTimeLimitActions=[])
    return {"refused": refused, "limits": len(queue_settled(aws, made).get("jobStateTimeLimitActions", []))}


def clear_scheduling_policy(aws: Aws) -> Shape:
    """A queue's scheduling policy after an update with an empty one."""
    batch = aws.client("batch")
    policy = batch.create_scheduling_policy(name=aws.name("policy"), fairsharePolicy={}, tags=aws.tags)["arn"]
    made = queue(aws, [fargate(aws, "environment")], schedulingPolicyArn=policy)
    refused = refusal(batch.update_job_queue, jobQueue=made, schedulingPolicyArn="")
    return {"refused": refused, "kept": queue_settled(aws, made).get("schedulingPolicyArn") == policy}


def revalidate_invalid(aws: Aws) -> Shape:
    """An INVALID environment whose service role has been mended, updated with the same role."""
    instance_profile, service = profile(aws), role(aws, "service", "batch.amazonaws.com")
    aws.pause(SPREAD)
    request = environment(aws, "environment", ec2_resources(aws, instance_profile), service)
    arn = aws.client("batch").create_compute_environment(**request)["computeEnvironmentArn"]
    before = settled(aws, arn)
    policy = f"arn:{partition(service)}:iam::aws:policy/{SERVICE_POLICY}"
    aws.client("iam").attach_role_policy(RoleName=aws.name("service"), PolicyArn=policy)
    aws.pause(SPREAD)
    waited = settled(aws, arn)["status"]
    batch = aws.client("batch")
    refused = refusal(batch.update_compute_environment, computeEnvironment=arn, serviceRole=service)
    # The update shows a moment after it was accepted.
    aws.pause(10)
    return {"before": before, "without": waited, "refused": refused, "after": settled(aws, arn)}


def young_iam(aws: Aws) -> Shape:
    """An environment that is created immediately after its roles."""
    instance_profile, service = profile(aws), role(aws, "service", "batch.amazonaws.com", SERVICE_POLICY)
    return _made(aws, environment(aws, "environment", ec2_resources(aws, instance_profile), service))


def young_template(aws: Aws) -> Shape:
    """An environment that is created immediately after its launch template."""
    instance_profile, service = profile(aws), role(aws, "service", "batch.amazonaws.com", SERVICE_POLICY)
    aws.pause(SPREAD)
    template = aws.client("ec2").create_launch_template(
        LaunchTemplateName=aws.name("template"), LaunchTemplateData={"EbsOptimized": True},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": aws.tag_list}],
    )["LaunchTemplate"]["LaunchTemplateId"]  # fmt: skip
    resources = ec2_resources(aws, instance_profile, launchTemplate={"launchTemplateId": template, "version": "1"})
    return _made(aws, environment(aws, "environment", resources, service))


def _made(aws: Aws, request: Shape) -> Shape:
    batch = aws.client("batch")
    refused = refusal(batch.create_compute_environment, **request)
    return {"refused": refused} if refused else {"refused": None} | settled(aws, request["computeEnvironmentName"])


def pass_role(aws: Aws) -> Shape:
    """The services to which CreateComputeEnvironment passes each role, by a caller whose rights are cut down."""
    roles = {
        "service": role(aws, "service", "batch.amazonaws.com", SERVICE_POLICY),
        "fleet": role(aws, "fleet", "spotfleet.amazonaws.com", FLEET_POLICY),
    }
    instance_profile = profile(aws)
    roles["instance"] = aws.client("iam").get_role(RoleName=aws.name("instance"))["Role"]["Arn"]
    caller = _caller(aws, roles["service"])
    resources = ec2_resources(
        aws, instance_profile, type="SPOT", allocationStrategy="BEST_FIT", spotIamFleetRole=roles["fleet"]
    )
    request = environment(aws, "environment", resources, roles["service"])
    free: list[str] = []
    texts: list[str] = []
    for _ in range(1 + len(roles)):
        refused = refusal(_as(aws, caller, _policy(roles, free)).create_compute_environment, **request)
        if refused is None:
            return {"accepted": True, "more_than_batch": free, "texts": texts}
        texts.append(refused["text"])
        named = [each for each, arn in roles.items() if arn in refused["text"] and each not in free]
        if not named:
            break
        free.append(named[0])
    return {"accepted": False, "more_than_batch": free, "texts": texts}


def _caller(aws: Aws, some_role: str) -> str:
    """A role that this account may assume, which may do all that the question needs."""
    iam, name = aws.client("iam"), aws.name("caller")
    root = f"arn:{partition(some_role)}:iam::{some_role.split(':')[4]}:root"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_trust({"AWS": root}), Tags=aws.tag_list)
    statement = {"Effect": "Allow", "Action": ["batch:*", "iam:PassRole", "ec2:Describe*"], "Resource": "*"}
    iam.put_role_policy(
        RoleName=name, PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    aws.pause(SPREAD)
    return made["Role"]["Arn"]


def _policy(roles: dict[str, str], free: list[str]) -> str:
    """A session policy under which roles are passed to Batch only, apart from those that are `free`."""
    statements: list[Shape] = [{"Effect": "Allow", "Action": ["batch:*", "ec2:Describe*"], "Resource": "*"}]
    for each, arn in roles.items():
        condition = {"StringEquals": {"iam:PassedToService": "batch.amazonaws.com"}}
        statement = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": arn}
        statements.append(statement | ({} if each in free else {"Condition": condition}))
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _as(aws: Aws, caller: str, policy: str) -> Any:
    assumed = aws.client("sts").assume_role(RoleArn=caller, RoleSessionName="acceptance", Policy=policy)["Credentials"]
    credentials = {
        "aws_access_key_id": assumed["AccessKeyId"],
        "aws_secret_access_key": assumed["SecretAccessKey"],
        "aws_session_token": assumed["SessionToken"],
    }
    return aws.client("batch", credentials)


def shared_group(aws: Aws) -> Shape:
    """The ARN of a security group in a VPC that another account shares."""
    ec2 = aws.client("ec2")
    account = aws.client("sts").get_caller_identity()["Account"]
    pages = ec2.get_paginator("describe_subnets").paginate()
    shared = {each["VpcId"] for page in pages for each in page["Subnets"] if each["OwnerId"] != account}
    for vpc in sorted(shared):
        found = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
        for each in found:
            owner = each.get("SecurityGroupArn", "::::").split(":")[4]
            return {"shared": True, "owner_is_us": each["OwnerId"] == account, "arn_is_ours": owner == account}
    return {"shared": False}


def fargate_service_role(aws: Aws) -> Shape:
    """A tiny job on a Fargate environment that has a service role other than the service-linked one."""
    service = role(aws, "service", "batch.amazonaws.com", SERVICE_POLICY)
    execution = role(aws, "execution", "ecs-tasks.amazonaws.com", EXECUTION_POLICY)
    aws.pause(SPREAD)
    arn = fargate(aws, "environment", service)
    batch, made = aws.client("batch"), settled(aws, arn)
    if made["status"] != "VALID":
        return {"environment": made, "job": "", "reason": ""}
    container = {
        "image": "public.ecr.aws/docker/library/busybox:stable", "command": ["true"], "executionRoleArn": execution,
        "networkConfiguration": {"assignPublicIp": "ENABLED"},
        "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
    }  # fmt: skip
    definition = batch.register_job_definition(
        jobDefinitionName=aws.name("job"), type="container", platformCapabilities=["FARGATE"],
        containerProperties=container, tags=aws.tags,
    )["jobDefinitionArn"]  # fmt: skip
    job = batch.submit_job(jobName=aws.name("job"), jobQueue=queue(aws, [arn]), jobDefinition=definition)["jobId"]
    shown: Shape = {}
    for _ in range(40):
        shown = batch.describe_jobs(jobs=[job])["jobs"][0]
        if shown["status"] in ("SUCCEEDED", "FAILED"):
            break
        aws.pause(15)
    return {"environment": made, "job": shown["status"], "reason": shown.get("statusReason", "")}


def limit_below_use(aws: Aws) -> Shape:
    """A maxvCpus below the vCPUs that an environment has at that time."""
    instance_profile, service = profile(aws), role(aws, "service", "batch.amazonaws.com", SERVICE_POLICY)
    aws.pause(SPREAD)
    batch, resources = aws.client("batch"), ec2_resources(aws, instance_profile, minvCpus=2, maxvCpus=4)
    request = environment(aws, "environment", resources, service)
    arn = batch.create_compute_environment(**request)["computeEnvironmentArn"]
    settled(aws, arn)

    def desired() -> int:
        shown = batch.describe_compute_environments(computeEnvironments=[arn])["computeEnvironments"][0]
        return shown["computeResources"].get("desiredvCpus", 0)

    before = aws.until("an instance", desired)
    lower = {"minvCpus": 0, "maxvCpus": 1}
    refused = refusal(batch.update_compute_environment, computeEnvironment=arn, computeResources=lower)
    settled(aws, arn)
    return {"before": before, "refused": refused, "after": desired()}


def fsx_token(aws: Aws) -> Shape:
    """Two file systems of different deployment types with the same ClientRequestToken."""
    fsx = aws.client("fsx")

    def request(kind: str) -> Shape:
        return {
            "ClientRequestToken": aws.value, "FileSystemType": "LUSTRE", "StorageCapacity": 1200,
            "SubnetIds": aws.run.subnets[:1], "LustreConfiguration": {"DeploymentType": kind}, "Tags": aws.tag_list,
        }  # fmt: skip

    fsx.create_file_system(**request("SCRATCH_2"))
    return {"refused": refusal(fsx.create_file_system, **request("SCRATCH_1"))}
