"""The command behind `make acceptance`: creates small forges in a real account, and asks AWS what is not documented.

    python tests/acceptance [--service-token ARN | --stack NAME] [--checks NAME,...] [--subnets ID,...] [--jobs] [--fsx]
                            [--instances] [--record [FOLDER]] [--yes] [--report FILE]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import run  # noqa: E402
from account import PREFIX, Run  # noqa: E402
from table import BY_NAME, CHECKS, Check  # noqa: E402

COSTS = """\
It makes, in this account and region, and removes again:
  - about a dozen small forges, each in a CloudFormation stack: roles, launch templates, compute environments and job
    queues, which cost nothing while no job runs; no instance is started
  - scratch stacks, SNS topics and SQS queues for the questions about CloudFormation
  - scratch roles, environments and job queues for the questions about Batch
It costs a few cents at most: invocations of the function, and requests to SNS, SQS and DynamoDB. It takes about an
hour."""
OPTIONS = {
    "jobs": "With JOBS=1 one Fargate task of 0.25 vCPU runs for up to ten minutes: about one cent.",
    "instances": "With INSTANCES=1 one instance of 2 vCPUs runs for about ten minutes: about two cents.",
    "fsx": "With FSX=1 one FSx for Lustre file system of 1.2 TiB exists for about ten minutes: about five cents.",
}


def main() -> int:
    """Reads the command line, asks for consent, and runs; 0 if AWS did all that was expected."""
    arguments = _arguments()
    options = {each for each in OPTIONS if getattr(arguments, each)}
    checks = _chosen(arguments.checks)
    # Only the local AWS is faster than AWS.
    local = "AWS_ENDPOINT_URL" in os.environ
    if local and arguments.record == run.RECORDED:
        raise SystemExit("these are answers of the local AWS: --record needs another folder than that of real accounts")
    started = run.prepare(arguments, float(os.environ.get("TOWER_FORGE_TIME_SCALE", "1")) if local else 1.0)
    print(f"Region {started.region}, function {started.run.service_token.rsplit(':', 1)[-1]}.\n{COSTS}")
    for each in sorted(options):
        print(OPTIONS[each])
    if started.left:
        print("\nAn earlier run has left this, which is removed first:", *started.left, sep="\n  ")
    print(f"Everything is named {PREFIX}-{started.run.id}-… or tagged so. Do not start two runs at once.\n")
    if not arguments.yes and not _consent():
        return 1
    _stop_on_signals(started.run)
    report = run.everything(started, checks, options, arguments.record)
    arguments.report.write_text(report.markdown())
    print(f"\nThe report is in {arguments.report}; attach it to an issue.")
    return 0 if report.good else 1


def _consent() -> bool:
    try:
        return input("Continue? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/acceptance", description="Tries the function in a real account.")
    parser.add_argument("--service-token", default="", help="the function's ARN; else the output of --stack")
    parser.add_argument("--stack", default="tower-forge", help="the stack that deployed the function")
    parser.add_argument("--checks", default="", help="names of checks, with commas; all if not given")
    parser.add_argument("--subnets", default="", help="subnets of one VPC, with commas; else the default VPC's")
    parser.add_argument("--jobs", action="store_true", help="also ask what needs a job on Fargate")
    parser.add_argument("--instances", action="store_true", help="also ask what needs an instance")
    parser.add_argument("--fsx", action="store_true", help="also ask what needs an FSx file system")
    parser.add_argument("--record", type=Path, nargs="?", const=run.RECORDED, help="keep AWS's answers as fixtures")
    parser.add_argument("--yes", action="store_true", help="do not ask for consent")
    parser.add_argument("--report", type=Path, default=Path("acceptance.md"), help="where the report is written")
    return parser.parse_args()


def _chosen(names: str) -> list[Check]:
    if unknown := [each for each in filter(None, names.split(",")) if each not in BY_NAME]:
        raise SystemExit(f"unknown checks: {', '.join(unknown)}; known are {', '.join(BY_NAME)}")
    return [each for each in CHECKS if not names or each.name in names.split(",")]


def _stop_on_signals(started: Run) -> None:
    def stop(number: int, _: object) -> None:
        if started.stopped.is_set():
            print("still cleaning up; after kill -9, the next run cleans up", flush=True)
            return
        print("interrupted: cleaning up …", flush=True)
        started.stopped.set()

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)


if __name__ == "__main__":
    sys.exit(main())
