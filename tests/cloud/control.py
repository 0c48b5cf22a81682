"""The control API, `/_cloud/{account}/...`: a test's means to set, make, break and look at things from outside AWS.

| route | effect |
|---|---|
| `GET`, `PUT /config` | the settings of the account (`settings`); PUT merges, and `advance` lets AWS seconds pass |
| `GET`, `DELETE /calls` | the call log (`calls`) |
| `GET`, `PUT /faults` | `{"rules": [...]}` (`faults.Rule`); GET says how often each has matched and struck |
| `GET`, `PUT /policy` | `{"documents": [...]}`: the policies that every call is judged against; null allows all. With `"trial": true` the account is left out of the report's tally |
| `POST /may` | whether a role may do things, under its boundary (`effective`) |
| `GET /state` | a snapshot of everything that exists (`snapshot`) |
| `POST /seed`, `POST /drop` | makes things, or deletes them, behind everybody's back (`seed`) |
| `POST /jobs`, `DELETE /jobs/{id}` | starts a job on a queue, ends it (`jobs`) |
| `PUT /stacks` | the statuses of stacks in CloudFormation (`cloudformation`) |
| `GET /items`, `GET /items/{id}` | items of the DynamoDB table (`dynamodb`, which also says how to lose or alter them) |
| `GET`, `DELETE /violations` | what AWS's models do not allow in the messages so far (`models`), and changes of what is hidden; DELETE takes the former |
| `GET`, `DELETE /invocations` | the functions invoked; DELETE takes them (`lambda_`) |
| `PUT /function` | `{"url"}`: events are POSTed there from now on, and the answer is the function's (`lambda_`) |
| `POST /reset` | empties the account |
"""

from __future__ import annotations

import importlib
import json
import re
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

import actions
import authz
import calls
import faults
import locks
import models
import services
import settings
from wire import Response

PREFIX = "/_cloud"

Body = Any
Route = Callable[[str, Body, str], Any]


def answer(method: str, path: str, body: bytes) -> Response:
    """The answer to one request: 200 with JSON, 400 with the error in it, 404 for no such route."""
    found = re.fullmatch(PREFIX + r"/(\d{12})/([a-z]+)(?:/([^/]+))?", path)
    route = found and _ROUTES.get((method, found[2]))
    if not route:
        known = ", ".join(f"{each} /{name}" for each, name in sorted(_ROUTES))
        return _json(404, {"error": f"{PREFIX}/<12 digits>/... knows {known}"})
    try:
        return _json(200, route(found[1], json.loads(body) if body else {}, found[3] or ""))
    except (AttributeError, KeyError, LookupError, TypeError, ValueError) as error:
        return _json(400, {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
    except settings.AwsError as error:
        return _json(400, {"error": str(error), "code": error.code})


def _json(status: int, value: Any) -> Response:
    return status, [("Content-Type", "application/json")], json.dumps(value, default=str).encode()


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _configure(account: str, body: Body, _: str) -> Any:
    settings.for_account(account).configure(body)
    return settings.for_account(account).describe()


def _clear_calls(account: str, _: Body, __: str) -> Any:
    calls.of(account).clear()
    return {}


def _violations(account: str, _: Body, __: str) -> Any:
    with locks.of(account):
        return [*models.found.of(account), *_module("snapshot").changes(account)]


def _put_faults(account: str, body: Body, _: str) -> Any:
    faults.of(account).put(body.get("rules", []))
    return {"rules": faults.of(account).describe()}


def _put_policy(account: str, body: Body, _: str) -> Any:
    authz.put_policy(account, body["documents"], body.get("trial", False))
    return {}


def _reset(account: str, _: Body, __: str) -> Any:
    """Empties the account. Its settings stay; its faults, its policy and its log go."""
    services.reset(account)
    faults.of(account).put([])
    authz.put_policy(account, None)
    calls.of(account).clear()
    settings.for_account(account).forget_draws()
    return {}


def _locked(module: str, function: str, *wanted: str) -> Route:
    """A route to a function of a service module, called with the account and, as wanted, body and id."""

    def route(account: str, body: Body, part: str) -> Any:
        given = {"body": body, "id": part}
        with locks.of(account):
            result = getattr(_module(module), function)(account, *(given[each] for each in wanted))
        if function in ("seed", "drop"):
            for service in actions.TAGGED:
                authz.changed(account, service)
        return {} if result is None else result

    return route


_ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "config"): lambda account, _, __: settings.for_account(account).describe(),
    ("PUT", "config"): _configure,
    ("GET", "draws"): lambda account, _, __: settings.for_account(account).draws(),
    ("GET", "calls"): lambda account, _, __: calls.of(account).entries(),
    ("DELETE", "calls"): _clear_calls,
    ("GET", "faults"): lambda account, _, __: {"rules": faults.of(account).describe()},
    ("PUT", "faults"): _put_faults,
    ("GET", "policy"): lambda account, _, __: {"documents": authz.policy(account)},
    ("PUT", "policy"): _put_policy,
    ("GET", "violations"): _violations,
    ("DELETE", "violations"): lambda account, _, __: models.found.take(account),
    ("POST", "reset"): _reset,
    ("POST", "may"): _locked("effective", "may", "body"),
    ("GET", "state"): _locked("snapshot", "state"),
    ("POST", "seed"): _locked("seed", "seed", "body"),
    ("POST", "drop"): _locked("seed", "drop", "body"),
    ("POST", "jobs"): _locked("jobs", "start", "body"),
    ("DELETE", "jobs"): _locked("jobs", "end", "id"),
    ("PUT", "stacks"): _locked("cloudformation", "put_stacks", "body"),
    ("GET", "items"): _locked("dynamodb", "items", "id"),
    ("GET", "invocations"): _locked("lambda_", "invocations"),
    ("DELETE", "invocations"): _locked("lambda_", "take"),
    ("PUT", "function"): _locked("lambda_", "serve", "body"),
}
