"""The commands behind `make demo`, `plan`, `invoke`, `cloud-stop`, `bench` and, as `package`, `shipped`.

    python tests/demo demo BINARY
    python tests/demo plan [--aws] BINARY EVENT
    python tests/demo invoke BINARY EVENT
    python tests/demo cloud-stop
    python tests/demo bench BINARY
    python tests/demo package BINARY DEAD_LETTER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import bench
import package
import play
import processes
import show


def main() -> None:
    """Reads the command line and runs its command."""
    parser = argparse.ArgumentParser(prog="tests/demo", description="The function on a local AWS.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("demo", "plan", "invoke", "bench", "package"):
        command = commands.add_parser(name)
        command.add_argument("binary", type=Path, help="the function's binary")
        if name == "package":
            command.add_argument("dead_letter", type=Path, help="the dead letter's binary")
        if name in ("plan", "invoke"):
            command.add_argument("event", type=Path, help="a CloudFormation request as JSON")
        if name == "plan":
            command.add_argument("--aws", action="store_true", help="in the account of your AWS credentials")
    commands.add_parser("cloud-stop")
    arguments = parser.parse_args()

    if arguments.command == "cloud-stop":
        show.say("stopped" if processes.stop_kept_cloud() else "no local cloud was running")
        return
    path = arguments.binary.resolve()
    if not path.is_file():
        raise SystemExit(f"there is no binary at {arguments.binary}")
    match arguments.command:
        case "demo":
            play.demo(path)
        case "plan":
            play.plan(path, arguments.event, arguments.aws)
        case "invoke":
            play.invoke(path, arguments.event)
        case "bench":
            bench.bench(path)
        case "package":
            package.report(path, arguments.dead_letter.resolve())


if __name__ == "__main__":
    main()
