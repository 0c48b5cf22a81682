"""The stacks of `examples/` as CloudFormation would hand them to the function, as JSON.

Called with a JSON object of stand-ins: the value of `Ref` for a parameter or a pseudo parameter, and `Name.Attribute`
for the value of `Fn::GetAtt` of the other resources of a stack. The answer has for each example the logical ID and the
properties of its forge, the rules of its security group, and the attributes of the forge that its outputs read.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"

Shape = dict[str, Any]


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, read as the long ones."""


def _short_form(loader: Loader, name: str, node: yaml.Node) -> Shape:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name == "Ref" else f"Fn::{name}": value}


Loader.add_multi_constructor("!", _short_form)


def resolved(value: Any, known: Shape) -> Any:
    """A value without functions."""
    if isinstance(value, list):
        return [resolved(each, known) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": name}:
            return known[name]
        case {"Fn::GetAtt": path}:
            return known[".".join(path)]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: str(known[found[1]]), text)
        case {"Fn::ImportValue": name}:
            return known[name]
    return {key: resolved(each, known) for key, each in value.items()}


def attributes(value: Any, logical_id: str) -> list[str]:
    """The attributes of a resource that a part of a template reads."""
    if isinstance(value, list):
        return [name for each in value for name in attributes(each, logical_id)]
    if not isinstance(value, dict):
        return []
    path = value.get("Fn::GetAtt", [])
    here = [path[1]] if path[:1] == [logical_id] else []
    return here + attributes(list(value.values()), logical_id)


def example(path: Path, stand_ins: Shape) -> Shape:
    """The forge of one stack, as the stack describes it."""
    template = yaml.load(path.read_text(), Loader)
    parameters = template.get("Parameters", {})
    defaults = {name: each["Default"] for name, each in parameters.items() if "Default" in each}
    known = stand_ins | defaults
    forges = {name: each for name, each in template["Resources"].items() if each["Type"] == "Custom::TowerForge"}
    ((logical_id, forge),) = forges.items()
    properties = resolved(forge["Properties"], known)
    # The simulator of CloudFormation adds its own.
    del properties["ServiceToken"]
    rules = [each["Properties"] for each in template["Resources"].values() if each["Type"].endswith("Ingress")]
    return {
        "name": path.stem,
        "properties": properties,
        "rules": [{"protocol": each["IpProtocol"], "from": each["FromPort"], "to": each["ToPort"]} for each in rules],
        "outputs": attributes(template["Outputs"], logical_id),
    }


def main() -> None:
    """Prints all examples."""
    stand_ins = json.loads(sys.argv[1])
    print(json.dumps([example(path, stand_ins) for path in sorted(EXAMPLES.glob("*.yaml"))]))


if __name__ == "__main__":
    main()
