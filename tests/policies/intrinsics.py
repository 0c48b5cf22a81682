"""CloudFormation's values of a template's parameters and intrinsic functions: enough to read `template.yaml`."""

import re

import yaml

PSEUDO = {"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "AWS::StackName": "tower-forge"}
NO_VALUE = object()


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def short_form(loader: Loader, suffix: str, node: yaml.Node) -> dict:
    """`!Sub x` is `{"Fn::Sub": x}`."""
    if isinstance(node, yaml.ScalarNode):
        value: object = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)


class Template:
    """A template with its parameters given."""

    def __init__(self, text: str, **parameters: str) -> None:
        self.body = yaml.load(text, Loader)  # noqa: S506, a SafeLoader
        self.parameters: dict[str, object] = {}
        for name, parameter in self.body["Parameters"].items():
            value = str(parameters.get(name, parameter.get("Default", "")))
            self.parameters[name] = value.split(",") if parameter["Type"] == "CommaDelimitedList" else value

    def holds(self, condition: str) -> bool:
        """Whether a condition holds."""
        return bool(self.value(self.body["Conditions"][condition]))

    def value(self, part: object) -> object:
        """A part of the template with its functions resolved."""
        if isinstance(part, list):
            return [item for item in map(self.value, part) if item is not NO_VALUE]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            (function, argument), *_ = part.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self.call(function, argument)
        resolved = {key: self.value(item) for key, item in part.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def call(self, function: str, argument: object) -> object:
        """One intrinsic function."""
        match function, argument:
            case "Ref", "AWS::NoValue":
                return NO_VALUE
            case "Ref", str(name):
                return self.parameters.get(name) if name in self.parameters else PSEUDO.get(name, f"<{name}>")
            case "Fn::GetAtt", str(name):
                return f"<{name}>"
            case "Fn::Sub", str(text):
                named = re.sub(r"\$\{([\w:]+)\}", lambda found: str(self.call("Ref", found[1])), text)
                return named.replace("${!", "${")
            case "Fn::If", [condition, yes, no]:
                return self.value(yes if self.holds(condition) else no)
            case "Fn::Equals", [left, right]:
                return self.value(left) == self.value(right)
            case "Fn::Not", [inner]:
                return not self.value(inner)
            case "Fn::Join", [delimiter, items]:
                return delimiter.join(str(item) for item in self.value(items))
            case "Fn::Split", [delimiter, text]:
                return str(self.value(text)).split(delimiter)
        raise AssertionError(f"{function} {argument}")

    def properties(self, logical_id: str) -> dict:
        """A resource's properties."""
        resolved = self.value(self.body["Resources"][logical_id]["Properties"])
        assert isinstance(resolved, dict)
        return resolved
