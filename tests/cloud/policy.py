"""IAM's policy language: reads identity policies and decides on one request, as IAM's documentation says.

A document is read whole when it is given, and refused where it holds something that is not understood: a
test must not pass because a condition was skipped.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

Context = Mapping[str, list[str]]
"""Condition keys, in lower case, with their values."""

_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class MissingVariable(Exception):
    """A policy variable without value and default: a pattern that holds it matches nothing."""


@dataclass(frozen=True)
class Decision:
    """The answer of the policies to a request; `hint` names statements that failed only by a condition.

    `by` are all statements that allow it, by name; `explicit` is a Deny, and not the lack of an Allow.
    """

    allowed: bool
    why: str
    hint: str | None = None
    by: tuple[str, ...] = ()
    explicit: bool = False


@dataclass(frozen=True)
class Condition:
    """One operator with one key of a Condition block."""

    operator: str
    key: str
    values: list[str]

    def holds(self, context: Context) -> bool:
        """Whether it is met; MissingVariable where it names a variable that the request lacks."""
        quantifier, _, rest = self.operator.rpartition(":")
        name = rest.removesuffix("IfExists")
        actual = context.get(self.key.lower())
        if name == "Null":
            return (actual is None) == (self.values[0].lower() == "true")
        if not actual:
            if quantifier:
                return quantifier == "ForAllValues"
            return rest.endswith("IfExists") or name in _NEGATED
        positive = _NEGATED.get(name, name)
        matches = _OPERATORS[positive]
        wanted = [_prepared(positive, value, context) for value in self.values]

        def each(value: str) -> bool:
            return any(matches(value, want) for want in wanted) != (name in _NEGATED)

        return all(map(each, actual)) if quantifier == "ForAllValues" else any(map(each, actual))


@dataclass(frozen=True)
class Statement:
    """One statement of an identity policy."""

    name: str
    allows: bool
    actions: list[str]
    not_actions: list[str]
    resources: list[str]
    not_resources: list[str]
    conditions: list[Condition]

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Whether action and resource match, whatever the conditions say."""
        try:
            named = _any(self.actions, lambda each: _action(each, action), self.not_actions)
            return named and _any(self.resources, lambda each: _resource(each, resource, context), self.not_resources)
        except MissingVariable:
            return False

    def failing(self, context: Context) -> Condition | None:
        """The first condition that is not met."""
        for condition in self.conditions:
            try:
                if not condition.holds(context):
                    return condition
            except MissingVariable:
                return condition
        return None


def read(document: Mapping[str, Any]) -> list[Statement]:
    """The statements of a policy document; ValueError names the part of it that is not IAM's."""
    if document.get("Version") != "2012-10-17":
        raise ValueError("Version must be 2012-10-17")
    return [_statement(index, each) for index, each in enumerate(_list(document["Statement"]))]


def decide(statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, Any]) -> Decision:
    """The decision of identity policies: an explicit Deny wins, then an Allow, otherwise it is denied."""
    lowered: Context = {key.lower(): [str(each) for each in _list(value)] for key, value in context.items()}
    allowed: list[str] = []
    near = []
    for statement in statements:
        if not statement.covers(action, resource, lowered):
            continue
        if failing := statement.failing(lowered):
            near.append(f"{statement.name}: {failing.operator} {failing.key} {failing.values}"
                        f" is not met by {lowered.get(failing.key.lower())}")
        elif not statement.allows:
            return Decision(False, "with an explicit deny in an identity-based policy", f"denied by {statement.name}", explicit=True)
        else:
            allowed.append(statement.name)
    if allowed:
        return Decision(True, f"allowed by {allowed[0]}", by=tuple(allowed))
    hint = "; ".join(near) or None
    return Decision(False, f"because no identity-based policy allows the {action} action", hint)


def _statement(index: int, given: Mapping[str, Any]) -> Statement:
    name = given.get("Sid") or f"statement {index + 1}"
    if unknown := sorted(set(given) - _ELEMENTS):
        raise ValueError(f"{name}: an identity policy knows no {', '.join(unknown)}")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in given) == (other in given):
            raise ValueError(f"{name}: one of {one} and {other} is wanted")
    if given["Effect"] not in ("Allow", "Deny"):
        raise ValueError(f"{name}: Effect is Allow or Deny")
    conditions = [
        Condition(operator, key, [_text(value) for value in _list(values)])
        for operator, keys in given.get("Condition", {}).items()
        for key, values in keys.items()
    ]
    for condition in conditions:
        quantifier, _, rest = condition.operator.rpartition(":")
        known = rest.removesuffix("IfExists")
        if known not in {*_OPERATORS, *_NEGATED, "Null"} or quantifier not in ("", "ForAllValues", "ForAnyValue"):
            raise ValueError(f"{name}: unknown condition operator {condition.operator}")
    parts = [[_text(each) for each in _list(given.get(part, []))]
             for part in ("Action", "NotAction", "Resource", "NotResource")]
    return Statement(name, given["Effect"] == "Allow", *parts, conditions)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError(f"a string is wanted, not {value!r}")


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _any(patterns: list[str], matches: Callable[[str], bool], excluded: list[str]) -> bool:
    if excluded:
        return not any(map(matches, excluded))
    return any(map(matches, patterns))


# The same few actions are asked about again and again, in each account.
@cache
def _action(pattern: str, action: str) -> bool:
    return re.fullmatch(_pattern(pattern.lower(), {}), action.lower()) is not None


def _resource(pattern: str, resource: str, context: Context) -> bool:
    if pattern == "*" or resource == "*":
        return pattern == "*"
    return _arn(resource, _pattern(pattern, context))


def _prepared(operator: str, value: str, context: Context) -> str:
    if operator.startswith(("String", "Arn")):
        return _pattern(value, context, re.escape if operator.startswith("StringEquals") else _glob)
    return value


@cache
def _glob(text: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(each) or re.escape(each) for each in text)


def _pattern(text: str, context: Context, literal: Callable[[str], str] = _glob) -> str:
    """A regular expression for a value with variables, and with wildcards unless `literal` escapes them.

    The value of a variable is taken literally in any case.
    """
    if "$" not in text:
        return literal(text)
    out, position = "", 0
    for found in _VARIABLE.finditer(text):
        out += literal(text[position : found.start()]) + _variable(found[1], context)
        position = found.end()
    return out + literal(text[position:])


def _variable(name: str, context: Context) -> str:
    if name in ("*", "?", "$"):
        return re.escape(name)
    key, _, default = name.partition(",")
    values = context.get(key.strip().lower())
    if values and len(values) == 1:
        return re.escape(values[0])
    if default:
        return re.escape(default.strip().strip("'"))
    raise MissingVariable(name)


def _arn(actual: str, pattern: str) -> bool:
    """Compares ARNs field by field, so that a wildcard does not reach over a colon, except in the last one."""
    wanted = pattern.split(":", 5)
    wanted += [".*"] * (6 - len(wanted))
    given = actual.split(":", 5)
    return len(given) == 6 and all(re.fullmatch(want, each) for want, each in zip(wanted, given, strict=True))


def _instant(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, want: re.fullmatch(want, value) is not None,
    "StringLike": lambda value, want: re.fullmatch(want, value) is not None,
    "StringEqualsIgnoreCase": lambda value, want: re.fullmatch(want, value, re.IGNORECASE) is not None,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "Bool": lambda value, want: value.lower() == want.lower(),
    "BinaryEquals": lambda value, want: value == want,
    "IpAddress": lambda value, want: ipaddress.ip_address(value) in ipaddress.ip_network(want, strict=False),
    "NumericEquals": lambda value, want: float(value) == float(want),
    "NumericLessThan": lambda value, want: float(value) < float(want),
    "NumericLessThanEquals": lambda value, want: float(value) <= float(want),
    "NumericGreaterThan": lambda value, want: float(value) > float(want),
    "NumericGreaterThanEquals": lambda value, want: float(value) >= float(want),
    "DateEquals": lambda value, want: _instant(value) == _instant(want),
    "DateLessThan": lambda value, want: _instant(value) < _instant(want),
    "DateLessThanEquals": lambda value, want: _instant(value) <= _instant(want),
    "DateGreaterThan": lambda value, want: _instant(value) > _instant(want),
    "DateGreaterThanEquals": lambda value, want: _instant(value) >= _instant(want),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotLike": "StringLike",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
