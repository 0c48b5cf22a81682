"""The commands behind `make demo`, `plan`, `invoke`, `watch`, `cloud-stop`, `bench` and, as `package`, `shipped`; `limits`
is called by `.ci/run`.

    python tests/demo demo BINARY
    python tests/demo plan BINARY EVENT
    python tests/demo plan-on-aws EVENT
    python tests/demo invoke BINARY EVENT
    python tests/demo watch
    python tests/demo cloud-stop
    python tests/demo bench BINARY DEAD_LETTER
    python tests/demo package BINARY DEAD_LETTER
    python tests/demo limits TEST ALL
"""

from __future__ import annotations

import argparse
from pathlib import Path

import bench
import limits
import package
import play
import processes
import show


def main() -> None:
    """Reads the command line and runs its command."""
    parser = argparse.ArgumentParser(prog="tests/demo", description="The function on a local AWS.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("demo", "plan", "plan-on-aws", "invoke", "bench", "package"):
        command = commands.add_parser(name)
        if name != "plan-on-aws":
            command.add_argument("binary", type=Path, help="the function's binary")
        if name in ("bench", "package"):
            command.add_argument("dead_letter", type=Path, help="the dead letter's binary")
        if name in ("plan", "plan-on-aws", "invoke"):
            command.add_argument("event", type=Path, help="a CloudFormation request as JSON")
    commands.add_parser("watch")
    commands.add_parser("cloud-stop")
    times = commands.add_parser("limits")
    times.add_argument("test", type=float, help="the seconds of `make test`")
    times.add_argument("all", type=float, help="the seconds of all checks")
    arguments = parser.parse_args()

    if arguments.command == "limits":
        limits.report({limits.TEST: arguments.test / 60, limits.CHECKS: arguments.all / 60})
        return

    if arguments.command == "plan-on-aws":
        play.plan_on_aws(arguments.event)
        return
    if arguments.command == "watch":
        play.watch()
        return
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
            play.plan(path, arguments.event)
        case "invoke":
            play.invoke(path, arguments.event)
        case "bench":
            bench.bench(path, arguments.dead_letter.resolve())
        case "package":
            package.report(path, arguments.dead_letter.resolve())


if __name__ == "__main__":
    main()
