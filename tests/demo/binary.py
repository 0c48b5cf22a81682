"""The binary as Lambda gets it: whether it starts and answers, how big it is, how fast it starts, how much it needs."""

from __future__ import annotations

import json
import statistics
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cloudformation
import limits
from runtime import Function
from show import heading, say, table

RUNS = 5
MALFORMED = {
    "RequestType": "Upsert",
    "ResponseURL": "http://127.0.0.1/response?signed=a%2Fb",
    "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/smoke/00000000-0000-0000-0000-000000000000",
    "RequestId": "smoke",
    "LogicalResourceId": "Smoke",
    "ResourceType": "Custom::TowerForge",
    "ResourceProperties": {"ServiceToken": "smoke"},
}
"""A request that cannot be read: it needs no cloud to be answered."""

ENVIRONMENT = {
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "LOCAL123456789012",
    "AWS_SECRET_ACCESS_KEY": "local",
    # Nothing listens there: a call to AWS would fail.
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "TOWER_FORGE_LOCAL": "1",
    "TOWER_FORGE_TABLE": "tower-forge-claims",
}


@dataclass
class Start:
    """One start of the binary, to the answer to one event."""

    init_ms: float
    after_init: float | None
    after_event: float | None
    answers: list[bytes]


def start_once(binary: Path) -> Start:
    """Starts the binary, gives it one event, and ends it."""
    url = cloudformation.ResponseUrl()
    try:
        with Function(binary, ENVIRONMENT) as function:
            after_init = function.peak_memory()
            function.invoke(url.in_event(MALFORMED))
            return Start(function.init_ms, after_init, function.peak_memory(), url.answers())
    finally:
        url.close()


def zip_size(binary: Path) -> int:
    """The package that `sam deploy` uploads: the binary, zipped."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.write(binary, "bootstrap")
        return file.tell()


def check_answer(start: Start) -> None:
    """The smoke test: the malformed event was answered once, and as CloudFormation wants it."""
    if len(start.answers) != 1:
        raise SystemExit(f"{len(start.answers)} answers to a malformed event instead of one")
    answer = json.loads(start.answers[0])
    wanted = {"Status": "FAILED", "StackId": MALFORMED["StackId"], "RequestId": "smoke", "LogicalResourceId": "Smoke"}
    if wrong := {key: answer.get(key) for key, value in wanted.items() if answer.get(key) != value}:
        raise SystemExit(f"the answer to a malformed event is wrong in {wrong}")
    if "RequestType" not in answer.get("Reason", ""):
        raise SystemExit(f"the answer does not say what is wrong: {answer.get('Reason')}")


def report(binary: Path, dead_letter: Path) -> dict[limits.Limit, float]:
    """Tries the function and prints the figures of both binaries; returns those that have a limit."""
    starts = [start_once(binary) for _ in range(RUNS)]
    for start in starts:
        check_answer(start)
    zips = {limits.ZIP: zip_size(binary) / 1e6, limits.DEAD_LETTER_ZIP: zip_size(dead_letter) / 1e6}
    heading(f"The binaries  ({RUNS} starts of the function, medians)")
    table(
        [
            ("function", f"{binary.stat().st_size / 1e6:.1f} MB, zip {zips[limits.ZIP]:.2f} MB"),
            ("dead letter", f"{dead_letter.stat().st_size / 1e6:.1f} MB, zip {zips[limits.DEAD_LETTER_ZIP]:.2f} MB"),
            ("start to first request", median([start.init_ms for start in starts], "ms")),
            ("peak memory after init", median([start.after_init for start in starts], "MB")),
            ("peak memory after an event", median([start.after_event for start in starts], "MB")),
        ],
        ("", ""),
    )
    say("  each time a malformed event was answered once, with FAILED and the reason")
    return zips | {limits.START: statistics.median(start.init_ms for start in starts)}


def median(values: list[float | None], unit: str) -> str:
    """The median with the range, or a word where the system does not tell."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "not known on this system"
    return f"{statistics.median(known):.1f} {unit}  [{min(known):.1f}–{max(known):.1f}]"
