"""Every request and every answer against botocore's model of the service, which is AWS's own.

A fault is kept for its account until a test takes it (`violations` in the control API); the tests' fixtures fail a test
that leaves one. What a model does not hold is not checked: the texts of errors, and anything that follows from state.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import error_codes
import shapes
import wire
from wire import Call, Response

MOST = 50
"""So many faults of one account are kept, and the others are forgotten."""

EXCUSED = {
    "batch:DescribeJobs answer.jobs": (
        "startedAt: is required by JobDetail",
        "Batch: no job has started as soon as it is submitted, and the API reference says when there is no startedAt",
    ),
    "dynamodb:DescribeTable answer.Table": (
        "NumberOfDecreasesToday: 0 is out of the range",
        "the example of the API reference has a 0",
    ),
}
"""Where a model is wrong: the beginning and another part of a fault, and the reason."""


def check_request(account_id: str, call: Call, environ: dict[str, Any], body: bytes) -> None:
    """Notes the faults of a request."""
    try:
        faults = _REQUESTS[call.protocol](call, environ, body) if call.protocol in _REQUESTS else []
    except (ValueError, TypeError) as error:
        faults = [f": cannot be read: {error}"]
    _note(account_id, call, "request", faults)


def check_answer(account_id: str, call: Call, response: Response) -> None:
    """Notes the faults of an answer; of an error, mainly its code."""
    try:
        faults = _error(call, response) if response[0] >= 400 else _answer(call, _REQUEST_ID.sub(b"", response[2]))
    except (ValueError, TypeError, ElementTree.ParseError) as error:
        faults = [f": cannot be read: {error}"]
    _note(account_id, call, "answer", faults)


_REQUEST_ID = re.compile(rb"<[rR]equestId>[^<]*</[rR]equestId>")

_seen: dict[tuple[str, str, str, bytes], list[str]] = {}
SEEN = 2000
"""So many messages are remembered: who waits asks the same, and is answered the same, many times."""


def _once(judge: Callable[[Call, bytes], list[str]]) -> Callable[[Call, bytes], list[str]]:
    """The faults of a message, looked for once as long as it is remembered."""

    def faults(call: Call, content: bytes) -> list[str]:
        key = (judge.__name__, call.service, call.operation, content)
        found = _seen.get(key)
        if found is None:
            if len(_seen) >= SEEN:
                _seen.clear()
            found = _seen[key] = judge(call, content)
        return found

    return faults


def unknown(account_id: str, service: str, environ: dict[str, Any]) -> None:
    """Notes a signed request that is no operation of its service, or whose parameters cannot be read."""
    where = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO')} {environ.get('HTTP_X_AMZ_TARGET', '')}".strip()
    _add(account_id, f"{service}: {where}: no operation of the service has such a request")


# ── requests


@functools.cache
def _form(service: str, kind: type[shapes.Form], direction: str) -> shapes.Form:
    # Shapes of two services may have the same name.
    return kind()


def _json_request(call: Call, environ: dict[str, Any], body: bytes) -> list[str]:
    return _input(call, shapes.Form)(json.loads(body))


def _rest_request(call: Call, environ: dict[str, Any], body: bytes) -> list[str]:
    shape = call.model.input_shape
    if shape is None:
        return _input(call, shapes.Form)(body)
    # The path's own literals, as `?Operation=x`, and then the parameters.
    uri = call.model.http["requestUri"].partition("?")[2]
    query = [pair for pair in parse_qsl(environ.get("QUERY_STRING", "")) if pair not in parse_qsl(uri)]
    faults: list[str] = []
    for name, member in shape.members.items():
        place, wanted = member.serialization.get("location"), member.serialization.get("name", name)
        if place == "uri":
            given = [call.uri[wanted]] if wanted in call.uri else []
        elif place == "querystring":
            given = [value for key, value in query if key == wanted]
            query = [pair for pair in query if pair[0] != wanted]
        elif place == "header":
            given = [environ[key] for key in (f"HTTP_{wanted.upper().replace('-', '_')}",) if key in environ]
        else:
            continue
        one = member.member if member.type_name == "list" else member
        for value in given:
            faults += shapes.within(wanted, _form(call.service, _Text, "in").check_of(one)(value))
        if not given and name in shape.required_members:
            faults.append(f"{wanted}: is required by {shape.name}")
    faults += [f"{key}: is no parameter of {call.operation}" for key, _ in query]
    if "payload" in shape.serialization:
        return faults
    return [*faults, *_input(call, shapes.Form)(json.loads(body or b"{}"))]


class _Text(shapes.Form):
    """Texts in a path, a query or a header."""

    typed = False


def _query_request(call: Call, environ: dict[str, Any], body: bytes) -> list[str]:
    return _parameters(call, b"&".join(each for each in (environ.get("QUERY_STRING", "").encode(), body) if each))


@_once
def _parameters(call: Call, given_as: bytes) -> list[str]:
    given = parse_qsl(given_as.decode(), keep_blank_values=True)
    parameters = dict(given)
    faults = [] if len(parameters) == len(given) else [": a parameter is given twice"]
    version, wanted = parameters.pop("Version", None), call.model.service_model.api_version
    if version != wanted:
        faults.append(f"Version: {wanted} is wanted, not {version}")
    del parameters["Action"]
    shape = call.model.input_shape
    if shape is None:
        return [*faults, *(f"{name}: the operation has no parameters" for name in parameters)]
    kind = shapes.Ec2 if call.protocol == "ec2" else shapes.Query
    return [*faults, *_input(call, kind)(_nested(parameters))]


def _nested(parameters: dict[str, str]) -> dict[str, Any]:
    """The tree of dotted names."""
    root: dict[str, Any] = {}
    for name, value in parameters.items():
        *path, last = name.split(".")
        node = root
        for part in path:
            node = node.setdefault(part, {})
            if type(node) is not dict:
                raise ValueError(f"{name} is a part of a parameter that is a text")
        if last in node:
            raise ValueError(f"{name} is a text, and has parts")
        node[last] = value
    return root


def _input(call: Call, kind: type[shapes.Form]) -> shapes.Check:
    shape = call.model.input_shape
    if shape is None:
        return lambda value: [": the operation has no parameters"] if value else []
    return _form(call.service, kind, "in").check_of(shape)


_REQUESTS: dict[str, Callable[[Call, dict[str, Any], bytes], list[str]]] = {
    "json": _json_request,
    "rest-json": _rest_request,
    "query": _query_request,
    "ec2": _query_request,
}


# ── answers


@_once
def _answer(call: Call, content: bytes) -> list[str]:
    shape = call.model.output_shape
    if call.protocol in ("query", "ec2"):
        return _xml_answer(call, shape, content)
    if call.protocol not in _REQUESTS or shape and "payload" in shape.serialization:
        return []
    value = json.loads(content or b"{}")
    if shape is None:
        return [f": the operation has no answer, not {value!r}"] if value else []
    return _form(call.service, shapes.Form, "out").check_of(shape)(value)


_NAMESPACE = re.compile(rb' xmlns="[^"]*"')


def _xml_answer(call: Call, shape: Any, content: bytes) -> list[str]:
    root = ElementTree.fromstring(_NAMESPACE.sub(b"", content, count=1))
    if root.tag != f"{call.operation}Response":
        return [f": {call.operation}Response is wanted, not {root.tag}"]
    value = shapes.tree(root) or {}
    value.pop("ResponseMetadata", None)
    wrapper = shape.serialization.get("resultWrapper") if shape else None
    if wrapper:
        strange = [f"{name}: is not {wrapper}" for name in value if name != wrapper]
        return [*strange, *_output(call, shape)(value.get(wrapper, ""))]
    return _output(call, shape)(value)


def _output(call: Call, shape: Any) -> shapes.Check:
    if shape is None:
        return lambda value: [f": the operation has no answer, not {value!r}"] if value else []
    return _form(call.service, shapes.Xml, "out").check_of(shape)


def _error(call: Call, response: Response) -> list[str]:
    status, _, content = response
    code = wire.error_code(response)
    declared = error_codes.declared(call.model).get(code)
    if declared is None:
        if error_codes.source(call.service, code):
            return []
        return [f": {code} is no error of {call.operation}, and error_codes.py has no source for it"]
    wanted = declared.metadata.get("error", {}).get("httpStatusCode", status)
    faults = [] if wanted == status else [f": {code} comes with the status {wanted}, not {status}"]
    if call.protocol in ("json", "rest-json"):
        value = json.loads(content)
        value.pop("__type", None)
        # SDKs read the text of an error under both names.
        named = {"message": "Message", "Message": "message"}
        value = {named.get(key, key) if key not in declared.members else key: each for key, each in value.items()}
        if "message" not in {name.lower() for name in declared.members}:
            value = {key: each for key, each in value.items() if key.lower() != "message"}
        faults += _form(call.service, shapes.Form, "out").check_of(declared)(value)
    return faults


# ── what was found


class _Found:
    """The violations of all accounts, and the number of messages that were checked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._violations: dict[str, Counter[str]] = {}
        self._checked: Counter[str] = Counter()
        self._taken = 0

    def count(self, what: str) -> None:
        """Counts a message."""
        with self._lock:
            self._checked[what] += 1

    def add(self, account_id: str, violation: str) -> None:
        """Keeps a violation."""
        with self._lock:
            of_account = self._violations.setdefault(account_id, Counter())
            if violation in of_account or len(of_account) < MOST:
                of_account[violation] += 1

    def of(self, account_id: str) -> list[str]:
        """The violations of an account."""
        with self._lock:
            return list(self._violations.get(account_id, ()))

    def take(self, account_id: str) -> list[str]:
        """The same, which are forgotten: a test has wanted them."""
        with self._lock:
            taken = self._violations.pop(account_id, Counter())
            self._taken += len(taken)
            return list(taken)

    def report(self) -> dict[str, Any]:
        """The figures, and each violation that no test has taken."""
        with self._lock:
            left = Counter(violation for each in self._violations.values() for violation in each)
            return {"checked": dict(self._checked), "taken": self._taken, "violations": sorted(left)}


found = _Found()


def _note(account_id: str, call: Call, what: str, faults: list[str]) -> None:
    found.count(what)
    for fault in shapes.within(f"{call.service}:{call.operation} {what}", faults) if faults else ():
        _add(account_id, fault)


def _add(account_id: str, violation: str) -> None:
    if not any(violation.startswith(begins) and part in violation for begins, (part, _) in EXCUSED.items()):
        found.add(account_id, violation)
