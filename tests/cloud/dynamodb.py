"""DynamoDB: one table in every region of every account, which nobody has to ask for.

It is the table that `template.yaml` makes, under a name that is known. moto plays DynamoDB; `dynamodb_rules` corrects
it. Every read is as consistent as a read with ConsistentRead. AWS deletes what `ttl` says is over within a few days,
so here nothing is ever deleted by itself.

A test loses or alters items through the control API:

    POST /drop  {"region": "eu-west-1", "kind": "table", "name": "tower-forge-claims"}
    POST /seed  {"region": "eu-west-1", "table": {}}                  makes it anew, empty
    GET  /items                                                       all items by their id
    GET  /items/{id}                                                  one; {} where there is none
    POST /seed  {"region": "eu-west-1", "item": {"id": {"S": "a"}}}   puts it as it is
    POST /drop  {"region": "eu-west-1", "kind": "item", "name": "a"}
"""

from __future__ import annotations

import copy
import json
from typing import Any

import dynamodb_rules as rules
from moto.core.common_types import TYPE_RESPONSE
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.responses import DynamoHandler

TABLE = "tower-forge-claims"
KEY = "id"

Shape = dict[str, Any]

_moto: dict[str, Any] = {}


def install() -> None:
    """Puts these calls in the place of moto's."""
    rules.install()
    _moto["begin"] = DynamoDBBackend.__init__
    DynamoDBBackend.__init__ = begin  # type: ignore[method-assign]
    for handler in (get_item, update_item):
        _moto[handler.__name__] = getattr(DynamoHandler, handler.__name__)
        setattr(DynamoHandler, handler.__name__, handler)


def begin(self: DynamoDBBackend, region_name: str, account_id: str) -> None:
    """A region is there when it is first asked for, and after a reset; so is its table."""
    _moto["begin"](self, region_name, account_id)
    _make_table(self)


def get_item(self: DynamoHandler) -> TYPE_RESPONSE:
    """GetItem."""
    rules.check_key(self.dynamodb_backend.get_table(self.body["TableName"]), self.body["Key"])
    return _answer(_moto["get_item"](self).result)


def update_item(self: DynamoHandler) -> TYPE_RESPONSE:
    """UpdateItem: all of it, or nothing."""
    body, table = self.body, self.dynamodb_backend.get_table(self.body["TableName"])
    rules.check_key(table, body["Key"])
    if "ExpressionAttributeValues" in body:
        values = body["ExpressionAttributeValues"]
        body["ExpressionAttributeValues"] = {name: rules.stored(value) for name, value in values.items()}
    if "UpdateExpression" in body:
        body["UpdateExpression"] = " ".join(body["UpdateExpression"].split())
        names, values = body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {})
        rules.check_update(table, body["UpdateExpression"], names, values)
    else:
        # Without anything to do it makes the item where there is none.
        body.setdefault("AttributeUpdates", {})
    key = DynamoType(body["Key"][table.hash_key_attr])
    before = copy.deepcopy(table.items.get(key))
    try:
        result = _moto["update_item"](self)
    except BaseException:
        # moto changes one attribute after another, and finds out late that one of them cannot be.
        table.items.pop(key, None)
        if before is not None:
            table.items[key] = before
        raise
    # Two attributes that were set to one value are two values.
    table.items[key] = copy.deepcopy(table.items[key])
    if body.get("ReturnConsumedCapacity", "NONE") == "NONE":
        result.result.pop("ConsumedCapacity", None)
    return _answer(result.result)


def _answer(result: Shape) -> TYPE_RESPONSE:
    # Items are kept as they are written, so that moto need not ask the model of each attribute how to write it.
    return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(result)


def items(account_id: str, item_id: str) -> Shape:
    """One item by its id, or all by theirs, as DynamoDB writes them."""
    found = {
        key.value: item.to_json()["Attributes"]
        for backend in list(dynamodb_backends[account_id].values())
        if TABLE in backend.tables
        for key, item in backend.tables[TABLE].items.items()
    }
    return found.get(item_id, {}) if item_id else found


def seed_table(account_id: str, region: str, given: Shape) -> Shape:
    """Makes the table anew, empty."""
    backend = dynamodb_backends[account_id][region]
    backend.tables.pop(TABLE, None)
    _make_table(backend)
    return {"name": TABLE, "arn": backend.tables[TABLE].table_arn}


def seed_item(account_id: str, region: str, given: Shape) -> Shape:
    """Puts an item, written as DynamoDB writes it."""
    dynamodb_backends[account_id][region].get_table(TABLE).put_item(given)
    return {"name": given[KEY]["S"]}


def drop_table(account_id: str, region: str, name: str) -> None:
    """Deletes a table with all that is in it; it does not come back by itself."""
    dynamodb_backends[account_id][region].delete_table(name)


def drop_item(account_id: str, region: str, name: str) -> None:
    """Deletes an item by its id."""
    del dynamodb_backends[account_id][region].get_table(TABLE).items[DynamoType({"S": name})]


def _make_table(backend: DynamoDBBackend) -> None:
    backend.create_table(
        TABLE,
        schema=[{"AttributeName": KEY, "KeyType": "HASH"}],
        attr=[{"AttributeName": KEY, "AttributeType": "S"}],
        billing_mode="PAY_PER_REQUEST",
        throughput=None,
        global_indexes=None,
        indexes=None,
        streams=None,
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )
    backend.update_time_to_live(TABLE, {"AttributeName": "ttl", "Enabled": True})
