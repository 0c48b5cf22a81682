"""Stacks that CloudFormation runs by itself, with a topic as the provider of their custom resources."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import Account
from stage import refused

Shape = dict[str, Any]


class Provider:
    """A topic and a queue as the provider, and one stack."""

    def __init__(self, account: Account) -> None:
        account.control("PUT", "config", {"scale": 0.01})
        self.calls, self._sqs, sns = (account.client(each) for each in ("cloudformation", "sqs", "sns"))
        self.token = sns.create_topic(Name="topic")["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName="queue")["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{account.id}:queue"
        sns.subscribe(TopicArn=self.token, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def template(self, outputs: Shape | None = None, **properties: Any) -> str:
        """A template with one resource, `One`."""
        resource = {"Type": "Custom::One", "Properties": {"ServiceToken": self.token} | properties}
        return json.dumps({"Resources": {"One": resource}} | ({"Outputs": outputs} if outputs else {}))

    def create(self, **more: Any) -> None:
        """Begins to create the stack."""
        self.calls.create_stack(StackName="stack", TemplateBody=more.pop("template", None) or self.template(), **more)

    def request(self) -> Shape:
        """The next request."""
        messages = self._until(lambda: self._sqs.receive_message(QueueUrl=self._queue).get("Messages"))
        return json.loads(messages[0]["Body"])

    def answer(self, event: Shape, physical_id: str, status: str = "SUCCESS", **more: Any) -> None:
        """Answers a request."""
        echo = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
        body = echo | {"Status": status, "Reason": "because", "PhysicalResourceId": physical_id} | more
        url, headers = event["ResponseURL"], {"Content-Type": ""}
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers, method="PUT")).close()

    def settled(self) -> Shape:
        """The stack at rest."""

        def look() -> Shape | None:
            shown = self.calls.describe_stacks(StackName="stack")["Stacks"][0]
            return None if shown["StackStatus"].endswith("_IN_PROGRESS") else shown

        return self._until(look)

    def _until(self, look: Callable[[], Any]) -> Any:
        for _ in range(3000):
            if found := look():
                return found
        raise AssertionError("nothing came")


@pytest.fixture
def provider(account: Account) -> Provider:
    """A provider in an account that nobody has used."""
    return Provider(account)


def test_a_stack_is_created_with_strings_and_outputs(provider: Provider) -> None:
    outputs = {"Id": {"Value": {"Ref": "One"}}, "Name": {"Value": {"Fn::GetAtt": ["One", "Name"]}}}
    provider.create(template=provider.template(outputs, Number=1, Flag=True, List=[2, {"Deep": False}]))
    event = provider.request()
    wanted = {"ServiceToken": provider.token, "Number": "1", "Flag": "true", "List": ["2", {"Deep": "false"}]}
    assert event["ResourceProperties"] == wanted and event["RequestType"] == "Create"
    assert "PhysicalResourceId" not in event and "OldResourceProperties" not in event
    provider.answer(event, "id", Data={"Name": "n"})
    shown = provider.settled()
    assert shown["StackStatus"] == "CREATE_COMPLETE"
    assert {each["OutputKey"]: each["OutputValue"] for each in shown["Outputs"]} == {"Id": "id", "Name": "n"}


def test_a_replaced_resource_is_deleted_in_the_clean_up(provider: Provider) -> None:
    provider.create()
    provider.answer(provider.request(), "old")
    provider.settled()
    provider.calls.update_stack(StackName="stack", TemplateBody=provider.template(Value="2"))
    update = provider.request()
    assert (update["PhysicalResourceId"], update["OldResourceProperties"]) == ("old", {"ServiceToken": provider.token})
    provider.answer(update, "new")
    delete = provider.request()
    assert (delete["RequestType"], delete["PhysicalResourceId"]) == ("Delete", "old")
    assert delete["ResourceProperties"] == {"ServiceToken": provider.token}
    provider.answer(delete, "old")
    assert provider.settled()["StackStatus"] == "UPDATE_COMPLETE"


def test_an_answer_that_cloudformation_would_not_take_fails_the_resource(provider: Provider) -> None:
    for wrong, why in (({"Status": "DONE"}, "Invalid Status"), ({"RequestId": "x"}, "Invalid RequestId"),
                       ({"Data": {"x": "y" * 5000}}, "Response object is too long.")):  # fmt: skip
        provider.create(OnFailure="DO_NOTHING")
        provider.answer(provider.request(), "id", **wrong)
        assert provider.settled()["StackStatus"] == "CREATE_FAILED"
        events = provider.calls.describe_stack_events(StackName="stack")["StackEvents"]
        assert any(why in each.get("ResourceStatusReason", "") for each in events)
        provider.calls.delete_stack(StackName="stack")
        delete = provider.request()
        provider.answer(delete, delete["PhysicalResourceId"])
        while provider.calls.describe_stacks()["Stacks"]:
            pass


def test_a_url_that_nobody_has_signed_is_refused(provider: Provider) -> None:
    provider.create()
    event = provider.request()
    for change in ({"ResponseURL": event["ResponseURL"] + "0"}, {}):
        headers = {} if change else {"Content-Type": "application/json"}
        request = urllib.request.Request((event | change)["ResponseURL"], b"{}", headers, method="PUT")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)


def test_stacks_refuse_what_cloudformation_refuses(provider: Provider) -> None:
    calls, template = provider.calls, provider.template()
    both = {"OnFailure": "DO_NOTHING", "DisableRollback": True}
    assert refused(calls.create_stack, StackName="stack", TemplateBody=template, **both)[0] == "ValidationError"
    bucket = json.dumps({"Resources": {"B": {"Type": "AWS::S3::Bucket"}}})
    assert "no custom resource" in refused(calls.create_stack, StackName="stack", TemplateBody=bucket)[1]
    provider.create()
    assert refused(calls.create_stack, StackName="stack", TemplateBody=template)[0] == "AlreadyExistsException"
    running = refused(calls.update_stack, StackName="stack", TemplateBody=provider.template(Value="2"))[1]
    assert "is in CREATE_IN_PROGRESS state and can not be updated" in running
    provider.answer(provider.request(), "id")
    provider.settled()
    same = refused(calls.update_stack, StackName="stack", TemplateBody=template)[1]
    assert same == "No updates are to be performed."
    assert refused(calls.continue_update_rollback, StackName="stack")[0] == "ValidationError"
    calls.delete_stack(StackName="nothing")


def test_a_served_function_gets_events_and_answers_calls(account: Account) -> None:
    heard: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            # A call in the same account, while the invocation waits.
            account.client("iam").list_roles()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"answer": 1}')

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    account.control("PUT", "function", {"url": f"http://127.0.0.1:{server.server_port}/"})
    answer = account.client("lambda").invoke(FunctionName="f", Payload=b'{"plan": 1}')
    assert (json.loads(answer["Payload"].read()), heard) == ({"answer": 1}, [{"plan": 1}])
    server.shutdown()
    server.server_close()
