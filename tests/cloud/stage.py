"""For the tests of the services: an account in which time stands still until a test lets it pass."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Account

SERVICE_POLICY = "arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole"

# Every change takes 10 AWS seconds unless a test says otherwise; nothing lags.
DURATIONS = {
    **dict.fromkeys(("ce_create", "ce_update", "ce_disable", "ce_delete", "ce_infrastructure"), 10),
    **dict.fromkeys(("jq_create", "jq_update", "jq_disable", "jq_delete"), 10),
    **dict.fromkeys(("efs_create", "efs_update", "efs_delete", "mount_target_create", "mount_target_delete"), 10),
    **dict.fromkeys(("fsx_create", "fsx_update", "fsx_delete"), 10),
    **dict.fromkeys(("association_lag", "iam_propagation", "tag_lag", "job_terminate"), 0),
    "ce_delete_running": 100,
}


def trust(service: str) -> str:
    """A trust policy for a service."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    """Code and message of the error that a call answers."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


class Stage:
    """The account, its clients, and the resources that Batch needs before an environment can be."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.control = account.control
        # A scale at which no test lives to see a second; the rate limit would never let go then.
        self.configure(scale=1e6, tps={"batch": None}, durations=DURATIONS)

    def configure(self, **change: Any) -> None:
        """Merges a configuration."""
        self.control("PUT", "config", change)

    def after(self, seconds: float) -> None:
        """Lets AWS seconds pass."""
        self.configure(advance=seconds)

    @functools.cached_property
    def batch(self) -> Any:
        """Batch's client."""
        return self.account.client("batch")

    @functools.cached_property
    def iam(self) -> Any:
        """IAM's client."""
        return self.account.client("iam")

    @functools.cached_property
    def ec2(self) -> Any:
        """EC2's client."""
        return self.account.client("ec2")

    @functools.cached_property
    def subnets(self) -> list[dict[str, Any]]:
        """The default VPC's subnets."""
        return self.ec2.describe_subnets()["Subnets"]

    @functools.cached_property
    def group(self) -> str:
        """The default VPC's security group."""
        return self.ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]

    @functools.cached_property
    def role(self) -> str:
        """A service role that works."""
        return self.service_role("service")

    @functools.cached_property
    def profile(self) -> str:
        """An instance profile that works."""
        self.seed(role={"name": "instance", "trust": "ec2.amazonaws.com"})
        return self.seed(instance_profile={"name": "instance", "role": "instance"})["instance_profile"]["arn"]

    def seed(self, **things: Any) -> dict[str, Any]:
        """Makes things directly."""
        return self.control("POST", "seed", things)

    def drop(self, kind: str, name: str) -> None:
        """Takes a thing away."""
        self.control("POST", "drop", {"kind": kind, "name": name})

    def state(self) -> dict[str, Any]:
        """The snapshot."""
        return self.control("GET", "state")

    def service_role(self, name: str) -> str:
        """Makes a service role by IAM's own calls."""
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("batch.amazonaws.com"))["Role"]["Arn"]
        self.iam.attach_role_policy(RoleName=name, PolicyArn=SERVICE_POLICY)
        return arn

    def resources(self, **more: Any) -> dict[str, Any]:
        """computeResources of an EC2 environment; a member that is None is left out."""
        given = {
            "type": "EC2",
            "allocationStrategy": "BEST_FIT_PROGRESSIVE",
            "maxvCpus": 16,
            "instanceTypes": ["m6i"],
            "subnets": [self.subnets[0]["SubnetId"]],
            "securityGroupIds": [self.group],
            "instanceRole": self.profile,
        } | more
        return {key: value for key, value in given.items() if value is not None}

    def request(self, name: str = "one", resources: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """A request of CreateComputeEnvironment."""
        given: dict[str, Any] = {"computeEnvironmentName": name, "type": "MANAGED"}
        given |= {"computeResources": resources or self.resources()} | more
        return given if "serviceRole" in given else given | {"serviceRole": self.role}

    def environment(self, name: str = "one", resources: dict[str, Any] | None = None, **more: Any) -> None:
        """Makes an environment and waits until it has settled."""
        self.batch.create_compute_environment(**self.request(name, resources, **more))
        self.after(10)

    def queue(self, name: str, *environments: str, **more: Any) -> None:
        """Makes a queue and waits until it is VALID."""
        self.batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order(*environments), **more)
        self.after(10)

    def disable(self, name: str = "one") -> None:
        """Disables an environment and waits."""
        self.batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
        self.after(10)

    def disable_queue(self, name: str) -> None:
        """Disables a queue and waits."""
        self.batch.update_job_queue(jobQueue=name, state="DISABLED")
        self.after(10)

    def look(self, name: str = "one") -> dict[str, Any] | None:
        """An environment as Describe shows it."""
        found = self.batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
        return found[0] if found else None

    def look_queue(self, name: str) -> dict[str, Any] | None:
        """A queue as Describe shows it."""
        found = self.batch.describe_job_queues(jobQueues=[name])["jobQueues"]
        return found[0] if found else None

    def status(self, name: str = "one") -> str | None:
        """The status of an environment, None where there is none."""
        shown = self.look(name)
        return shown and shown["status"]


def order(*environments: str) -> list[dict[str, Any]]:
    """A computeEnvironmentOrder."""
    return [{"order": number, "computeEnvironment": name} for number, name in enumerate(environments, 1)]


@pytest.fixture
def stage(account: Account) -> Stage:
    """An account that nobody has used, its clock standing still."""
    return Stage(account)
