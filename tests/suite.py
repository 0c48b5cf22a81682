"""The run of `make test`: every part in turn, then one summary with the time that each took.

A part that fails does not keep the others from running, so that one run tells all. Only the standard library is
imported here: this installs the packages that the rest needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
# Where the local clouds report: those of the integration tests in it, those of the Python tests in a folder in it.
REPORTS = TARGET / "tmp" / "reports"

Command = list[str | Path]


def templates() -> list[Path]:
    """The template that deploys the function, and the stacks that use it."""
    return [ROOT / "template.yaml", *sorted((ROOT / "examples").glob("*.yaml"))]


def parts() -> Iterator[tuple[str, list[Command]]]:
    """Each part's name, and the commands that it runs one after the other."""
    yield "the local cloud's packages", [["make", "--no-print-directory", "venv"]]
    yield "tools", [["make", "--no-print-directory", "tools"]]
    shutil.rmtree(REPORTS, ignore_errors=True)
    # Each in a process of its own: modules of different folders may have the same name.
    for folder in ("cloud", "policies", "demo", "examples", "nextflow", "user_data", "guards"):
        yield f"tests/{folder} (pytest)", [[PYTHON, "-m", "pytest", "-q", f"tests/{folder}"]]
    # The binaries of all packages first: the integration tests start the dead letter too.
    yield "the function (cargo test)", [["cargo", "build", "--locked", "--bins", "--tests"], ["cargo", "test", "--locked"]]
    yield "tests/acceptance (pytest)", [[PYTHON, "-m", "pytest", "-q", "tests/acceptance"]]
    yield "the function's rights, as used", [[PYTHON, "tests/policies/usage.py", REPORTS]]
    yield "requests and answers, as AWS's models have them", [[PYTHON, "tests/cloud/checked.py", REPORTS]]
    yield "templates (cfn-lint, sam validate)", [
        [ROOT / ".tools" / "bin" / "cfn-lint", *templates()],
        *(["sam", "validate", "--lint", "--template", path] for path in templates()),
    ]


def run(command: Command) -> bool:
    """Runs a command in the project's folder; False if it failed."""
    words = [str(word) for word in command]
    print(f"$ {' '.join(os.path.relpath(w, ROOT) if w.startswith(str(ROOT)) else w for w in words)}", flush=True)
    try:
        return subprocess.run(words, cwd=ROOT, check=False).returncode == 0
    except OSError as error:
        print(error)
        return False


def main() -> int:
    """Runs all parts; the exit status is 0 if every one passed."""
    started = time.monotonic()
    results: list[tuple[str, bool, float]] = []
    for name, commands in parts():
        print(f"\n── {name}", flush=True)
        begun = time.monotonic()
        # All commands of a part, also after one has failed.
        passed = all([run(command) for command in commands])
        results.append((name, passed, time.monotonic() - begun))

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
