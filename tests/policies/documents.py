"""Reads the documents in `policies/` and fills in their placeholders, as the function and the template do."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "policies"

Values = dict[str, str | list[str]]

# One forge of one account, with everything that can be asked for.
SAMPLE: Values = {
    "Partition": "aws",
    "UrlSuffix": "amazonaws.com",
    "Region": "eu-west-1",
    "Account": "123456789012",
    "Prefix": "TowerForge",
    "Table": "tower-forge-ClaimTable-1A2B3C4D5E6F7",
    "ForgeId": "2CeQImw0JjWrMM0tRDGRZ7",
    "JobLogGroup": "/aws/batch/job",
    "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1b2c3d4e-0000-4000-8000-000000000000",
    "Bucket": ["example-genomics", "example-references"],
    "ReadBucket": ["nf-core-awsmegatests", "ngi-igenomes"],
    "ReadObject": ["nf-core-awsmegatests/*", "ngi-igenomes/*"],
    "JobRole": ["arn:aws:iam::123456789012:role/TowerForge-2CeQImw0JjWrMM0tRDGRZ7-ExecutionRole"],
    "Boundary": ["arn:aws:iam::123456789012:policy/towerforge/Boundary"],
    "AllowedBucket": ["*"],
    "AllowedPolicy": ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"],
    "AllowedRole": ["arn:aws:iam::123456789012:role/genomics-*"],
    "AllowedJobDefinition": [],
    "AllowedLogGroup": [],
    "WriteAccount": [],
    "RoleTag": [],
    "KeyPair": ["-"],
    "ImageOwner": ["amazon", "self"],
    "Vpc": ["arn:*:ec2:*:*:vpc/*"],
}


def names() -> list[str]:
    """The file names of all documents."""
    return sorted(path.name for path in POLICIES.glob("*.json"))


def fill(value: object, values: Values) -> object:
    """A document, or a part of one, with its placeholders filled in."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda match: str(values[match[1]]), value)
    if isinstance(value, dict):
        return {key: fill(item, values) for key, item in value.items()}
    assert isinstance(value, list), value
    filled = []
    for item in value:
        placeholders = re.findall(r"\$\{(\w+)\}", item) if isinstance(item, str) else []
        several = [name for name in placeholders if isinstance(values[name], list)]
        if several:
            filled += [fill(item, {**values, several[0]: one}) for one in values[several[0]]]
        else:
            filled.append(fill(item, values))
    return filled


def empty(part: object) -> bool:
    """Whether a statement has a list with nothing in it."""
    return part == [] or isinstance(part, dict) and any(empty(item) for item in part.values())


def load(name: str, **values: str | list[str]) -> dict:
    """A document with the sample's values, or others."""
    document = fill(json.loads((POLICIES / name).read_text()), {**SAMPLE, **values})
    document["Statement"] = [statement for statement in document["Statement"] if not empty(statement)]
    return document


def seen_by(document: dict, forge: str = str(SAMPLE["ForgeId"])) -> dict:
    """A document as IAM reads it for a role of a forge: with the variables that stand for the role's tags."""
    text = json.dumps(document).replace("${aws:PrincipalTag/towerforge:forge-id}", forge)
    read: dict = json.loads(text)
    return read


def listed(value: str | list[str]) -> list[str]:
    """IAM writes a list of one as the thing itself."""
    return [value] if isinstance(value, str) else value


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of IAM's, with * and ?, covers a text or another pattern."""
    regular = "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return re.fullmatch(regular, text, re.IGNORECASE) is not None
