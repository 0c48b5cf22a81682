"""The page `docs/permissions.md`: Forge's published policies against ours, action by action.

`published.json` says which actions each published policy allows (the facts, not the documents), `reasons.json` why ours differ. What ours
allow, and where, is read from `policies/`. An action without a reason is an error, so the page cannot fall behind the policies.
"""

import json
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
POLICIES = HERE.parents[1] / "policies"
PUBLISHED = json.loads((HERE / "published.json").read_text())
REASONS = json.loads((HERE / "reasons.json").read_text())

# The limits of IAM in characters, white space not counted.
INLINE, MANAGED, TRUST = 10240, 6144, 2048


def listed(value: str | list[str]) -> list[str]:
    """IAM writes a list of one as the thing itself."""
    return [value] if isinstance(value, str) else value


def statements(file: str) -> list[dict]:
    """The statements of one of our documents."""
    return json.loads((POLICIES / file).read_text())["Statement"]


def size(document: object) -> int:
    """A document's size as IAM counts it."""
    return len("".join(json.dumps(document).split()))


def limit(file: str) -> int:
    """What IAM allows a document of this sort."""
    return MANAGED if file == "boundary.json" else TRUST if file.startswith("trust-") else INLINE


def reason(verdict: str, action: str) -> str:
    """Why an action is kept, narrowed, dropped or added: the first pattern that fits."""
    for pattern, text in REASONS[verdict].items():
        if fnmatchcase(action, pattern):
            return text
    raise KeyError(f"reasons.json: no reason why {action} is {verdict}")


def where(statement: dict) -> str:
    """A statement's resources and conditions in few words."""
    resources = []
    for resource in listed(statement["Resource"]):
        _, _, service, *rest = resource.split(":", 5) if resource.startswith("arn:") else ("", "", "", resource)
        resources.append(f"`{rest[-1]}`" if rest[-1].strip("*") else f"`{service}:*`" if service else "`*`")
    conditions = []
    for operator, pairs in statement.get("Condition", {}).items():
        for key, value in pairs.items():
            values = [item.split("/")[-1] for item in listed(value)]
            relation = "like" if operator == "StringLike" else "is"
            conditions.append(f"`{key}` {relation} " + ", ".join(f"`{item}`" for item in values))
    return ", ".join(resources) + (" if " + " and ".join(conditions) if conditions else "")


def allowed(files: list[str], pattern: str) -> list[tuple[str, dict]]:
    """Which of our actions a published one stands for, with the statements that allow them."""
    return [
        (action, statement)
        for file in files
        for statement in statements(file)
        for action in listed(statement["Action"])
        if fnmatchcase(action, pattern)
    ]


def row(action: str, files: list[str], same: str) -> str:
    """One action that a published policy allows; where it is scoped there as it is here, `same` fits it."""
    ours = allowed(files, action)
    if not ours:
        verdict, place = "dropped", ""
    else:
        narrow = not fnmatchcase(action, same) and any(statement["Resource"] != "*" or "Condition" in statement for _, statement in ours)
        verdict = "narrowed" if narrow else "kept"
        place = "; ".join(dict.fromkeys(where(statement) for _, statement in ours))
        if "*" in action:
            place = ", ".join(f"`{name}`" for name in sorted({name for name, _ in ours})) + ": " + place
    return f"| `{action}` | {verdict} | {place} | {reason(verdict, action)} |"


def added(files: list[str], published: list[str]) -> list[str]:
    """What ours allow and the published policy does not."""
    rows = {}
    for action, statement in allowed(files, "*"):
        if not any(fnmatchcase(action, pattern) for pattern in published):
            rows.setdefault(action, []).append(where(statement))
    return [
        f"| `{action}` | added | {'; '.join(dict.fromkeys(places))} | {reason('added', action)} |"
        for action, places in sorted(rows.items())
    ]


def page() -> str:
    """The whole page."""
    out = [
        "# Permissions: Forge's and ours",
        "",
        "Written by `tests/policies/render.py` from `policies/` and from the tables beside the script; a test fails when it is stale.",
        "",
        "Forge's published policies are lists of actions on `*`, `iam:CreateRole` and `iam:PassRole` among them: whoever holds them is an",
        "administrator. Below stands each action of each of them, what became of it here, where it is allowed, and why. *Kept*: as it was.",
        "*Narrowed*: on fewer resources, or under a condition. *Dropped*: not allowed. *Added*: Forge does without, ours needs it.",
        "",
        "## Sizes",
        "",
        "Characters as IAM counts them, placeholders not yet filled in.",
        "",
        "| document | statements | characters | limit |",
        "|---|---|---|---|",
    ]
    for path in sorted(POLICIES.glob("*.json")):
        document = json.loads(path.read_text())
        out.append(f"| `{path.name}` | {len(document['Statement'])} | {size(document)} | {limit(path.name)} |")
    for title, policy in PUBLISHED.items():
        files, actions = policy["ours"], policy["actions"].split()
        names = ", ".join(f"`{name}`" for name in files)
        out += ["", f"## {title}", "", policy["about"], f"Against {names}.", "", "| action | | where | why |", "|---|---|---|---|"]
        out += [row(action, files, policy.get("same", "")) for action in actions]
        out += added(files, actions)
    return "\n".join(out) + "\n"
