"""DynamoDB of the local cloud: effects and refusals of GetItem and UpdateItem, and a test's changes to the table."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from conftest import Account, Refused

TABLE = "tower-forge-claims"
MY_KEY = {"id": {"S": "resource#1"}}

Shape = dict[str, Any]


def text(value: str) -> Shape:
    return {"S": value}


def number(value: str) -> Shape:
    return {"N": value}


def some(*values: str) -> Shape:
    return {"SS": list(values)}


def mapped(**values: Shape) -> Shape:
    return {"M": values}


TRUE = {"BOOL": True}


def put(account: Account, **attributes: Shape) -> None:
    """Puts the item directly."""
    account.control("POST", "seed", {"item": MY_KEY | attributes})


def read(account: Account) -> Shape:
    """The item without its key; {} where there is none."""
    item = account.client("dynamodb").get_item(TableName=TABLE, Key=MY_KEY, ConsistentRead=True).get("Item", MY_KEY)
    return {
        name: {"SS": sorted(value["SS"])} if "SS" in value else value for name, value in item.items() if name != "id"
    }


def update(account: Account, expression: str, values: Shape | None = None, condition: str = "", **more: Any) -> Shape:
    """UpdateItem; each #name means the attribute that is named so."""
    words = f"{expression} {condition}".replace(".", " ").replace("(", " ").replace(")", " ").replace(",", " ").split()
    names = {word: word[1:] for word in words if word.startswith("#")}
    given = {
        "UpdateExpression": expression,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    request = {name: value for name, value in given.items() if value} | more
    return account.client("dynamodb").update_item(TableName=TABLE, Key=MY_KEY, **request)


def failure(account: Account, *arguments: Any, **more: Any) -> Shape:
    """The error that an update answers."""
    with pytest.raises(ClientError) as caught:
        update(account, *arguments, **more)
    return caught.value.response


def test_the_table_is_there_and_belongs_to_one_account_and_region(account: Account, other: Account) -> None:
    update(account, "SET a = :a", {":a": text("x")})
    assert read(account) == {"a": text("x")}
    assert read(other) == {}
    elsewhere = account.client("dynamodb", region="eu-west-1")
    assert "Item" not in elsewhere.get_item(TableName=TABLE, Key=MY_KEY)
    table = elsewhere.describe_table(TableName=TABLE)["Table"]
    assert (table["TableStatus"], table["BillingModeSummary"]["BillingMode"]) == ("ACTIVE", "PAY_PER_REQUEST")
    assert table["TableArn"] == f"arn:aws:dynamodb:eu-west-1:{account.id}:table/{TABLE}"


ITEM = {
    "by": text("me"), "order": number("9"), "busy": TRUE, "forges": some("a", "b"),
    "outcome": mapped(by=text("me"), n=number("1")), "naught": {"NULL": True},
}  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ("attribute_not_exists(id)", {}, False),
        ("attribute_not_exists(gone)", {}, True),
        ("attribute_exists(outcome.#by)", {}, True),
        ("attribute_not_exists(outcome.gone)", {}, True),
        ("#by = :v", {":v": text("me")}, True),
        ("#by = :v", {":v": text("you")}, False),
        ("#by <> :v", {":v": text("you")}, True),
        ("outcome.#by = #by", {}, True),
        ("#order < :v", {":v": number("10")}, True),
        ("#order < :v", {":v": number("9.0")}, False),
        ("#order <= :v", {":v": number("9.0")}, True),
        ("#by < :v", {":v": text("mf")}, True),
        # A missing attribute is equal to nothing, not even to another missing one.
        ("gone = :v", {":v": text("")}, False),
        ("gone <> :v", {":v": text("")}, True),
        ("gone = absent", {}, False),
        ("gone <> absent", {}, True),
        ("gone < :v", {":v": text("z")}, False),
        ("naught = gone", {}, False),
        ("naught = :v", {":v": {"NULL": True}}, True),
        # Nothing is equal to, or less than, a thing of another type.
        ("busy = :v", {":v": TRUE}, True),
        ("busy = :v", {":v": number("1")}, False),
        ("busy <> :v", {":v": number("1")}, True),
        ("#order < :v", {":v": text("A")}, False),
        ("#order = :v", {":v": text("9")}, False),
        ("busy < :v", {":v": text("z")}, False),
        ("forges = :v", {":v": some("b", "a")}, True),
        ("outcome = :v", {":v": mapped(n=number("1.0"), by=text("me"))}, True),
        ("outcome = :v", {":v": mapped(n=TRUE, by=text("me"))}, False),
        # NOT before AND before OR; any white space.
        ("#by = :v OR gone = :v AND gone = :v", {":v": text("me")}, True),
        ("(#by = :v OR gone = :v) AND gone = :v", {":v": text("me")}, False),
        ("gone = :v AND gone = :v OR #by = :v", {":v": text("me")}, True),
        ("NOT #by = :v OR #by = :v", {":v": text("me")}, True),
        ("NOT (#by = :v OR gone = :v)", {":v": text("me")}, False),
        ("attribute_not_exists(id)\n\tOR (#by = :v\n\tAND attribute_exists(outcome))", {":v": text("me")}, True),
    ],
)
def test_a_condition_is_judged_as_aws_does(account: Account, condition: str, values: Shape, holds: bool) -> None:
    put(account, **ITEM)
    try:
        update(account, "SET done = :done", values | {":done": TRUE}, condition)
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "ConditionalCheckFailedException"
        assert read(account) == ITEM
        assert not holds
    else:
        assert holds
        assert read(account) == ITEM | {"done": TRUE}


@pytest.mark.parametrize(
    ("before", "expression", "values", "after"),
    [
        ({}, "SET #by = :v", {":v": text("me")}, {"by": text("me")}),
        ({}, "SET n = :n", {":n": number("007.50")}, {"n": number("7.5")}),
        ({"a": TRUE, "ttl": number("1")}, "REMOVE a, #ttl, gone", {}, {}),
        ({}, "ADD forges :s", {":s": some("a")}, {"forges": some("a")}),
        ({"forges": some("a")}, "ADD forges :s", {":s": some("a", "b")}, {"forges": some("a", "b")}),
        ({"forges": some("a", "b")}, "DELETE forges :s", {":s": some("b", "c")}, {"forges": some("a")}),
        ({"forges": some("a")}, "DELETE forges :s", {":s": some("a")}, {}),
        ({}, "DELETE forges :s", {":s": some("a")}, {}),
        ({"n": number("2")}, "ADD n :n", {":n": number("-5")}, {"n": number("-3")}),
        ({"m": mapped(a=TRUE)}, "SET m.#by = :v", {":v": text("x")}, {"m": mapped(a=TRUE, by=text("x"))}),
        (
            {"a": TRUE, "forges": some("a")},
            "SET #order = :o\nADD forges :s\nREMOVE a",
            {":o": text("1"), ":s": some("b")},
            {"order": text("1"), "forges": some("a", "b")},
        ),
        # The read returns the item as it was before.
        ({"a": some("x")}, "SET b = a ADD a :s", {":s": some("y")}, {"a": some("x", "y"), "b": some("x")}),
        ({}, "SET a = :s, b = :s", {":s": some("x")}, {"a": some("x"), "b": some("x")}),
    ],
)
def test_an_update_does_what_it_says(
    account: Account, before: Shape, expression: str, values: Shape, after: Shape
) -> None:
    if before:
        put(account, **before)
    answer = update(account, expression, values, ReturnValues="ALL_OLD")
    assert answer.get("Attributes", {}) == (MY_KEY | before if before else {})
    assert "ConsumedCapacity" not in answer
    assert read(account) == after


def test_one_value_in_two_attributes_is_two_values(account: Account) -> None:
    update(account, "SET a = :s, b = :s", {":s": some("x")})
    update(account, "ADD a :s", {":s": some("y")})
    assert read(account) == {"a": some("x", "y"), "b": some("x")}


def test_an_update_without_anything_to_do_makes_the_item(account: Account) -> None:
    account.client("dynamodb").update_item(TableName=TABLE, Key=MY_KEY)
    assert account.control("GET", "items") == {"resource#1": MY_KEY}


@pytest.mark.parametrize(
    ("expression", "values", "condition", "why"),
    [
        ("SET by = :v", {":v": TRUE}, "", "reserved keyword: by"),
        ("SET outcome.by = :v", {":v": TRUE}, "", "reserved keyword: by"),
        ("SET a = :v", {":v": TRUE}, "order = :v", "reserved keyword: order"),
        ("SET a = :v", {}, "", "not defined; attribute value: :v"),
        ("SET a = :v", {":v": TRUE}, "a = :w", "not defined; attribute value: :w"),
        ("SET a = :v", {":v": TRUE, ":w": TRUE}, "", "unused in expressions: keys: {:w}"),
        ("SET a = :v ADD a :s", {":v": TRUE, ":s": some("x")}, "", "Two document paths overlap"),
        ("ADD a :s DELETE a :s", {":s": some("x")}, "", "Two document paths overlap"),
        ("SET outcome.a = :v REMOVE outcome", {":v": TRUE}, "", "Two document paths overlap"),
        ("SET a = :v SET b = :v", {":v": TRUE}, "", "can only be used once"),
        ("DELETE a :s DELETE b :s", {":s": some("x")}, "", "can only be used once"),
        ("SET id = :v", {":v": text("x")}, "", "part of the key"),
        ("SET gone.a = :v", {":v": TRUE}, "", "path provided in the update expression is invalid"),
        ("SET a = gone", {}, "", "does not exist in the item"),
        ("SET a = :v ADD #by :s", {":v": TRUE, ":s": some("x")}, "", "incorrect data type"),
        ("SET a = :s", {":s": some()}, "", "may not be empty"),
        ("ADD forges :s", {":s": some()}, "", "may not be empty"),
        ("SET a = :m", {":m": mapped(s=some("x", "x"))}, "", "contains duplicates"),
        ("SET a = :n", {":n": number("x")}, "", "cannot be converted to a numeric value"),
        ("SET a = :v", {":v": TRUE}, "(a = :v", "Invalid ConditionExpression"),
        ("SET a = :v", {":v": TRUE}, "((a = :v))", "redundant parentheses"),
        ("SET a = :v", {":v": TRUE}, "a < :v", "Incorrect operand type"),
        ("SET a := :v", {":v": TRUE}, "", "Syntax error"),
    ],
)
# A wrong expression is refused whether the condition holds or not.
@pytest.mark.parametrize("also", ["", "attribute_not_exists(id)"])
def test_what_is_wrong_is_refused_and_changes_nothing(
    account: Account, expression: str, values: Shape, condition: str, why: str, also: str
) -> None:
    put(account, **ITEM)
    refused = failure(account, expression, values, " AND ".join(filter(None, [condition, also])))
    depends_on_item = why in ("does not exist in the item", "incorrect data type") or "path provided" in why
    if also and depends_on_item:
        assert refused["Error"]["Code"] == "ConditionalCheckFailedException"
    else:
        assert refused["Error"]["Code"] == "ValidationException"
        assert why in refused["Error"]["Message"]
    assert read(account) == ITEM


def test_names_that_are_not_defined_are_refused(account: Account) -> None:
    call = account.client("dynamodb").update_item
    for more in ({"UpdateExpression": "REMOVE #a"}, {"UpdateExpression": "REMOVE a", "ConditionExpression": "#a = b"}):
        with pytest.raises(ClientError, match="ValidationException.* not defined; attribute name: #a"):
            call(TableName=TABLE, Key=MY_KEY, **more)
    with pytest.raises(ClientError, match="ValidationException.*unused in expressions: keys: {#a}"):
        call(TableName=TABLE, Key=MY_KEY, UpdateExpression="REMOVE b", ExpressionAttributeNames={"#a": "a"})


@pytest.mark.parametrize("key", [{}, {"id": number("1")}, {"id": text("")}, {"a": text("x")}, MY_KEY | {"a": TRUE}])
def test_a_key_is_one_text(account: Account, key: Shape) -> None:
    dynamodb = account.client("dynamodb")
    for call, more in ((dynamodb.get_item, {}), (dynamodb.update_item, {"UpdateExpression": "REMOVE a"})):
        with pytest.raises(ClientError, match="ValidationException"):
            call(TableName=TABLE, Key=key, **more)
    assert account.control("GET", "items") == {}


@pytest.mark.parametrize("there", [True, False])
def test_a_failed_condition_shows_the_item_to_who_asks_for_it(account: Account, there: bool) -> None:
    if there:
        put(account, by=text("you"), forges=some("a"))
    asked: Shape = {"ReturnValues": "ALL_OLD", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    arguments = ("SET a = :v", {":v": text("me")}, "#by = :v")
    shown = failure(account, *arguments, **asked)
    assert shown["Error"]["Code"] == "ConditionalCheckFailedException"
    assert shown.get("Item") == (MY_KEY | {"by": text("you"), "forges": some("a")} if there else None)
    assert "Item" not in failure(account, *arguments)


def test_updates_are_atomic(account: Account) -> None:
    def claim(number_of: int) -> bool:
        me = {":me": text(str(number_of)), ":s": some(str(number_of))}
        update(account, "ADD forges :s", {":s": me[":s"]})
        try:
            update(account, "SET #by = :me", {":me": me[":me"]}, "attribute_not_exists(#by)")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(claim, range(24)))
    assert claimed.count(True) == 1
    assert read(account) == {"by": text(str(claimed.index(True))), "forges": some(*sorted(map(str, range(24))))}


def test_a_test_loses_the_table_and_makes_it_anew(account: Account) -> None:
    put(account, a=TRUE)
    account.control("POST", "drop", {"kind": "table", "name": TABLE})
    account.control("POST", "seed", {"item": MY_KEY, "region": "eu-west-1"})
    assert failure(account, "REMOVE a")["Error"]["Code"] == "ResourceNotFoundException"
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        read(account)
    with pytest.raises(Refused):
        put(account, a=TRUE)
    for _ in range(2):
        assert account.control("POST", "seed", {"table": {}})["table"]["name"] == TABLE
        assert read(account) == {}
        put(account, a=TRUE)


def test_a_test_reads_and_alters_items(account: Account) -> None:
    put(account, **ITEM)
    assert account.control("GET", "items/resource%231") == MY_KEY | ITEM
    assert account.control("GET", "items") == {"resource#1": MY_KEY | ITEM}
    account.control("POST", "drop", {"kind": "item", "name": "resource#1"})
    assert account.control("GET", "items/resource%231") == {}
    put(account, a=TRUE)
    account.control("POST", "reset")
    assert read(account) == {}


def test_the_table_is_nothing_that_a_forge_leaves(account: Account) -> None:
    update(account, "SET a = :v", {":v": TRUE})
    assert not any(account.control("GET", "state").values())


def test_rights_are_judged_on_the_table(account: Account) -> None:
    arn = f"arn:aws:dynamodb:us-east-1:{account.id}:table/{TABLE}"
    account.allow({"Sid": "Claim", "Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": arn})
    assert read(account) == {}
    refused = failure(account, "SET a = :v", {":v": TRUE})
    assert (refused["Error"]["Code"], refused["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDeniedException", 400)
    assert f"perform: dynamodb:UpdateItem on resource: {arn} because" in refused["Error"]["Message"]
    with pytest.raises(ClientError, match="AccessDenied"):
        account.client("dynamodb").get_item(TableName="another", Key=MY_KEY)
    first, second, _ = account.calls()
    assert [(each["action"], each["resource"]) for each in first["authz"]] == [("dynamodb:GetItem", arn)]
    assert (first["service"], first["operation"], first["mutating"]) == ("dynamodb", "GetItem", False)
    assert (second["operation"], second["mutating"], second["error"]) == ("UpdateItem", True, "AccessDeniedException")
    assert second["resources"] == [TABLE, "resource#1", arn]
    assert second["request"]["ExpressionAttributeValues"] == {":v": TRUE}


@pytest.mark.parametrize(
    ("rule", "code", "status"),
    [
        ({"do": "throttle"}, "ThrottlingException", 400),
        (
            {"do": "throttle", "code": "ProvisionedThroughputExceededException"},
            "ProvisionedThroughputExceededException",
            400,
        ),
        ({"do": "error500"}, "InternalServerError", 500),
        ({"do": "deny"}, "AccessDeniedException", 400),
    ],
)
def test_faults_look_like_dynamodbs(account: Account, rule: Shape, code: str, status: int) -> None:
    account.faults(rule | {"service": "dynamodb", "operation": "UpdateItem", "resource": "resource#1"})
    refused = failure(account, "SET a = :v", {":v": TRUE})
    assert (refused["Error"]["Code"], refused["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert refused["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.0"
    assert read(account) == {}


@pytest.mark.parametrize(("do", "after"), [("refuse", {}), ("lose", {"a": TRUE})])
def test_an_update_is_lost_on_the_way_there_or_back(account: Account, do: str, after: Shape) -> None:
    account.faults({"do": do, "service": "dynamodb", "mutating": True})
    with pytest.raises(ConnectionClosedError):
        update(account, "SET a = :v", {":v": TRUE})
    assert read(account) == after
    assert account.calls()[0]["fault"] == do
