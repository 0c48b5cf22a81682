"""Writes the files that follow from `policies/`: the copies in `template.yaml` and the table in `docs/permissions.md`.

    python3 tests/policies/render.py            writes both
    python3 tests/policies/render.py --check    says whether they are up to date, and changes nothing
"""

import json
import re
import sys
from pathlib import Path

import permissions

ROOT = Path(__file__).resolve().parents[2]

# The name of each `${Name}` in CloudFormation.
PSEUDO = {
    "Partition": "AWS::Partition",
    "UrlSuffix": "AWS::URLSuffix",
    "Region": "AWS::Region",
    "Account": "AWS::AccountId",
    "Prefix": "NamePrefix",
    "Table": "ClaimTable",
}

# Lists that the deployer gives. CloudFormation cannot append to a list, but it can split a text.
OWN_BOUNDARY = "!If [MakesBoundary, !Ref Boundary, !Ref PermissionsBoundary]"
VPC = "arn:*:ec2:*:*:vpc/"
LISTS = {
    "${AllowedBucket}": ["!Ref AllowedBuckets"],
    "${AllowedPolicy}": ["!Ref AllowedPolicies"],
    "${AllowedRole}": ["!Ref AllowedRoles"],
    "${Boundary}": [
        "!If",
        "- AllowsBoundaries",
        f'- !Split [",", !Join [",", [{OWN_BOUNDARY}, !Join [",", !Ref AllowedBoundaries]]]]',
        f"- {OWN_BOUNDARY}",
    ],
    # No key pair has this name; an empty list would allow any.
    "${KeyPair}": ["!If", "- AllowsKeyPairs", "- !Ref AllowedKeyPairs", '- ["-"]'],
    # The default VPC has no name that IAM knows.
    "${Vpc}": [
        "!If",
        "- NamesVpcs",
        f'- !Split [",", !Join ["", ["{VPC}", !Join [",{VPC}", !Ref AllowedVpcs]]]]',
        f'- "{VPC}*"',
    ],
}

# What the deployer adds to a list: the parameter, and the condition that there is any.
MORE = {
    "${AllowedJobDefinition}": ("AllowedJobDefinitions", "AllowsJobDefinitions"),
    "${AllowedLogGroup}": ("AllowedLogGroups", "AllowsLogGroups"),
    "${AllowedRole}": ("AllowedRoles", "AllowsRoles"),
    "${RoleTag}": ("RoleTags", "AllowsRoleTags"),
    "${ImageOwner}": ("AllowedImageOwners", None),
    "${WriteAccount}": ("WriteAccounts", "AllowsWriteAccounts"),
}

# Statements that a parameter leaves out, by how their Sid begins.
OPTIONAL = {
    "Efs": "Efs",
    "Fsx": "Fsx",
    "AllowedPolicies": "AllowsPolicies",
    "AllowedRoles": "AllowsRoles",
}


def scalar(value: str) -> str:
    """A text as YAML; `${Name}` as CloudFormation writes it."""
    if "${" in value:
        # IAM has variables too, with a colon in their names.
        escaped = re.sub(r"\$\{(\w+:)", r"${!\1", value)
        named = re.sub(r"\$\{(\w+)\}", lambda match: "${" + PSEUDO[match[1]] + "}", escaped)
        return f'!Sub "{named}"'
    plain = re.fullmatch(r"[A-Za-z][\w:/.*-]*", value) and value not in ("true", "false")
    return value if plain else json.dumps(value)


def lines(value: object) -> list[str]:
    """A document as lines of YAML."""
    if isinstance(value, str):
        return [scalar(value)]
    if isinstance(value, list) and len(value) == 1 and value[0] in LISTS:
        return LISTS[value[0]]
    out: list[str] = []
    if isinstance(value, list) and isinstance(value[-1], str) and value[-1] in MORE:
        parameter, condition = MORE[value[-1]]
        joined = f'!Join [",", !Ref {parameter}]'
        added = f"!If [{condition}, {joined}, !Ref AWS::NoValue]" if condition else joined
        items = [*map(scalar, value[:-1]), added]
        return ["!Split", '- ","', "- !Join", '  - ","', f"  - - {items[0]}", *(f"    - {item}" for item in items[1:])]
    if isinstance(value, list):
        for item in value:
            first, *rest = statement(item)
            out += [f"- {first}", *(f"  {line}" for line in rest)]
        return out
    assert isinstance(value, dict), value
    for key, item in value.items():
        name = scalar(key)
        below = lines(item)
        if isinstance(item, str) or below[0].startswith("!"):
            out += [f"{name}: {below[0]}", *(f"  {line}" for line in below[1:])]
        else:
            out += [f"{name}:", *(f"  {line}" for line in below)]
    return out


def statement(item: object) -> list[str]:
    """A list's item; a statement that a parameter leaves out becomes an `!If`."""
    written = lines(item)
    sid = item.get("Sid", "") if isinstance(item, dict) else ""
    condition = next((OPTIONAL[start] for start in OPTIONAL if sid.startswith(start)), None)
    if condition is None:
        return written
    return ["!If", f"- {condition}", f"- {written[0]}", *(f"  {line}" for line in written[1:]), "- !Ref AWS::NoValue"]


def template(text: str) -> str:
    """The template with fresh copies between its marks."""

    def copy(match: re.Match[str]) -> str:
        indent, path = match["indent"], match["path"]
        document = json.loads((ROOT / path).read_text())
        body = "".join(f"{indent}{line}\n" for line in lines(document))
        return f"{indent}# begin {path}\n{body}{indent}# end {path}\n"

    marks = r"(?P<indent> *)# begin (?P<path>policies/[a-z-]+\.json)\n(?:.*\n)*? *# end (?P=path)\n"
    return re.sub(marks, copy, text)


def rendered() -> dict[str, str]:
    """Each file that is written, with the text that it should have."""
    return {
        "template.yaml": template((ROOT / "template.yaml").read_text()),
        "docs/permissions.md": permissions.page(),
    }


def main() -> int:
    """The command line."""
    written = {name: (ROOT / name).read_text() if (ROOT / name).exists() else "" for name in rendered()}
    stale = {name: text for name, text in rendered().items() if written[name] != text}
    for name, text in stale.items():
        if "--check" in sys.argv:
            print(f"{name} is stale: run python3 tests/policies/render.py")
        else:
            (ROOT / name).parent.mkdir(exist_ok=True)
            (ROOT / name).write_text(text)
            print(f"wrote {name}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
