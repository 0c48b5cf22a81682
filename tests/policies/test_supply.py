"""Everything that is installed to build, test and ship the function is pinned by its hash."""

import re
import subprocess
from pathlib import Path

import documents
import pytest

TESTS = documents.ROOT / "tests"
NAMES = ["requirements", "requirements-tools", "requirements-checkov"]


def pins(text: str) -> dict[str, str]:
    """The packages of a file with their versions; what stands after the version does not count."""
    return {name.lower().replace("_", "-"): version for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)", text, re.MULTILINE)}


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_has_what_is_asked_for_and_a_hash_of_every_file(name: str) -> None:
    asked, text = (TESTS / f"{name}.txt").read_text(), (TESTS / f"{name}.lock").read_text()
    locked = pins(text)
    assert pins(asked).items() <= locked.items(), "run make lock"
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[\w.-]+==\S", entry) for entry in entries) and len(entries) >= len(locked) > 50
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    # No host but the one that pip is configured for.
    assert "--index" not in text and "--find-links" not in text and "://" not in text


def test_what_is_installed_is_checked_against_its_hash() -> None:
    for folder, name in zip([".venv", ".tools", ".checkov"], NAMES, strict=True):
        run = subprocess.run(["make", "-nB", folder.removeprefix("."), "-f", "Makefile"], cwd=documents.ROOT, capture_output=True, text=True, check=False)
        installs = [line for line in run.stdout.splitlines() if line.startswith(f"{folder}/bin/pip install ")]
        assert len(installs) == 1 and installs[0].endswith(f" -r tests/{name}.lock"), folder
        assert all(option in installs[0] for option in ("--require-hashes", "--no-deps", "--only-binary :all:")), folder


def test_cargo_takes_nothing_but_what_is_locked() -> None:
    lock = (documents.ROOT / "Cargo.lock").read_text()
    packages = lock.split("[[package]]")[1:]
    foreign = [package for package in packages if 'source = "registry+' in package]
    assert all(re.search(r'^checksum = "[0-9a-f]{64}"$', package, re.MULTILINE) for package in foreign)
    ours = [package for package in packages if package not in foreign]
    assert all(re.search(r'^name = "tower-forge', package, re.MULTILINE) for package in ours)
    for line in (documents.ROOT / "Makefile").read_text().splitlines():
        if re.match(r"\t@?(\w+=\S+ )*cargo (build|run|test|clippy|check)\b", line):
            assert "--locked" in line, line
    for target in ("build", "package"):
        run = subprocess.run(["make", "-n", target], cwd=documents.ROOT, capture_output=True, text=True, check=True)
        assert run.stdout.index("cargo metadata --locked") < run.stdout.index("sam build")
