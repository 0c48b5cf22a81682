"""The stacks of `examples/`, as they are written: against the JSON Schema, and beside the policies they repeat."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from resolve import EXAMPLES, Loader

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "properties.schema.json").read_text())
FORGES = {
    path.stem: resource["Properties"]
    for path in sorted(EXAMPLES.glob("*.yaml"))
    for resource in yaml.load(path.read_text(), Loader)["Resources"].values()
    if resource["Type"] == "Custom::TowerForge"
}


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert len(FORGES) >= 8


@pytest.mark.parametrize("name", FORGES)
def test_the_schema_accepts_each_example(name: str) -> None:
    jsonschema.validate(FORGES[name], SCHEMA, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "wrong",
    [{"MaxCpus": 0}, {"MaxCpu": 5}, {"Type": "FARGATE"}, {"EfsCreate": "perhaps"}, {"Subnets": {"Sub": "x"}}, {"WorkDir": None}],
)  # fmt: skip
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    properties = copy.deepcopy(FORGES["minimal"]) | wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(properties, SCHEMA, jsonschema.Draft202012Validator)


def test_the_policy_for_keeping_secrets_is_the_one_that_ships() -> None:
    template = yaml.load((EXAMPLES / "secrets.yaml").read_text(), Loader)
    text = json.dumps(template["Resources"]["KeepSecrets"]["Properties"]["PolicyDocument"])
    for ours, pseudo in {"Partition": "AWS::Partition", "Region": "AWS::Region", "Account": "AWS::AccountId"}.items():
        text = text.replace(f"${{{pseudo}}}", f"${{{ours}}}")
    shipped = (ROOT / "policies" / "secrets-policy-account.json").read_text()
    assert _plain(json.loads(text)) == _plain(json.loads(shipped))


def _plain(value: Any) -> Any:
    """Without `Fn::Sub`, and a list of one as the one: IAM takes both."""
    if isinstance(value, dict):
        return _plain(value["Fn::Sub"]) if "Fn::Sub" in value else {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return _plain(value[0]) if len(value) == 1 else [_plain(each) for each in value]
    return value
