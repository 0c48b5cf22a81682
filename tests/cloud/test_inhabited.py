"""The account that is not empty: AWS's own models allow all that it shows, and every list has a second page."""

from __future__ import annotations

from inhabited import ANOTHER, environments, queues
from stage import Stage, stage

__all__ = ["stage"]


def test_all_is_shown_as_aws_would_show_it(stage: Stage) -> None:
    shared = stage.seed(inhabitants={"forge": "Lab1"})["inhabitants"]
    shown = stage.batch.describe_compute_environments()["computeEnvironments"]
    assert len(shown) == len(list(environments("Lab1")))
    assert {each["status"] for each in shown} == {"VALID", "INVALID", "UPDATING", "DELETING"}
    recorded = stage.look("as-recorded")
    assert not {"tags", "uuid", "containerOrchestrationType", "updatePolicy"} & set(recorded)
    assert "computeResources" not in stage.look("unmanaged")
    assert "ecsClusterArn" not in stage.look("eks") and "eksConfiguration" in stage.look("eks")
    found = stage.batch.describe_job_queues()["jobQueues"]
    assert len(found) == len(list(queues("Lab1")))
    assert stage.look_queue("sagemaker")["computeEnvironmentOrder"] == []
    stage.after(10_000)
    assert stage.batch.describe_compute_environments()["computeEnvironments"] == shown
    subnets = stage.ec2.describe_subnets(SubnetIds=shared["subnets"])["Subnets"]
    assert {each["OwnerId"] for each in subnets} == {ANOTHER}
    states = {each["LifeCycleState"] for each in stage.account.client("efs").describe_file_systems()["FileSystems"]}
    assert states == {"creating", "available", "updating", "deleting", "deleted", "error"}


def test_every_list_has_a_second_page(stage: Stage) -> None:
    stage.seed(inhabitants={})
    fsx, logs = stage.account.client("fsx"), stage.account.client("logs")
    assert "NextToken" in stage.ec2.describe_launch_templates()
    systems = fsx.describe_file_systems()
    assert "NextToken" in systems
    types = {(each["FileSystemType"], "LustreConfiguration" in each) for each in systems["FileSystems"]}
    assert types == {("LUSTRE", True), ("WINDOWS", False), ("ONTAP", False), ("OPENZFS", False)}
    assert "nextToken" in logs.describe_log_groups(logGroupNamePrefix="/tower-forge/Lab1")
    assert stage.iam.list_roles()["IsTruncated"]


def test_a_change_of_what_is_hidden_is_told(stage: Stage) -> None:
    stage.seed(inhabitants={"batch_only": True, "hidden": True})
    stage.environment("ours")
    assert [each["name"] for each in stage.state()["compute_environments"]] == ["ours"]
    assert stage.control("GET", "violations") == []
    stage.batch.update_job_queue(jobQueue="plain", priority=2)
    stage.drop("environment", "best-fit")
    told = stage.control("GET", "violations")
    changed = {each.partition(" of others has changed")[0].rpartition(":")[2] for each in told}
    assert changed == {"job-queue/plain", "compute-environment/best-fit", "job-queue/fair-share"}
    stage.control("POST", "reset")
