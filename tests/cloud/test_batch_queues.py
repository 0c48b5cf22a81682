"""Job queues and jobs of the local cloud."""

from __future__ import annotations

from typing import Any

import pytest
from stage import Stage, order, refused, stage

__all__ = ["stage"]


def test_a_queue_is_made_changed_and_deleted(stage: Stage) -> None:
    stage.environment()
    stage.batch.create_job_queue(jobQueueName="q", priority=1, computeEnvironmentOrder=order("one"), tags={"a": "b"})
    shown = stage.look_queue("q")
    assert (shown["status"], shown["state"], shown["tags"]) == ("CREATING", "ENABLED", {"a": "b"})
    arn, environment = shown["jobQueueArn"], stage.look()["computeEnvironmentArn"]
    assert shown["computeEnvironmentOrder"] == order(environment)
    assert (
        refused(stage.batch.update_job_queue, jobQueue="q", priority=2)[1]
        == "Cannot update, resource is being modified."
    )
    stage.after(10)
    taken = refused(stage.batch.create_job_queue, jobQueueName="q", priority=1, computeEnvironmentOrder=order("one"))
    assert taken == ("ConflictException", "Object already exists")
    stage.batch.update_job_queue(jobQueue=arn, priority=2)
    stage.after(10)
    assert stage.look_queue("q")["priority"] == 2
    assert refused(stage.batch.delete_job_queue, jobQueue="q")[0] == "ClientException"
    stage.batch.update_job_queue(jobQueue="q", state="DISABLED")
    assert refused(stage.batch.delete_job_queue, jobQueue="q")[1] == "Cannot delete, resource is being modified."
    stage.after(10)
    stage.batch.delete_job_queue(jobQueue="q")
    assert stage.look_queue(arn)["status"] == "DELETING"
    stage.batch.delete_job_queue(jobQueue="q")
    stage.after(10)
    assert stage.look_queue("q") is None
    for call in (stage.batch.delete_job_queue, stage.batch.update_job_queue):
        assert refused(call, jobQueue="q") == ("ClientException", f"{arn} does not exist")


@pytest.mark.parametrize(("environments", "text"), [
    ([], "At least one compute environment is required."),
    (["a", "b", "c", "d"], "Only 3 environments are allowed in job queue request."),
    (["a", "none"], "compute-environment/none does not exist"),
    (["a", "a"], "Duplicate compute environments"),
    (["a", "arm"], "Compute environments of different architectures"),
    (["a", "fargate"], "Fargate and EC2 compute environments can not be mixed."),
    (["a", "invalid"], "Compute Environments must be created and valid before attaching them to a job queue"),
    (["a", "creating"], "Compute Environments must be created and valid before attaching them to a job queue"),
])  # fmt: skip
def test_what_an_order_may_be(stage: Stage, environments: list[str], text: str) -> None:
    stage.seed(environment=[
        *({"name": name} for name in "abcd"),
        {"name": "arm", "resources": {"instanceTypes": ["c7g.large"]}},
        {"name": "fargate", "resources": {"type": "FARGATE", "instanceTypes": []}},
        {"name": "invalid", "status": "INVALID"},
        {"name": "creating", "status": "CREATING"},
    ], queue={"name": "there", "environments": ["a"]})  # fmt: skip
    given = {"computeEnvironmentOrder": order(*environments)}
    for call, more in ((stage.batch.create_job_queue, {"jobQueueName": "q", "priority": 1}),
                       (stage.batch.update_job_queue, {"jobQueue": "there"})):  # fmt: skip
        code, message = refused(call, **given, **more)
        assert (code, text in message) == ("ClientException", True), message
    assert [each["name"] for each in stage.state()["job_queues"]] == ["there"]


def test_order_values_names_and_limits(stage: Stage) -> None:
    stage.seed(environment=[{"name": "a"}, {"name": "b"}])
    same = [{"order": 1, "computeEnvironment": name} for name in "ab"]
    limit = {
        "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "state": "RUNNABLE",
        "maxTimeSeconds": 600,
        "action": "CANCEL",
    }
    cases: list[tuple[dict[str, Any], str]] = [
        ({"computeEnvironmentOrder": same}, "Duplicate ComputeEnvironment order values."),
        ({"jobQueueName": "a.b"}, "Job Queue name should match a valid pattern."),
        (
            {"jobStateTimeLimitActions": [limit | {"action": "TERMINATE"}]},
            "Invalid job action. Valid job actions: [CANCEL]",
        ),
        (
            {"jobStateTimeLimitActions": [limit | {"maxTimeSeconds": 599}]},
            "maxTimeSeconds must be between 600 and 86400.",
        ),
    ]
    good = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order("a")}
    for change, text in cases:
        assert refused(stage.batch.create_job_queue, **good | change) == ("ClientException", text)
    stage.queue("q", "b", "a", jobStateTimeLimitActions=[limit])
    assert stage.look_queue("q")["jobStateTimeLimitActions"] == [limit]
    stage.configure(quota={"job_queues": 1})
    assert refused(stage.batch.create_job_queue, **good | {"jobQueueName": "r"})[0] == "ClientException"


def test_a_scheduling_policy_is_replaced_never_added_or_removed(stage: Stage) -> None:
    made = stage.seed(environment={"name": "a"}, scheduling_policy=[{"name": "x"}, {"name": "y"}])
    x, y = (each["arn"] for each in made["scheduling_policy"])
    stage.queue("fair", "a", schedulingPolicyArn=x)
    stage.queue("fifo", "a")
    stage.batch.update_job_queue(jobQueue="fair", schedulingPolicyArn=y)
    stage.after(10)
    assert stage.look_queue("fair")["schedulingPolicyArn"] == y
    for queue, policy in (("fair", ""), ("fifo", x), ("fair", x + "z")):
        assert refused(stage.batch.update_job_queue, jobQueue=queue, schedulingPolicyArn=policy)[0] == "ClientException"


def test_an_environment_in_a_queue_stays(stage: Stage) -> None:
    stage.configure(durations={"association_lag": 30})
    text = ("ClientException", "Cannot delete, found existing JobQueue relationship")
    stage.environment("one")
    stage.environment("two")
    stage.queue("q", "one", "two")
    stage.disable("one")
    stage.disable("two")
    assert refused(stage.batch.delete_compute_environment, computeEnvironment="one") == text
    stage.batch.update_job_queue(jobQueue="q", computeEnvironmentOrder=order("two"))
    stage.after(29)
    # Detached, and still associated: the relationship is eventually consistent.
    assert refused(stage.batch.delete_compute_environment, computeEnvironment="one") == text
    stage.after(1)
    stage.batch.delete_compute_environment(computeEnvironment="one")
    stage.disable_queue("q")
    stage.batch.delete_job_queue(jobQueue="q")
    stage.after(10)
    assert stage.look_queue("q") is None
    assert refused(stage.batch.delete_compute_environment, computeEnvironment="two") == text
    stage.after(30)
    stage.batch.delete_compute_environment(computeEnvironment="two")
    stage.after(10)
    assert stage.state()["compute_environments"] == []


def test_jobs_raise_desired_vcpus_and_survive_disabling(stage: Stage) -> None:
    stage.environment("one")
    stage.environment("two")
    stage.queue("q", "one", "two")
    job = stage.control("POST", "jobs", {"queue": "q", "vcpus": 3})
    assert job["environment"] == "one"
    assert stage.look("one")["computeResources"]["desiredvCpus"] == 3
    stage.disable("one")
    assert stage.control("POST", "jobs", {"queue": "q"})["environment"] == "two"
    assert stage.state()["compute_environments"][0]["running_jobs"] == [job["job"]]
    running = stage.batch.list_jobs(jobQueue="q", jobStatus="RUNNING")["jobSummaryList"]
    assert len(running) == 2
    stage.control("DELETE", f"jobs/{job['job']}")
    assert stage.look("one")["computeResources"]["desiredvCpus"] == 0
    assert stage.batch.describe_jobs(jobs=[job["job"]])["jobs"][0]["status"] == "SUCCEEDED"
    assert [each["killed"] for each in stage.state()["jobs"]] == [False, False]


def test_a_job_waits_for_an_environment_and_can_be_ended(stage: Stage) -> None:
    stage.seed(
        environment={"name": "a", "state": "DISABLED"}, queue={"name": "q", "environments": ["a"]}, role={"name": "r"}
    )
    first, second = (stage.control("POST", "jobs", {"queue": "q"})["job"] for _ in range(2))
    assert stage.batch.list_jobs(jobQueue="q", jobStatus="RUNNABLE", maxResults=1)["nextToken"]
    stage.batch.cancel_job(jobId=first, reason="enough")
    stage.seed(environment={"name": "a"})
    assert [each["jobId"] for each in stage.batch.list_jobs(jobQueue="q")["jobSummaryList"]] == [second]
    stage.batch.terminate_job(jobId=second, reason="enough")
    assert {each["status"] for each in stage.batch.describe_jobs(jobs=[first, second])["jobs"]} == {"FAILED"}
    assert refused(stage.batch.list_jobs, jobQueue="none")[1].endswith("job-queue/none does not exist")


def test_deleting_kills_jobs_and_takes_longer(stage: Stage) -> None:
    stage.environment("one")
    stage.queue("q", "one")
    stage.control("POST", "jobs", {"queue": "q"})
    stage.disable("one")
    stage.batch.update_job_queue(jobQueue="q", state="DISABLED")
    stage.after(10)
    stage.drop("queue", "q")
    stage.batch.delete_compute_environment(computeEnvironment="one")
    stage.after(99)
    assert stage.status("one") == "DELETING"
    assert [each["killed"] for each in stage.state()["jobs"]] == [True]
    stage.after(1)
    assert stage.status("one") is None


def test_deleting_a_queue_ends_its_jobs(stage: Stage) -> None:
    stage.configure(durations={"job_terminate": 20})
    stage.environment("one")
    stage.queue("q", "one")
    stage.control("POST", "jobs", {"queue": "q"})
    stage.disable_queue("q")
    stage.batch.delete_job_queue(jobQueue="q")
    stage.after(29)
    assert stage.look_queue("q")["status"] == "DELETING"
    assert [(each["status"], each["killed"]) for each in stage.state()["jobs"]] == [("FAILED", True)]
    stage.after(1)
    assert stage.look_queue("q") is None


def test_minvcpus_keep_instances(stage: Stage) -> None:
    stage.environment(resources=stage.resources(minvCpus=2))
    assert stage.look()["computeResources"]["desiredvCpus"] == 2
    stage.batch.update_compute_environment(computeEnvironment="one", computeResources={"minvCpus": 0})
    stage.after(10)
    assert stage.look()["computeResources"]["desiredvCpus"] == 0


def test_a_fair_share_queue_takes_jobs_with_a_share_and_no_other_queue_does(stage: Stage) -> None:
    stage.environment()
    policy = stage.seed(scheduling_policy={"name": "fair"})["scheduling_policy"]["arn"]
    stage.queue("fair", "one", schedulingPolicyArn=policy)
    stage.queue("fifo", "one")
    job: dict[str, Any] = {"jobName": "j", "jobDefinition": "d"}
    submit = stage.batch.submit_job
    assert refused(submit, **job, jobQueue="fair") == ("ClientException", "shareIdentifier must be specified.")
    assert "schedulingPriorityOverride" in refused(submit, **job, jobQueue="fair", shareIdentifier="nf")[1]
    share: dict[str, Any] = {"shareIdentifier": "nf", "schedulingPriorityOverride": 0}
    assert submit(**job, jobQueue="fair", **share)["jobId"]
    assert refused(submit, **job, jobQueue="fair", **share | {"shareIdentifier": "n-f"})[0] == "ClientException"
    assert refused(submit, **job, jobQueue="fifo", **share)[0] == "ClientException"
    assert submit(**job, jobQueue="fifo")["jobId"]
