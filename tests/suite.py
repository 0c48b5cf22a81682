"""The run of `make test`: every part, then one summary with the time that each took.

A part that fails does not keep the others from running, so that one run tells all. Only the standard library is
imported here: this installs the packages that the rest needs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
# Where the local clouds report: those of the integration tests in it, those of the Python tests in a folder in it.
REPORTS = TARGET / "tmp" / "reports"

Command = list[str | Path]
# The name, and the commands that it runs in turn.
Part = tuple[str, list[Command]]
# The name, whether it passed, and its seconds.
Result = tuple[str, bool, float]


def templates() -> list[Path]:
    """The template that deploys the function, and the stacks that use it."""
    return [ROOT / "template.yaml", *sorted((ROOT / "examples").glob("*.yaml"))]


def pytest(folder: str) -> Part:
    """A folder of tests, in a process of its own: modules of different folders may have the same name."""
    return f"tests/{folder} (pytest)", [[PYTHON, "-m", "pytest", "-q", f"tests/{folder}"]]


def stages() -> Iterator[list[list[Part]]]:
    """The parts in lanes: those of a lane run in turn, the lanes of a stage side by side, and the stages in turn."""
    yield [
        # All packages: the integration tests start the dead letter too.
        [("the function (cargo build)", [["cargo", "build", "--locked", "--bins", "--tests"]])],
        [
            ("the local cloud's packages", [["make", "--no-print-directory", "venv"]]),
            ("tools", [["make", "--no-print-directory", "tools"]]),
        ],
    ]
    shutil.rmtree(REPORTS, ignore_errors=True)
    linted = [
        [ROOT / ".tools" / "bin" / "cfn-lint", *templates()],
        ["sam", "validate", "--lint", "--template", ROOT / "template.yaml"],
    ]
    # All but the examples: they have no tests, and would build the simulation once more. The lints check them.
    tests = ["cargo", "test", "--locked"]
    # The tests of the acceptance mostly wait for a local AWS, so they leave the cores to those of the function.
    yield [
        [("the function (cargo test)", [[*tests, "--lib", "--bins", "--tests"], [*tests, "--doc"]])],
        [
            *map(pytest, ("cloud", "policies", "demo", "examples", "nextflow", "user_data", "guards", "acceptance")),
            ("templates (cfn-lint, sam validate)", linted),
        ],
    ]
    yield [
        [
            ("the function's rights, as used", [[PYTHON, "tests/policies/usage.py", REPORTS]]),
            ("requests and answers, as AWS's models have them", [[PYTHON, "tests/cloud/checked.py", REPORTS]]),
        ]
    ]


def run(command: Command, out: IO[str]) -> bool:
    """Runs a command in the project's folder; False if it failed."""
    words = [str(word) for word in command]
    shown = " ".join(os.path.relpath(w, ROOT) if w.startswith(str(ROOT)) else w for w in words)
    print(f"$ {shown}", file=out, flush=True)
    try:
        return subprocess.run(words, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=False).returncode == 0
    except OSError as error:
        print(error, file=out, flush=True)
        return False


def run_lane(lane: list[Part], out: IO[str]) -> list[Result]:
    """Runs parts in turn, also after one has failed."""
    results: list[Result] = []
    for name, commands in lane:
        print(f"\n── {name}", file=out, flush=True)
        begun = time.monotonic()
        # All commands of a part, also after one has failed.
        passed = all([run(command, out) for command in commands])
        results.append((name, passed, time.monotonic() - begun))
    return results


def run_stage(lanes: list[list[Part]]) -> list[Result]:
    """Runs lanes side by side. The first one prints as it goes, and the others after it, so that no lines mix."""
    with contextlib.ExitStack() as stack:
        outs: list[IO[str]] = [sys.stdout, *(stack.enter_context(tempfile.TemporaryFile("a+")) for _ in lanes[1:])]
        pool = stack.enter_context(ThreadPoolExecutor(len(lanes)))
        running = [pool.submit(run_lane, lane, out) for lane, out in zip(lanes, outs, strict=True)]
        results: list[Result] = []
        for lane, out in zip(running, outs, strict=True):
            results += lane.result()
            if out is not sys.stdout:
                out.seek(0)
                shutil.copyfileobj(out, sys.stdout)
        return results


def main() -> int:
    """Runs all parts; the exit status is 0 if every one passed."""
    started = time.monotonic()
    results = [result for lanes in stages() for result in run_stage(lanes)]

    print("\n── summary")
    for name, passed, seconds in results:
        print(f"{'passed' if passed else 'FAILED'}  {minutes(seconds)}  {name}")
    print(f"        {minutes(time.monotonic() - started)}  altogether")
    failed = sum(1 for _, passed, _ in results if not passed)
    print(f"parts: {len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def minutes(seconds: float) -> str:
    """`12 min 05 s`, always as wide."""
    return f"{int(seconds) // 60:3d} min {int(seconds) % 60:02d} s"


if __name__ == "__main__":
    sys.exit(main())
