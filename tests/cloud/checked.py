"""Prints how many requests and answers the local clouds have checked against AWS's models, and the faults.

Run after all tests, once for all their processes. Each test fails by its own faults; one that is found here belongs to
no test that looks, and fails too.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

# How long the local clouds may take to write their reports after the tests have ended, in seconds.
PATIENCE = 30


def reports(folder: Path) -> list[dict]:
    """The reports of all clouds, once they have written them."""
    until = time.monotonic() + PATIENCE
    while any(folder.rglob("*.pending")) and time.monotonic() < until:
        time.sleep(0.1)
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))]


def main(folder: Path) -> int:
    """Prints the figures; the exit status is 1 if there is a fault, or nothing was checked."""
    found = [report["models"] for report in reports(folder)]
    checked = sum((Counter(each["checked"]) for each in found), Counter())
    faults = Counter(fault for each in found for fault in each["violations"])
    figures = f"{checked['request']} requests, {checked['answer']} answers; faults: {len(faults)}"
    print(f"checked against AWS's models: {figures}")
    print(f"wrong requests that tests have sent on purpose: {sum(each['taken'] for each in found)} faults")
    for fault, times in faults.most_common():
        print(f"  {fault}" + (f" ({times} processes)" if times > 1 else ""))
    return 1 if faults or not checked["request"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
