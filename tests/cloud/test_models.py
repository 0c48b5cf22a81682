"""AWS's models judge the messages: each kind of fault in a request and in an answer is found."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

import error_codes
import models
import pytest
import wire
from conftest import HERE, Account

ENVIRONMENT = {"computeEnvironmentName": "e", "type": "MANAGED"}
ROLE = {"Action": "CreateRole", "Version": "2010-05-08", "RoleName": "r", "AssumeRolePolicyDocument": "{}"}
TEMPLATE = {"Action": "CreateLaunchTemplate", "Version": "2016-11-15", "LaunchTemplateName": "name"}
TEMPLATE |= {"LaunchTemplateData.ImageId": "ami-1"}
SUBNETS = {"Action": "DescribeSubnets", "Version": "2016-11-15"}
ITEM = {"TableName": "tower-forge-claims", "Key": {"id": {"S": "x"}}}


def environ_of(service: str, path: str, body: Any, target: str = "", query: str = "", method: str = "POST") -> tuple[Any, bytes]:
    """A request as the server sees it."""
    content = body if isinstance(body, bytes) else (json.dumps(body) if path != "/" or target else urlencode(body)).encode()
    kind = "application/x-www-form-urlencoded" if path == "/" and not target else "application/json"
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "h", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http", "CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(content)),
    }  # fmt: skip
    if target:
        environ |= {"HTTP_X_AMZ_TARGET": target, "CONTENT_TYPE": "application/x-amz-json-1.0"}
    return environ, content


def request_faults(service: str, path: str, body: Any, **more: str) -> list[str]:
    """The faults of a request."""
    environ, content = environ_of(service, path, body, **more)
    call, account = wire.call_of(service, environ, content), f"request of {id(environ)}"
    if call is None:
        models.unknown(account, service, environ)
        return models.found.take(account)
    models.check_request(account, call, environ, content)
    return [each.partition(" request")[2].lstrip(".") for each in models.found.take(account)]


def create_environment(**more: Any) -> list[str]:
    """The faults of a CreateComputeEnvironment."""
    return request_faults("batch", "/v1/createcomputeenvironment", ENVIRONMENT | more)


RESOURCES = {"type": "EC2", "maxvCpus": 4, "subnets": ["s"]}
UNREADABLE = "batch: POST /v1/createcomputeenvironment: no operation of the service has such a request"


def test_json_is_checked() -> None:
    assert create_environment(state="ENABLED", computeResources=RESOURCES, tags={"a": "b"}) == []
    assert create_environment(State="ENABLED") == ["State: is no member of CreateComputeEnvironmentRequest"]
    assert create_environment(type=None) == ["type: is required by CreateComputeEnvironmentRequest"]
    assert create_environment(state="enabled") == ["state: 'enabled' is not in the enum CEState"]
    assert create_environment(unmanagedvCpus="4") == ["unmanagedvCpus: an integer is wanted, not '4'"]
    assert create_environment(unmanagedvCpus=True) == ["unmanagedvCpus: an integer is wanted, not True"]
    assert create_environment(tags={}) == ["tags: 0 entries, but 1 to 50 are allowed"]
    assert create_environment(tags={"k" * 129: "v"}) == [f"tags.{'k' * 129}: 129 characters, but 1 to 128 are allowed"]
    assert create_environment(tags=["a"]) == [UNREADABLE]
    assert create_environment(computeResources=RESOURCES | {"subnets": [1], "launchTemplate": {"name": "n"}}) == [
        "computeResources.subnets.0: a string is wanted, not 1",
        "computeResources.launchTemplate.name: is no member of LaunchTemplateSpecification",
    ]


def test_paths_and_queries_are_checked() -> None:
    arn = "arn:aws:batch:eu-west-1:123456789012:job-queue/q"
    untag = {"path": f"/v1/tags/{arn}", "body": b"", "method": "DELETE"}
    assert request_faults("batch", query="tagKeys=a&tagKeys=b", **untag) == []
    assert request_faults("batch", query="tagKeys=a&tagkeys=b", **untag) == ["tagkeys: is no parameter of UntagResource"]
    assert request_faults("batch", query="", **untag)[0].endswith("no operation of the service has such a request")
    assert request_faults("efs", "/2015-02-01/file-systems", b"", method="GET", query="MaxItems=0") == [
        "MaxItems: 0 is out of the range of MaxItems, 1 to None"
    ]
    assert request_faults("efs", "/2015-02-01/file-systems", b"", method="GET", query="FileSystemId=x y") != []


def test_query_parameters_are_checked() -> None:
    def create_role(**more: str) -> list[str]:
        return request_faults("iam", "/", ROLE | more)

    assert create_role(**{"Tags.member.1.Key": "k", "Tags.member.1.Value": "v"}) == []
    assert create_role(Name="r") == ["Name: is no member of CreateRoleRequest"]
    assert create_role(RoleName="r" * 65) == ["RoleName: 65 characters, but 1 to 64 are allowed"]
    assert create_role(RoleName="r r") == [r"RoleName: 'r r' does not match roleNameType, [\w+=,.@-]+"]
    assert create_role(MaxSessionDuration="60") == [
        "MaxSessionDuration: 60 is out of the range of roleMaxSessionDurationType, 3600 to 43200"
    ]
    assert create_role(MaxSessionDuration="long") == ["iam: POST /: no operation of the service has such a request"]
    assert create_role(Version="2010-05-09") == ["Version: 2010-05-08 is wanted, not 2010-05-09"]
    assert create_role(**{"Tags.1.Key": "k", "Tags.1.Value": "v"})[0].startswith("Tags: a list is wanted")
    assert create_role(**{"Tags.member.2.Key": "k", "Tags.member.2.Value": "v"})[0].startswith("Tags: a list is wanted")
    assert create_role(**{"Tags.member.1.Key": "k"}) == ["Tags.0.Value: is required by Tag"]
    assert create_role(**{"RoleName.x": "r"}) == [": cannot be read: RoleName.x is a part of a parameter that is a text"]


def test_parameters_of_ec2_are_checked() -> None:
    assert request_faults("ec2", "/", TEMPLATE | {"LaunchTemplateData.BlockDeviceMapping.1.DeviceName": "d"}) == []
    assert request_faults("ec2", "/", TEMPLATE | {"LaunchTemplateData.BlockDeviceMappings.1.DeviceName": "d"}) == [
        "LaunchTemplateData.BlockDeviceMappings: is no member of RequestLaunchTemplateData"
    ]
    assert request_faults("ec2", "/", TEMPLATE | {"DryRun": "yes"}) == ["DryRun: a boolean is wanted, not 'yes'"]
    assert request_faults("ec2", "/", TEMPLATE | {"LaunchTemplateData.InstanceType": "m6i.tiny"}) == [
        "LaunchTemplateData.InstanceType: 'm6i.tiny' is not in the enum InstanceType"
    ]
    assert request_faults("ec2", "/", SUBNETS | {"SubnetId.1": "subnet-1", "Filter.1.Name": "vpc-id"}) == []
    assert request_faults("ec2", "/", SUBNETS | {"MaxResults": "3"}) != []


def test_unions_are_checked() -> None:
    def get_item(**key: Any) -> list[str]:
        return request_faults("dynamodb", "/", ITEM | {"Key": {"id": key}}, target="DynamoDB_20120810.GetItem")

    assert get_item(S="x") == []
    assert get_item(S=1) == ["Key.id.S: a string is wanted, not 1"]
    assert get_item(M={"a": {"L": [{"X": "1"}]}}) == ["Key.id.M.a.L.0.X: is no member of AttributeValue"]


def answer_faults(service: str, path: str, request: Any, status: int, body: str, headers: Any = ()) -> list[str]:
    """The faults of an answer to a request."""
    environ, content = environ_of(service, path, request)
    call = wire.call_of(service, environ, content)
    assert call is not None
    account = f"answer of {id(environ)}"
    models.check_answer(account, call, (status, list(headers), body.encode()))
    return [each.partition(" answer")[2].lstrip(".") for each in models.found.take(account)]


def test_answers_in_json_are_checked() -> None:
    def described(**environment: Any) -> list[str]:
        shown = {"computeEnvironmentName": "e", "computeEnvironmentArn": "a"} | environment
        body = json.dumps({"computeEnvironments": [shown]})
        return answer_faults("batch", "/v1/describecomputeenvironments", {}, 200, body)

    assert described(status="VALID", uuid=None) == []
    assert described(Status="VALID") == ["computeEnvironments.0.Status: is no member of ComputeEnvironmentDetail"]
    assert described(status="FINE") == ["computeEnvironments.0.status: 'FINE' is not in the enum CEStatus"]
    assert described(computeEnvironmentArn=None) == [
        "computeEnvironments.0.computeEnvironmentArn: is required by ComputeEnvironmentDetail"
    ]


def test_answers_in_xml_are_checked() -> None:
    def got(inside: str) -> list[str]:
        body = f"<GetRoleResponse><GetRoleResult>{inside}</GetRoleResult><ResponseMetadata/></GetRoleResponse>"
        return answer_faults("iam", "/", {"Action": "GetRole", "RoleName": "r"}, 200, body)

    role = "<Path>/</Path><RoleName>r</RoleName><RoleId>AROAAAAAAAAAAAAAA</RoleId><Arn>arn:aws:iam::1:role/role</Arn>"
    assert got(f"<Role>{role}<CreateDate>2026-11-28T00:00:00Z</CreateDate></Role>") == []
    assert got(f"<Role>{role}</Role>") == ["Role.CreateDate: is required by Role"]
    assert got(f"<Role>{role}<CreateDate>now</CreateDate></Role>") == ["Role.CreateDate: a timestamp is wanted, not 'now'"]
    assert got("") == ["Role: is required by GetRoleResponse"]
    tagged = f"<Role>{role}<CreateDate>2026-11-28T00:00:00Z</CreateDate><Tags><item><Key>k</Key></item></Tags></Role>"
    assert got(tagged)[0].startswith("Role.Tags: a list is wanted")
    assert answer_faults("iam", "/", {"Action": "GetRole", "RoleName": "r"}, 200, "<GetUserResponse/>") == [
        ": GetRoleResponse is wanted, not GetUserResponse"
    ]


def test_answers_of_ec2_are_checked() -> None:
    def described(inside: str) -> list[str]:
        body = f'<DescribeSubnetsResponse xmlns="u"><requestId>r</requestId>{inside}</DescribeSubnetsResponse>'
        return answer_faults("ec2", "/", SUBNETS, 200, body)

    assert described("<subnetSet/>") == []
    assert described("<subnetSet><item><state>available</state></item></subnetSet>") == []
    assert described("<subnetSet><item><state>there</state></item></subnetSet>") == [
        "subnetSet.0.state: 'there' is not in the enum SubnetState"
    ]
    assert described("<SubnetSet/>") == ["SubnetSet: is no member of DescribeSubnetsResult"]


def test_errors_are_checked() -> None:
    def error(code: str, status: int = 400, **members: Any) -> list[str]:
        body, headers = json.dumps({"message": "m"} | members), [("x-amzn-ErrorType", code)]
        return answer_faults("efs", "/2015-02-01/file-systems", {"CreationToken": "t"}, status, body, headers)

    assert error("FileSystemAlreadyExists", 409, ErrorCode="FileSystemAlreadyExists", FileSystemId="fs-12345678") == []
    assert error("FileSystemAlreadyExists", 409, ErrorCode="x") == ["FileSystemId: is required by FileSystemAlreadyExists"]
    assert error("FileSystemInUse", 409) == [
        ": FileSystemInUse is no error of CreateFileSystem, and error_codes.py has no source for it"
    ]
    assert error("BadRequest", 404, ErrorCode="BadRequest") == [": BadRequest comes with the status 400, not 404"]
    assert error("AccessDeniedException", 403) == [], "an error of all services"


def test_a_fault_stays_with_its_account_until_it_is_taken(account: Account, other: Account) -> None:
    scope = f"LOCAL{account.id}/20261124/us-east-1"

    def send(service: str, path: str, body: bytes) -> None:
        signed = f"AWS4-HMAC-SHA256 Credential={scope}/{service}/aws4_request, SignedHeaders=host, Signature=none"
        headers = {"Authorization": signed, "Content-Type": "application/json"}
        try:
            urllib.request.urlopen(urllib.request.Request(account.url + path, method="POST", data=body, headers=headers))
        except urllib.error.HTTPError:
            pass  # moto may refuse it

    send("batch", "/v1/describejobqueues", b'{"jobqueues": ["q"]}')
    send("batch", "/v1/describequeues", b"{}")
    found = [
        "batch:DescribeJobQueues request.jobqueues: is no member of DescribeJobQueuesRequest",
        "batch: POST /v1/describequeues: no operation of the service has such a request",
    ]
    assert account.control("GET", "violations") == found == account.take_violations()
    assert account.take_violations() == other.take_violations() == []


def test_each_code_that_the_function_knows_exists() -> None:
    code = (HERE.parents[1] / "handler/core/error.rs").read_text().partition("impl ServiceError")[2].partition("\n}\n")[0]
    known = {each for each in re.findall(r'"([A-Z]\w+(?:\.\w+)?)"', code)}
    assert len(known) > 40
    declared = set()
    for service in ("batch", "cloudformation", "ec2", "efs", "fsx", "iam", "lambda", "logs"):
        for shape in wire._service(service)[0].error_shapes:
            # The SDK for Rust names some errors by their shapes.
            declared |= {shape.name, shape.metadata.get("error", {}).get("code")}
    sourced = set(error_codes.EVERYWHERE).union(*error_codes.SERVICES.values())
    assert known - declared - sourced == set()


@pytest.mark.parametrize("fault", models.EXCUSED)
def test_an_excuse_names_an_operation_of_a_model(fault: str) -> None:
    service, _, rest = fault.partition(":")
    assert rest.partition(" ")[0] in wire._service(service)[0].operation_names
