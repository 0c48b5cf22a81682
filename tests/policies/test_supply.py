"""Everything that is installed to build, test and ship the function is pinned by its hash."""

import re
import subprocess
import sys
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
        assert f"{folder}/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/{name}.lock" in run.stdout, folder


def test_pip_takes_no_file_with_another_hash(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not the file that was locked")
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"thing @ file://{wheel} --hash=sha256:{'0' * 64}\n")
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-index", "--target", str(tmp_path / "there"), "-r", str(lock)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode != 0 and "DO NOT MATCH THE HASHES" in run.stderr


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
