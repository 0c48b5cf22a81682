"""A run: prepares the account, asks all checks, cleans up, and reports."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore
import sweep
from account import Aws, Run, Shape, Stopped
from botocore.exceptions import BotoCoreError, ClientError
from report import Line, Report
from table import Check
from tape import RECORDED, Tape, save

__all__ = ["RECORDED"]

AT_ONCE = 4
"""Checks that run at a time on AWS, where an account may have 50 environments in a region."""

AT_ONCE_LOCALLY = 8
"""The same on the local AWS, where a run mostly waits."""


@dataclass
class Started:
    """An account that is ready, and what earlier runs have left in it."""

    run: Run
    region: str
    left: list[str]


def prepare(arguments: argparse.Namespace, scale: float) -> Started:
    """Finds the function, the network, and what is left of earlier runs; SystemExit with what to do."""
    aws = Aws(Run(arguments.service_token, scale), "prepare")
    if not aws.region:
        raise SystemExit("no region: set AWS_REGION")
    try:
        aws.run.service_token = arguments.service_token or _service_token(aws, arguments.stack)
        aws.run.subnets, aws.run.groups = _network(aws, [each for each in arguments.subnets.split(",") if each])
        left = [f"{each.kind} {each.name}" for each in sweep.find(aws)]
    except (ClientError, BotoCoreError) as error:
        raise SystemExit(f"{error}") from error
    return Started(aws.run, aws.region, left)


def _service_token(aws: Aws, stack: str) -> str:
    outputs = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    found = [each["OutputValue"] for each in outputs if each["OutputKey"] == "ServiceToken"]
    if not found:
        raise SystemExit(f"stack {stack} has no output ServiceToken: name the function with SERVICE_TOKEN=arn:…")
    return found[0]


def _network(aws: Aws, subnets: list[str]) -> tuple[list[str], list[str]]:
    ec2 = aws.client("ec2")
    wanted: Shape = {"SubnetIds": subnets} if subnets else {"Filters": [{"Name": "default-for-az", "Values": ["true"]}]}
    found = ec2.describe_subnets(**wanted)["Subnets"]
    if not found:
        raise SystemExit("there is no default VPC: name subnets of one VPC with SUBNETS=subnet-…,subnet-…")
    of_vpc = [
        {"Name": "vpc-id", "Values": [found[0]["VpcId"]]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    groups = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    return sorted(each["SubnetId"] for each in found), [each["GroupId"] for each in groups]


def everything(started: Started, checks: list[Check], options: set[str], record: Path | None) -> Report:
    """Asks all checks, a few at a time, and cleans up in any case."""
    begun = time.monotonic()
    report = Report({})
    try:
        if started.left:
            print("cleaning up after an earlier run …", flush=True)
            sweep.clean(Aws(started.run, "sweep"))
        with ThreadPoolExecutor(AT_ONCE_LOCALLY if started.run.scale < 1 else AT_ONCE) as pool:
            report.lines = list(pool.map(lambda check: one(started, check, options, record), checks))
    finally:
        report.left = sweep.clean(Aws(started.run, "sweep"))
        for each in report.left:
            print(f"LEFT: {each}", flush=True)
    report.header = header(started) | {"took": f"{(time.monotonic() - begun) / started.run.scale / 60:.0f} min"}
    return report


def header(started: Started) -> dict[str, str]:
    """Versions and the region."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    versions = f"Python {platform.python_version()}, boto3 {boto3.__version__}, botocore {botocore.__version__}"
    local = "the local AWS" if started.run.scale < 1 else "AWS"
    return {
        "where": f"{local}, {started.region}",
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "sources": found or "unknown",
        "versions": versions,
    }


def one(started: Started, check: Check, options: set[str], record: Path | None) -> Line:
    """Asks one check, judges the facts, and cleans up."""
    run = started.run
    if check.needs and check.needs.lower() not in options:
        return _said(Line(check.name, check.asks, check.expected, "not asked", f"needs {check.needs}=1", ""))
    if run.stopped.is_set():
        return _said(Line(check.name, check.asks, check.expected, "not asked", "interrupted", ""))
    tape = Tape() if record and check.taped else None
    aws, begun = Aws(run, check.name, tape), time.monotonic()
    try:
        facts = check.ask(aws)
        facts["left"] = [f"{each.kind} {each.name}" for each in sweep.find(Aws(run, check.name), aws.value)]
        line = judged(check, facts)
        if tape and record:
            shared = {"region": started.region, "service_token": run.service_token, "run": run.id}
            network = {"subnets": run.subnets, "groups": run.groups}
            # The judgement of what is kept, so that a replay can be held against it.
            kept = judged(check, facts := tape.facts(facts))
            outcome = {"outcome": kept.outcome, "observed": kept.observed}
            save(record, check.name, tape.facts(header(started) | shared | network) | outcome, facts, tape)
    except Stopped:
        line = Line(check.name, check.asks, check.expected, "not asked", "interrupted", "")
    except Exception as error:  # one check that fails keeps no other from running
        why = f"{type(error).__name__}: {error}"
        line = Line(check.name, check.asks, check.expected, "failed", why, check.otherwise)
    line.seconds = (time.monotonic() - begun) / run.scale
    if left := sweep.clean(Aws(run, check.name), aws.value):
        line.observed += f"; could not be removed: {', '.join(left)}"
    return _said(line)


def judged(check: Check, facts: Shape) -> Line:
    """The outcome of a check, from its facts alone."""
    good, observed = check.judge(facts)
    meaning = "the code is right" if good else check.otherwise
    return Line(check.name, check.asks, check.expected, "as expected" if good else "different", observed, meaning)


def replayed(check: Check, recording: dict[str, Any]) -> tuple[Shape, Line]:
    """The facts and the outcome of a check that gets a recording's answers in the place of AWS."""
    run = Run(recording["service_token"], 1.0, recording["subnets"], recording["groups"], recording["run"])
    tape = Tape(recording["answers"])
    facts = json.loads(json.dumps(check.ask(Aws(run, check.name, tape)))) | {"left": recording["facts"]["left"]}
    if tape.answers:
        raise LookupError(f"the tape goes on after the end of {check.name}: {tape.answers[0]['operation']}")
    return facts, judged(check, facts)


def _said(line: Line) -> Line:
    marks = {"as expected": "✓", "different": "!", "failed": "✗", "not asked": "·"}
    print(f"  {marks[line.outcome]} {line.name}  {line.observed}", flush=True)
    return line
