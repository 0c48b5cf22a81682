"""Holds the actions that the function's policy allows against those that the integration tests made it use.

Run after `cargo test`, once for all its processes: a right that no test needs is one too many, unless it stands
below with the reason why it is needed all the same. A call that was denied outside of a trial fails too.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import documents  # noqa: E402

# Allowed, and used by no test, because the local AWS cannot ask for them.
UNUSED = {
    "ec2:DescribeLaunchTemplateVersions": "Batch reads an environment's template with the rights of who makes it",
    "logs:CreateLogStream": "Lambda writes the function's own log with the function's role",
    "logs:PutLogEvents": "Lambda writes the function's own log with the function's role",
}
# How long the local clouds may take to write their reports after the tests have ended, in seconds.
PATIENCE = 30


def reports(folder: Path) -> list[dict]:
    """The reports of all clouds, once they have written them."""
    until = time.monotonic() + PATIENCE
    while any(folder.glob("*.pending")) and time.monotonic() < until:
        time.sleep(0.1)
    return [json.loads(path.read_text())["rights"] for path in sorted(folder.glob("*.json"))]


def main(folder: Path) -> int:
    """Prints the figures; the exit status is 1 if a right is missing or one too many."""
    found = reports(folder)
    used = {action for report in found for action in report["used"]}
    working = {name for report in found for name in report["statements"]}
    denied = [line for report in found for line in report["denied"]]
    evaluated = sum(report["evaluated"] for report in found)
    document = documents.load("forge-policy.json")
    statements = document["Statement"]
    allowed: set[str] = set()
    for statement in statements:
        allowed.update(documents.listed(statement["Action"]))
    unused = sorted(allowed - used)
    strange = [action for action in unused if action not in UNUSED]
    idle = [each["Sid"] for each in statements if each["Sid"] not in working]
    wanted = {each["Sid"] for each in statements if set(documents.listed(each["Action"])) <= set(UNUSED)}
    needless = sorted(action for action in UNUSED if action in used or action not in allowed)

    size = len(json.dumps(document, separators=(",", ":")))
    print(f"forge-policy.json: {len(statements)} statements, {len(allowed)} actions, {size} of 10240 characters")
    print(f"questions to it: {evaluated}, denied: {len(denied)}, actions used: {len(allowed & used)}, statements used: {len(statements) - len(idle)}")
    for action in unused:
        print(f"  unused: {action}: {UNUSED.get(action, 'WITHOUT A REASON')}")
    for name in sorted(set(idle) - wanted):
        print(f"  unused: statement {name}: WITHOUT A REASON")
    for line in denied[:20]:
        print(f"  denied: {line}")
    for action in needless:
        print(f"  {action} needs no reason: it is used, or not allowed at all")
    if not evaluated:
        print("no test has asked anything")
    return 1 if strange or set(idle) - wanted or denied or needless or not evaluated else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
