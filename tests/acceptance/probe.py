"""A custom resource without a function: CloudFormation's requests arrive in a queue, and the check answers them.

So a check sees exactly what CloudFormation sends, and can answer late, or never. A topic, a queue and a subscription
are all that it needs.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from account import Aws, Shape
from stack import PROBE

TIMEOUT = 300
"""The ServiceTimeout of a probe, in seconds: so long does CloudFormation wait if the run has been killed."""


class Probe:
    """The provider of a check's `Custom::Probe` resources."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self._sqs, sns = aws.client("sqs"), aws.client("sns")
        self.token = sns.create_topic(Name=aws.name("topic"), Tags=aws.tag_list)["TopicArn"]
        self.queue = self._sqs.create_queue(QueueName=aws.name("queue"), tags=aws.tags)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": self.token}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=self.token, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def resource(self, **properties: Any) -> Shape:
        """A resource of this provider."""
        given = {"ServiceToken": self.token, "ServiceTimeout": TIMEOUT} | properties
        return {"Type": "Custom::Probe", "Properties": given}

    def resources(self, **properties: Any) -> Shape:
        """A template's resources: only a probe."""
        return {PROBE: self.resource(**properties)}

    def look(self) -> Shape | None:
        """A request of CloudFormation, if one has arrived."""
        return receive(self.aws, self.queue)

    def request(self, kind: str = "") -> Shape:
        """The next request of CloudFormation, which must be of this kind."""
        event = self.aws.until(f"a {kind} of CloudFormation", self.look, minutes=10)
        if kind and event["RequestType"] != kind:
            raise AssertionError(f"CloudFormation sent {event['RequestType']} where a {kind} was expected")
        return event

    def answer(self, event: Shape, physical_id: str, status: str = "SUCCESS") -> int:
        """Answers a request; the HTTP status of the PUT."""
        return put(self.aws, event, physical_id, status)


def receive(aws: Aws, queue: str) -> Shape | None:
    """The next request in a queue."""
    sqs = aws.client("sqs")
    wait = 5 if aws.run.scale >= 1 else 0
    messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=wait, VisibilityTimeout=30).get("Messages", [])
    for each in messages[:1]:
        if "ReceiptHandle" in each:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
        return json.loads(each["Body"])
    return None


def put(aws: Aws, event: Shape, physical_id: str, status: str = "SUCCESS") -> int:
    """PUTs an answer to a request's URL."""
    if aws.tape and aws.tape.replays:
        return 200
    echo = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer = echo | {"Status": status, "Reason": "the probe was told to", "PhysicalResourceId": physical_id}
    # The signature covers an empty content type.
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def url_facts(event: Shape) -> Shape:
    """What a ResponseURL shows, without what is secret in it."""
    url = urlsplit(event["ResponseURL"])
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    return {
        "scheme": url.scheme,
        "host": url.hostname,
        "key_is_names": unquote(url.path).lstrip("/")
        == f"{event['StackId']}|{event['LogicalResourceId']}|{event['RequestId']}",
        "parameters": sorted(query),
        "date": query.get("X-Amz-Date", ""),
        "expires": query.get("X-Amz-Expires") or query.get("Expires", ""),
    }
