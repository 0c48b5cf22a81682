"""The messages on the wire: the name and parameters of a call, and errors in the form of its protocol.

Names and parameters come from botocore's service models, through the routers and parsers that moto has for
its own use.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

# Where the name that a signature is scoped to is not botocore's.
_SIGNING_NAMES = {"elasticfilesystem": "efs", "monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}

_READS = re.compile(
    "Describe|Get|List|Head|Lookup|Search|Filter|Simulate|Check|Validate|Detect|Estimate|AssumeRole|BatchGet|Query|Scan"
)
_IDENTIFIERS = re.compile(r"(?:name|names|arn|arns|id|ids|token)$", re.IGNORECASE)
# Members that name a thing without saying so.
_NAMES = {"computeEnvironment", "computeEnvironments", "jobQueue", "jobQueues", "jobs", "Bucket"}

Response = tuple[int, list[tuple[str, str]], bytes]


@dataclass(frozen=True)
class Call:
    """An API call: botocore's names for its service and operation, and its parameters as the model has them.

    `model` is the operation's, and `uri` has the parameters in the path.
    """

    service: str
    operation: str
    protocol: str
    params: dict[str, Any]
    model: Any = None
    uri: dict[str, Any] = field(default_factory=dict)

    @property
    def mutating(self) -> bool:
        """Whether the call may change something."""
        return not _READS.match(self.operation)

    @property
    def names(self) -> list[str]:
        """Names, ARNs and identifiers among the parameters, nested ones included."""
        if self.service == "dynamodb":  # an item is named by its key, and #name names an attribute
            keys = [each for value in self.params.get("Key", {}).values() for each in value.values()]
            return [self.params[each] for each in ("TableName",) if each in self.params] + list(map(str, keys))
        return list(dict.fromkeys(_names(self.params)))

    @property
    def loggable(self) -> dict[str, Any]:
        """The parameters as JSON. A function's payload is left out: it may hold a ResponseURL."""
        hidden = {"Payload": "(left out)"} if self.service == "lambda" and "Payload" in self.params else {}
        return _plain(self.params | hidden)


def call_of(scope: str | None, environ: dict[str, Any], body: bytes) -> Call | None:
    """The call in a request, None where no service model knows it (an unsigned one, for example)."""
    if scope is None:
        return None
    service = _SIGNING_NAMES.get(scope, scope)
    request = Request(environ | {"wsgi.input": io.BytesIO(body)})
    try:
        model, router = _service(service)
        operation, uri = router.match(request)
        protocol = determine_request_protocol(model, request.content_type)
        params = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": uri,
            }
        )
    except (NotFound, NotImplementedError, UnknownService):
        return None
    # No such JSON, number or time, or a text in the place of a structure: moto will say so.
    except (AttributeError, TypeError, ValueError, RequestParserError):
        return None
    return Call(service, operation.name, protocol, dict(params or {}), operation, uri)


class UnknownService(Exception):
    """No service model has this name."""


@functools.cache
def _service(service: str) -> tuple[Any, Any]:
    try:
        return get_service_model(service), get_service_router(service)
    except Exception as error:  # botocore's own, and moto's for a protocol it does not speak
        raise UnknownService(service) from error


def warm(services: list[str]) -> None:
    """Loads service models ahead of the first call, which would otherwise take a second of EC2's."""
    for service in services:
        _service(service)


def error(call: Call, code: str, message: str, status: int, fields: Mapping[str, Any] | None = None) -> Response:
    """An error answer in the form of the call's protocol."""
    request_id = str(uuid.uuid4())
    extra = dict(fields or {})
    kind = "Sender" if status < 500 else "Receiver"
    xml = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    xml += "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in extra.items())
    match call.protocol:
        case "ec2":
            body = f"<Response><Errors><Error>{xml}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        case "query":
            body = (
                f"<ErrorResponse><Error><Type>{kind}</Type>{xml}</Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        case "rest-xml":
            body = f"<Error>{xml}<RequestId>{request_id}</RequestId></Error>"
        case "json":
            body = json.dumps({"__type": code, "message": message} | extra)
        case _ if call.service == "efs":
            body = json.dumps({"ErrorCode": code, "Message": message} | extra)
        case _ if call.service == "lambda":
            body = json.dumps({"Type": "User" if status < 500 else "Service", "Message": message} | extra)
        case _:
            body = json.dumps({"message": message} | extra)
    if body.startswith("<"):
        content_type, body = "text/xml", f'<?xml version="1.0" encoding="UTF-8"?>{body}'
    else:
        content_type = "application/json"
        if call.protocol == "json":
            content_type = f"application/x-amz-json-{_service(call.service)[0].metadata['jsonVersion']}"
    headers = [("Content-Type", content_type), ("x-amzn-RequestId", request_id)]
    if content_type != "text/xml":
        headers.append(("x-amzn-ErrorType", code))
    return status, headers, body.encode()


def error_code(response: Response) -> str | None:
    """The error code in an answer, None where it is no error."""
    status, headers, body = response
    if status < 400:
        return None
    named = {name.lower(): value for name, value in headers}.get("x-amzn-errortype")
    if not named and (found := re.search(rb"<Code>([^<]*)</Code>", body)):
        named = found[1].decode()
    if not named and body.startswith(b"{"):
        parsed = json.loads(body)
        named = parsed.get("__type") or parsed.get("ErrorCode") or parsed.get("code")
    return str(named).split("#")[-1].split(":")[0] if named else str(status)


def _names(value: Any, named: bool = False) -> list[str]:
    if isinstance(value, str):
        return [value] if named else []
    if isinstance(value, Mapping):
        return [
            name
            for key, each in value.items()
            for name in _names(each, bool(_IDENTIFIERS.search(key)) or key in _NAMES)
        ]
    if isinstance(value, list):
        return [name for each in value for name in _names(each, named)]
    return []


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
