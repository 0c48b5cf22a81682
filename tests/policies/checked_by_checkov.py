"""Holds what checkov finds in the template against what is meant; run by `make checkov`, in checkov's own environment.

A finding without a reason fails, and so does a reason without a finding.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MAIN, DEAD = "AWS::Serverless::Function.TowerForgeFunction", "AWS::Serverless::Function.DeadLetterFunction"
TABLE = "AWS::DynamoDB::Table.ClaimTable"

REASONS: dict[tuple[str, str], str] = {
    ("CKV_AWS_115", DEAD): "it must answer at once, so that its executions are not limited",
    ("CKV_AWS_116", MAIN): "its dead letters go to the other function, through EventInvokeConfig, which checkov does not read",
    ("CKV_AWS_116", DEAD): "there is nobody behind it; an alarm tells that it ran",
    ("CKV_AWS_117", MAIN): "it calls AWS alone; in a VPC it would need a NAT gateway or nine endpoints",
    ("CKV_AWS_117", DEAD): "the same",
    ("CKV_AWS_119", TABLE): "the items have names and hashes, no values; DynamoDB encrypts them with a key of its own",
    ("CKV_AWS_28", TABLE): "losing the table loses no forge; a restored one would hold claims of the past",
    ("CKV_AWS_173", MAIN): "the variables are names and limits, nothing secret",
    ("CKV_AWS_173", DEAD): "the same",
}


def main() -> int:
    """Prints what differs; the exit status is 1 if anything does."""
    program = Path(sys.executable).with_name("checkov")
    command = [program, "--file", "template.yaml", "--framework", "cloudformation", "--output", "json", "--compact", "--quiet", "--skip-download"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"LOG_LEVEL": "ERROR"})
    report = json.loads(run.stdout)
    results = report["results"]
    found = {(each["check_id"], each["resource"]): each["check_name"] for each in results["failed_checks"]}
    summary = report["summary"]
    print(f"checkov {summary['checkov_version']}: {summary['passed']} passed, {len(found)} findings, {len(REASONS)} of them with a reason")
    wrong = [f"{check} on {where} has no reason: {found[check, where]}" for check, where in sorted(found.keys() - REASONS.keys())]
    wrong += [f"{check} on {where} is not found any more" for check, where in sorted(REASONS.keys() - found.keys())]
    wrong += [f"the template cannot be read: {each}" for each in report["results"].get("parsing_errors", [])]
    if not summary["passed"]:
        wrong.append("nothing was checked")
    for line in wrong:
        print(f"  {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
