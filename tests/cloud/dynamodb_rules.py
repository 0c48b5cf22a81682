"""The refusals of DynamoDB, and its comparisons, where moto is laxer or differs.

From AWS's Developer Guide (expressions, comparison operators, naming rules and data types). Rules that it leaves
open, such as comparisons with an attribute that is not there, are known from the tests of Alternator (ScyllaDB), which
are run against AWS too.
"""

from __future__ import annotations

import copy
import functools
import operator
import pickle
from collections.abc import Callable
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any

from moto.dynamodb import comparisons
from moto.dynamodb.comparisons import AttributePath, AttributeValue, ConditionExpressionParser, Op
from moto.dynamodb.exceptions import (
    ExpressionAttributeNameNotDefined,
    ExpressionAttributeValueNotDefined,
    InvalidConditionExpression,
    KeyIsEmptyStringException,
    MockValidationException,
    ProvidedKeyDoesNotExist,
    TooManyClauses,
)
from moto.dynamodb.models import Table
from moto.dynamodb.parsing.ast_nodes import (
    DDBTypedValue,
    ExpressionAttribute,
    ExpressionAttributeName,
    ExpressionAttributeValue,
    Node,
    UpdateExpressionDeleteClause,
)
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import (
    ActionCountValidator,
    ExpressionPathResolver,
    OverlappingPathsValidator,
    UpdateHashRangeKeyValidator,
)

Value = dict[str, Any]
Comparable = tuple[str, Any]

# A number has 38 significant digits.
_NUMBERS = Context(prec=38, traps=[Inexact, InvalidOperation])
_ORDERED = ("S", "N", "B")
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_moto: dict[str, Any] = {}


def install() -> None:
    """Puts these rules in the place of moto's."""
    for sign in ("=", "<>", *_SIGNS):
        comparisons.COMPARATOR_CLASS[sign] = functools.partial(Comparison, sign)
    _moto["parse"] = ConditionExpressionParser.parse
    _moto["parse_update"] = UpdateExpressionParser.make
    _moto["resolve"] = ExpressionPathResolver.resolve_expression_path
    UpdateExpressionParser.make = parse_update
    # moto copies a tree before it works with it.
    Node.__deepcopy__ = lambda self, memo: pickle.loads(pickle.dumps(self))
    ConditionExpressionParser.parse = parse_condition
    ConditionExpressionParser._lookup_expression_attribute_name = condition_name
    ConditionExpressionParser._lookup_expression_attribute_value = condition_value
    ExpressionPathResolver.resolve_expression_path = read_of_path


class Comparison(Op):
    """Values of different types are never equal, and none is less than the other.

    An attribute that is not there is not equal to anything, not even to another that is not there; so `<>` holds.
    """

    def __init__(self, sign: str, left: Any, right: Any) -> None:
        super().__init__(left, right)
        self.OP = sign
        for each in (left, right):
            if sign in _SIGNS and isinstance(each, AttributeValue) and each.type not in _ORDERED:
                raise InvalidConditionExpression(
                    "Incorrect operand type for operator or function; "
                    f"operator or function: {sign}, operand type: {each.type}"
                )

    def expr(self, item: Any) -> bool:
        """Whether it holds for an item, which is None where there is none."""
        left, right = _operand(self.lhs, item), _operand(self.rhs, item)
        if self.OP not in _SIGNS:
            return (left is not None and left == right) == (self.OP == "=")
        if left is None or right is None or left[0] != right[0] or left[0] not in _ORDERED:
            return False
        return _SIGNS[self.OP](left[1], right[1])


def _operand(operand: Any, item: Any) -> Comparable | None:
    if isinstance(operand, AttributePath):
        found = operand._get_attr(item)  # noqa: SLF001 - the other methods leave the type out
        return None if found is None else _comparable(found.to_regular_json())
    if isinstance(operand, AttributeValue):
        return _comparable({operand.type: operand.value})
    return "N", Decimal(operand.expr(item))  # size()


def _comparable(value: Value) -> Comparable:
    """A value with its type at every depth: to Python, True is 1."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return kind, Decimal(content)
        case "NS":
            return kind, {Decimal(each) for each in content}
        case "SS" | "BS":
            return kind, set(content)
        case "L":
            return kind, [_comparable(each) for each in content]
        case "M":
            return kind, {name: _comparable(each) for name, each in content.items()}
    return kind, content


def parse_update(expression: str) -> Any:
    """A tree of one's own, which moto changes; a call parses its expression three times."""
    return pickle.loads(_parsed_update(expression))


@functools.lru_cache
def _parsed_update(expression: str) -> bytes:
    return pickle.dumps(_moto["parse_update"](expression))


def parse_condition(self: ConditionExpressionParser) -> Any:
    """An expression that cannot be parsed is a ValidationException; any white space is fine."""
    # No text stands in an expression, so every white space is one between words.
    self.condition_expression = " ".join((self.condition_expression or "").split())
    try:
        return _moto["parse"](self)
    except ValueError as error:
        raise InvalidConditionExpression(f"Syntax error; {error}") from error


def condition_name(self: ConditionExpressionParser, name: str) -> str:
    """The attribute that a `#name` stands for."""
    if name not in (self.expression_attribute_names or {}):
        text = "An expression attribute name used in the document path is not defined; attribute name: "
        raise InvalidConditionExpression(text + name)
    return self.expression_attribute_names[name]


def condition_value(self: ConditionExpressionParser, name: str) -> Value:
    """The value that a `:name` stands for."""
    if name not in (self.expression_attribute_values or {}):
        text = "An expression attribute value used in expression is not defined; attribute value: "
        raise InvalidConditionExpression(text + name)
    return self.expression_attribute_values[name]


def read_of_path(self: ExpressionPathResolver, item: Any, path: Any) -> Any:
    """`SET a = b` copies: other actions of the expression on b do not change a."""
    found = _moto["resolve"](self, item, path)
    return DDBTypedValue(copy.deepcopy(found.get_value())) if isinstance(found, DDBTypedValue) else found


def check_key(table: Table, key: dict[str, Value]) -> None:
    """A key has the table's attributes and types, and is not empty."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table.attr}
    if set(key) != set(table.table_key_attrs) or any(types[name] not in value for name, value in key.items()):
        raise ProvidedKeyDoesNotExist
    for name, value in key.items():
        if not value[types[name]]:
            raise KeyIsEmptyStringException(name)


def check_update(table: Table, expression: str, names: dict[str, str], values: dict[str, Value]) -> None:
    """A wrong expression is refused whatever the item is, so also where the condition does not hold."""
    _check_update(tuple(table.table_key_attrs), expression, tuple(names.items()), frozenset(values))


@functools.lru_cache
def _check_update(keys: tuple[str, ...], expression: str, named: tuple[tuple[str, str], ...], values: frozenset[str]) -> None:
    tree, names = UpdateExpressionParser.make(expression), dict(named)
    for node in tree.find_clauses([ExpressionAttributeName]):
        if (name := node.get_attribute_name_placeholder()) not in names:
            raise ExpressionAttributeNameNotDefined(name)
    for node in tree.find_clauses([ExpressionAttributeValue]):
        if (name := node.get_value_name()) not in values:
            raise ExpressionAttributeValueNotDefined(name)
    for node in tree.find_clauses([ExpressionAttribute]):
        ExpressionPathResolver.raise_exception_if_keyword(node.get_attribute_name())
    if len(tree.find_clauses([UpdateExpressionDeleteClause])) > 1:
        raise TooManyClauses("DELETE")
    for each in (ActionCountValidator(), OverlappingPathsValidator(names), UpdateHashRangeKeyValidator(list(keys), names)):
        each.traverse(tree)


def stored(value: Value) -> Value:
    """A value as DynamoDB keeps it: no set is empty or has anything twice, and numbers lose their outer zeros."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return {kind: _number(content)}
        case "SS" | "NS" | "BS":
            return {kind: _set(kind, [_number(each) for each in content] if kind == "NS" else list(content))}
        case "L":
            return {kind: [stored(each) for each in content]}
        case "M":
            return {kind: {name: stored(each) for name, each in content.items()}}
    return {kind: content}


def _set(kind: str, members: list[Any]) -> list[Any]:
    wrong = "One or more parameter values were invalid: "
    if not members:
        name = {"SS": "string", "NS": "number", "BS": "binary"}[kind]
        raise MockValidationException(f"{wrong}An {name} set  may not be empty")
    if len(set(members)) < len(members):
        raise MockValidationException(f"{wrong}Input collection {members} contains duplicates.")
    return members


def _number(text: str) -> str:
    try:
        return format(_NUMBERS.create_decimal(text).normalize(_NUMBERS), "f")
    except DecimalException as error:
        why = f"The parameter cannot be converted to a numeric value: {text}"
        raise MockValidationException(why) from error
