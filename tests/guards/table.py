"""The program of `make guards`: takes out one guard of the engine after the other, and plays lives until one breaks.

A guard that no life misses is either not needed or not tested. Each patch takes one out of a copy of the sources, so
that nothing here changes. The results are written to `docs/guards.md`. With names of patches as arguments only those
are played, and the other rows stay as they are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PATCHES = ROOT / "handler" / "core" / "simulation" / "guards"
TABLE = ROOT / "docs" / "guards.md"
# Apart from where the function is built, so that no binary without a guard is ever found there.
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "guards"
COPY = FOLDER / "sources"
# The files that the build of the core reads.
SOURCES = ("Cargo.toml", "Cargo.lock", "handler", "policies")
# As many as `make test` plays.
LIVES = int(os.environ.get("TOWER_FORGE_LIVES") or 10_000)
# Most guards are missed soon, so that building takes the longest: the core is optimised less than for `make test`.
PLAY = ["cargo", "run", "--quiet", "--locked"]
PLAY += ["--config", 'profile.dev.package."*".opt-level=2', "--config", "profile.dev.debug=false"]
PLAY += ["--config", "profile.dev.package.tower-forge-core.opt-level=1"]
PLAY += ["-p", "tower-forge-core", "--example", "simulate", "--", "fault", str(LIVES)]

HEAD = """# The guards of the engine

Each row is a guard of the engine, and the first life of the simulation that breaks when it is taken out. Lives are
played in the same order each time, as many as `make test` plays. `make guards` makes this table from the patches in
`handler/core/simulation/guards/`, and fails if a guard is not missed.

| guard | patch | found after lives | first fault seen |
|---|---|--:|---|
"""


@dataclass
class Found:
    """The result of a patch."""

    patch: Path
    # After how many lives a fault was found, if one was.
    lives: int | None
    # The fault, or why there is none.
    fault: str

    def row(self) -> str:
        """Its row in the table."""
        lives = "never" if self.lives is None else f"{self.lives:,}"
        return f"| {guard(self.patch)} | `{self.patch.stem}` | {lives} | {self.fault} |\n"


def patches() -> list[Path]:
    """All patches, by name."""
    return sorted(PATCHES.glob("*.patch"))


def guard(patch: Path) -> str:
    """The description of the guard in the header of a patch."""
    return patch.read_text().splitlines()[0].removeprefix("Guard: ")


def rows() -> dict[str, str]:
    """The rows of the table as it is, by patch."""
    lines = TABLE.read_text().splitlines(keepends=True) if TABLE.exists() else []
    return {line.split("`")[1]: line for line in lines if line.startswith("| ") and line.count("`") >= 2}


def copy_sources() -> None:
    """Makes the copy afresh, with new times, by which cargo sees the files to build."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for source in SOURCES:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, COPY / source, copy_function=shutil.copy)
        else:
            shutil.copy(ROOT / source, COPY / source)


def play(patch: Path) -> Found:
    """Plays lives without the guard."""
    # The copy may lie in a repository, and is to be patched as if it did not.
    environment = {**os.environ, "CARGO_TARGET_DIR": str(FOLDER / "build"), "GIT_CEILING_DIRECTORIES": str(FOLDER)}
    if subprocess.run(["git", "apply", patch], cwd=COPY, env=environment, check=False).returncode:
        return Found(patch, None, "the patch does not apply")
    played = subprocess.run(PLAY, cwd=COPY, env=environment, capture_output=True, text=True, check=False)
    subprocess.run(["git", "apply", "-R", patch], cwd=COPY, env=environment, check=True)
    if played.returncode:
        print(played.stderr, flush=True)
        return Found(patch, None, "it does not compile, or a life panics")
    lives, _, fault = played.stdout.strip().partition(" ")
    return Found(patch, int(lives), shorten(fault)) if lives.isdigit() else Found(patch, None, "nothing")


def shorten(fault: str) -> str:
    """A fault in one cell of a table."""
    text = " ".join(fault.split()).replace("|", "\\|")
    return text if len(text) <= 160 else f"{text[:159].rstrip()}…"


def write(found: dict[str, Found]) -> None:
    """Writes the table: the results, and the rows of the guards that have not been played."""
    known = rows()
    each = [found[patch.stem].row() if patch.stem in found else known.get(patch.stem, "") for patch in patches()]
    TABLE.write_text(HEAD + "".join(each))


def main() -> int:
    """Plays all guards, or those that are named; the exit status is 0 if each was missed."""
    names = sys.argv[1:] or [patch.stem for patch in patches()]
    copy_sources()
    found: dict[str, Found] = {}
    for patch in patches():
        if patch.stem in names:
            found[patch.stem] = one = play(patch)
            print(f"{one.lives or 'never':>6}  {patch.stem}: {one.fault}", flush=True)
            write(found)
    missed = [name for name, one in found.items() if one.lives is None]
    print(f"{len(found)} guards, {len(missed)} of them not missed {' '.join(missed)}".strip())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
