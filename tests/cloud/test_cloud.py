"""The core of the cloud: accounts, the call log, faults, the rate limit, settings."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlparse

import boto3
import pytest
import settings
from botocore.exceptions import ClientError, ConnectionClosedError
from conftest import TRUST, Account, Refused

# A read of each service, for faults that have to look like the service's own.
READS = {
    "batch": "describe_compute_environments",
    "cloudformation": "list_stacks",
    "ec2": "describe_launch_templates",
    "efs": "describe_file_systems",
    "fsx": "describe_file_systems",
    "iam": "list_roles",
    "logs": "describe_log_groups",
    "s3": "list_buckets",
}


def error(call: Any, **parameters: Any) -> tuple[str, str, int]:
    """Code, message and status of the error that a call answers."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def create_role(account: Account, name: str = "role", **more: Any) -> str:
    return account.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, **more)["Role"]["Arn"]


def roles(account: Account) -> list[str]:
    return [role["RoleName"] for role in account.client("iam").list_roles()["Roles"]]


def test_accounts_do_not_see_each_other(account: Account, other: Account) -> None:
    assert create_role(account) == f"arn:aws:iam::{account.id}:role/role"
    assert (roles(account), roles(other)) == (["role"], [])


def test_any_other_key_belongs_to_the_usual_account(account: Account) -> None:
    sts = boto3.client("sts", endpoint_url=account.url, region_name="us-east-1",
                       aws_access_key_id="test", aws_secret_access_key="test")
    assert sts.get_caller_identity()["Account"] == "123456789012"


def test_reset_empties_one_account_and_keeps_its_settings(account: Account, other: Account) -> None:
    account.control("PUT", "config", {"scale": 0.5})
    for each in (account, other):
        create_role(each)
    account.faults({"do": "deny"})
    account.control("POST", "reset")
    assert (roles(account), roles(other)) == ([], ["role"])
    assert account.control("GET", "config")["scale"] == 0.5
    assert account.control("GET", "faults") == {"rules": []}
    assert [call["operation"] for call in account.calls()] == ["ListRoles"]


def test_reset_leaves_nothing(account: Account) -> None:
    tags = [{"Key": "k", "Value": "v"}]
    create_role(account, Tags=tags)
    account.client("iam").create_instance_profile(InstanceProfileName="profile")
    account.client("ec2").create_launch_template(LaunchTemplateName="template", LaunchTemplateData={"KeyName": "k"})
    account.client("efs").create_file_system(CreationToken="token")
    account.client("logs").create_log_group(logGroupName="/group")
    account.client("lambda").invoke(FunctionName="function", InvocationType="Event", Payload=b"{}")
    account.control("POST", "seed", {"environment": {"name": "ce"}})
    before = account.control("GET", "state")
    for kind in ("roles", "instance_profiles", "launch_templates", "compute_environments", "efs", "log_groups"):
        assert before[kind], kind
    account.control("POST", "reset")
    assert not any(account.control("GET", "state").values())
    assert account.control("GET", "invocations") == []


def test_the_log_names_each_call(account: Account) -> None:
    tags = [{"Key": "k", "Value": "v"}]
    create_role(account, Tags=tags)
    account.client("efs", app="two", region="eu-west-1").create_file_system(CreationToken="t", Tags=tags)
    account.client("ec2").create_launch_template(LaunchTemplateName="lt-name", LaunchTemplateData={"KeyName": "key"})
    account.client("logs").create_log_group(logGroupName="/group")
    log = account.calls()
    seen = [(call["seq"], call["app"], call["service"], call["operation"], call["mutating"], call["status"])
            for call in log]
    assert seen == [
        (1, "one", "iam", "CreateRole", True, 200),
        (2, "two", "efs", "CreateFileSystem", True, 201),
        (3, "one", "ec2", "CreateLaunchTemplate", True, 200),
        (4, "one", "logs", "CreateLogGroup", True, 200),
    ]
    assert log[0]["request"] == {"RoleName": "role", "AssumeRolePolicyDocument": TRUST, "Tags": tags}
    assert "role" in log[0]["resources"] and f"arn:aws:iam::{account.id}:role/role" in log[0]["resources"]
    assert log[2]["request"]["LaunchTemplateData"] == {"KeyName": "key"}
    assert log[1]["at"] >= log[0]["at"] >= 0


def test_the_log_shows_errors_and_is_emptied(account: Account) -> None:
    assert error(account.client("iam").get_role, RoleName="nobody")[0] == "NoSuchEntity"
    call = account.calls()[0]
    assert (call["status"], call["error"], call["mutating"]) == (404, "NoSuchEntity", False)
    account.control("DELETE", "calls")
    assert account.calls() == []


def test_a_payload_is_not_logged(account: Account) -> None:
    payload = json.dumps({"ResponseURL": "https://secret.example/"}).encode()
    try:
        account.client("lambda").invoke(FunctionName="function", InvocationType="Event", Payload=payload)
    except ClientError:
        pass  # whether there is such a function does not matter here
    assert account.calls()[0]["operation"] == "Invoke"
    assert "secret.example" not in json.dumps(account.calls())


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("batch", ("TooManyRequestsException", "Too Many Requests", 429)),
        ("cloudformation", ("Throttling", "Rate exceeded", 400)),
        ("ec2", ("RequestLimitExceeded", "Request limit exceeded.", 503)),
        ("efs", ("ThrottlingException", "Rate exceeded", 429)),
        ("fsx", ("ThrottlingException", "Rate exceeded", 400)),
        ("iam", ("Throttling", "Rate exceeded", 400)),
        ("logs", ("ThrottlingException", "Rate exceeded", 400)),
        ("s3", ("SlowDown", "Please reduce your request rate.", 503)),
    ],
)
def test_throttling_looks_like_the_service(account: Account, service: str, expected: tuple[str, str, int]) -> None:
    account.faults({"do": "throttle", "service": service})
    read = getattr(account.client(service), READS[service])
    assert error(read) == expected
    read()
    assert [(call["status"], call["error"], call["fault"]) for call in account.calls()] == [
        (expected[2], expected[0], "throttle"),
        (200, None, None),
    ]


@pytest.mark.parametrize("service", READS)
def test_failures_and_denials_look_like_the_service(account: Account, service: str) -> None:
    account.faults({"do": "error500"}, {"do": "deny", "nth": 2})
    read = getattr(account.client(service), READS[service])
    assert error(read)[2] == 500
    code, message, status = error(read)
    denials = {"batch": "AccessDeniedException", "cloudformation": "AccessDenied", "ec2": "UnauthorizedOperation",
               "iam": "AccessDenied", "s3": "AccessDenied"}
    assert (code, status // 100) == (denials.get(service, "AccessDeniedException"), 4)
    assert f"User: arn:aws:sts::{account.id}:assumed-role/TowerForge-handler-us-east-1/one is not authorized to perform: " in message


def test_denied_role_creation_in_aws_words(account: Account) -> None:
    account.faults({"do": "deny", "operation": "CreateRole"})
    assert error(account.client("iam").create_role, RoleName="role", AssumeRolePolicyDocument=TRUST) == (
        "AccessDenied",
        f"User: arn:aws:sts::{account.id}:assumed-role/TowerForge-handler-us-east-1/one is not authorized to perform: iam:CreateRole"
        f" on resource: arn:aws:iam::{account.id}:role/role"
        " because no identity-based policy allows the iam:CreateRole action",
        403,
    )
    assert roles(account) == []


def test_a_refused_call_is_not_executed_and_a_lost_one_is(account: Account) -> None:
    account.faults({"do": "refuse", "resource": "refused"}, {"do": "lose", "resource": "lost"})
    for name in ("refused", "lost"):
        with pytest.raises(ConnectionClosedError):
            create_role(account, name)
    assert roles(account) == ["lost"]
    assert [(call["fault"], call["status"]) for call in account.calls()[:2]] == [("refuse", None), ("lose", 200)]


def test_a_hung_up_connection_carries_nothing(account: Account) -> None:
    account.faults({"do": "refuse", "times": None})
    where = urlparse(account.url)
    with socket.create_connection((where.hostname, where.port)) as connection:
        scope = f"Credential=LOCAL{account.id}/20260101/us-east-1/iam/aws4_request"
        body = "Action=ListRoles&Version=2010-05-08"
        connection.sendall(
            f"POST / HTTP/1.1\r\nHost: cloud\r\nAuthorization: AWS4-HMAC-SHA256 {scope}, SignedHeaders=host\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert connection.recv(1) == b""
    assert account.calls()[0]["fault"] == "refuse"


def test_rules_count_only_the_calls_that_they_mean(account: Account) -> None:
    account.faults({"do": "throttle", "service": "iam", "mutating": True, "app": "two", "nth": 2, "times": 2})
    outcomes = []
    for app, name in (("one", "a"), ("two", "b"), ("two", "c"), ("two", "d"), ("two", "e")):
        iam = account.client("iam", app=app)
        iam.list_roles()
        try:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
            outcomes.append(name)
        except ClientError as refused:
            outcomes.append(refused.response["Error"]["Code"])
    assert outcomes == ["a", "b", "Throttling", "Throttling", "e"]
    rule = account.control("GET", "faults")["rules"][0]
    assert (rule["matched"], rule["hits"]) == (4, 2)


@pytest.mark.parametrize(("do", "executed"), [("kill_before", []), ("kill_after", ["role"])])
def test_a_process_is_killed_around_a_call(account: Account, do: str, executed: list[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
        account.faults({"do": do, "operation": "CreateRole", "pid": victim.pid})
        with pytest.raises(ConnectionClosedError):
            create_role(account)
        assert victim.wait() == -signal.SIGKILL
    assert roles(account) == executed


@pytest.mark.parametrize(
    "rule", [{"do": "explode"}, {"do": "deny", "when": 1}, {"do": "kill_after"}, {"do": "kill_after", "pid": -1},
             {"do": "kill_before", "pid": 1}, {"do": "throttle", "nth": 0}]
)
def test_a_wrong_rule_is_refused(account: Account, rule: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        account.faults(rule)
    assert account.control("GET", "faults") == {"rules": []}


def test_batch_has_a_rate_limit_in_aws_time(account: Account) -> None:
    # So slow a clock that the bucket does not fill up again while we look.
    account.control("PUT", "config", {"scale": 1000, "tps": {"batch": 5}})
    batch = account.client("batch")

    def ask(_: int) -> str:
        try:
            batch.describe_job_queues()
            return "answered"
        except ClientError as refused:
            return refused.response["Error"]["Code"]

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(ask, range(20)))
    assert answers == {"answered": 5, "TooManyRequestsException": 15}
    account.control("PUT", "config", {"advance": 1})
    batch.describe_job_queues()


def test_other_regions_and_accounts_have_buckets_of_their_own(account: Account, other: Account) -> None:
    for each in (account, other):
        each.control("PUT", "config", {"scale": 1000, "tps": {"batch": 1}})
    for each, region in ((account, "us-east-1"), (account, "eu-west-1"), (other, "us-east-1")):
        each.client("batch", region=region).describe_job_queues()
    assert error(account.client("batch").describe_job_queues)[0] == "TooManyRequestsException"


def test_latency_passes_in_aws_time(account: Account) -> None:
    account.control("PUT", "config", {"scale": 0.0001, "latency": {"iam": 1000}})
    account.client("iam").list_roles()
    account.client("iam").list_roles()
    first, second = account.calls()
    assert second["at"] - first["at"] >= 1000


def test_a_slow_call_takes_its_seconds_and_holds_nobody_up(account: Account) -> None:
    account.control("PUT", "config", {"scale": 1})
    account.faults({"do": "slow", "operation": "CreateRole", "seconds": 3600})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(create_role, account)
        while not account.calls():
            pass  # it has not come yet
        account.client("iam").get_account_summary()
        assert [call["status"] for call in account.calls()] == [None, 200]
        account.control("PUT", "config", {"scale": 1e-9})
        slow.result()
    assert roles(account) == ["role"]


def test_many_calls_at_once_are_all_right(account: Account) -> None:
    names = [f"role-{number}" for number in range(40)]
    iam = account.client("iam")

    def create(name: str) -> str:
        return iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["RoleName"]

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, names)) == sorted(names)
    assert sorted(roles(account)) == sorted(names)
    assert [call["seq"] for call in account.calls()] == list(range(1, 42))


def test_settings_are_merged_and_checked(account: Account) -> None:
    account.control("PUT", "config", {"durations": {"ce_create": 7}, "quota": {"job_queues": 1}})
    shown = account.control("PUT", "config", {"tps": {"batch": None, "iam": 3}})
    assert (shown["durations"]["ce_create"], shown["durations"]["efs_create"]) == (7, [6, 12])
    assert (shown["quota"]["job_queues"], shown["tps"]) == (1, {"iam": 3})
    for wrong in ({"scale": 0}, {"durations": {"ce_creat": 1}}, {"durations": {"ce_create": [5, 1]}}, {"speed": 1}):
        with pytest.raises(Refused):
            account.control("PUT", "config", wrong)


def test_an_unknown_route_says_what_there_is(account: Account) -> None:
    with pytest.raises(Refused, match="PUT /config"):
        account.control("GET", "nothing")


def test_durations_are_drawn_alike_in_each_run() -> None:
    def draw(account: str) -> list[float]:
        drawn = settings.AccountSettings(account)
        return [drawn.duration("ce_create"), drawn.duration("jq_create"), drawn.duration("ce_create")]

    assert draw("000000000001") == draw("000000000001") != draw("000000000002")
    assert all(2 <= seconds <= 20 for seconds in draw("000000000003"))


def test_the_clock_goes_on_when_the_scale_changes() -> None:
    account = settings.AccountSettings("000000000001")
    account.configure({"scale": 1e-6})
    fast = account.now()
    while fast < 1000:
        fast = account.now()
    account.configure({"scale": 1000})
    assert fast <= account.now() < fast + 1e6
