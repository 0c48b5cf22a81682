"""Each guard of the engine has a patch that takes it out, and a row in the table of the damage that this does."""

import subprocess
from pathlib import Path

import pytest
from table import PATCHES, ROOT, TABLE, guard, patches


def test_there_are_guards_and_nothing_else() -> None:
    assert len(patches()) >= 25
    assert sorted(PATCHES.iterdir()) == patches()


@pytest.mark.parametrize("patch", patches(), ids=lambda patch: patch.stem)
def test_a_guard_can_still_be_taken_out(patch: Path) -> None:
    header, *rest = patch.read_text().splitlines()
    assert header.startswith("Guard: ") and header.endswith(".")
    assert rest[0].startswith("--- a/handler/core/")
    applied = subprocess.run(["git", "apply", "--check", patch], cwd=ROOT, capture_output=True, text=True, check=False)
    assert applied.returncode == 0, applied.stderr


def test_the_table_has_a_row_for_each_guard() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| ") and "`" in line]
    # The result is `make guards`' to say; the subject stands in the patch.
    told = [tuple(row.split(" | ")[:2]) for row in rows]
    assert told == [(f"| {guard(patch)}", f"`{patch.stem}`") for patch in patches()]
    assert not any("| never |" in row for row in rows)
