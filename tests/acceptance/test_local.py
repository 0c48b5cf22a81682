"""The whole command against the local AWS: as users run it, interrupted, and killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import run
import shapes
from conftest import Deploy
from local import Local, processes
from table import BY_NAME, CHECKS
from tape import RECORDED

LASTING = "create-preview-delete,skipped-rollback,late-answer-of-create,queue-with-disabled-environment"
"""Checks that make things of every kind."""


class Finished:
    """A run that has come to its end."""

    def __init__(self, local: Local, folder: Path, *options: str) -> None:
        self.local, self.report_file = local, folder / "report.md"
        done = subprocess.run(
            local.command("--report", str(self.report_file), *options),
            env=local.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.code, self.output = done.returncode, done.stdout + done.stderr

    @property
    def report(self) -> str:
        """The report."""
        return self.report_file.read_text()


@pytest.fixture(scope="module")
def finished(deploy: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of all checks that need no job, recorded."""
    folder = tmp_path_factory.mktemp("all")
    return Finished(deploy(), folder, "--fsx", "--record", str(folder / "recorded"))


def recordings(folder: Path) -> dict[str, Any]:
    """The recordings in a folder, by the names of their checks."""
    return {each.stem: json.loads(each.read_text()) for each in sorted(folder.glob("*.json"))}


def left(local: Local) -> list[str]:
    """Everything that is in an account, by kind and name. Batch lists finished jobs for days, so they do not count."""
    state = local.account.state() | {"jobs": [each for each in local.account.jobs() if each["status"] == "RUNNING"]}
    found = [f"{kind} {each.get('name') or each}" for kind, many in state.items() for each in many]
    for service, operation, member in (
        ("sns", "list_topics", "Topics"), ("sqs", "list_queues", "QueueUrls"),
        ("cloudformation", "describe_stacks", "Stacks"),
    ):  # fmt: skip
        found += [str(each) for each in getattr(local.client(service), operation)().get(member, [])]
    return [each for each in found if "'tower-forge'" not in each]


def test_the_local_aws_does_all_that_the_code_expects(finished: Finished) -> None:
    assert finished.code == 0, finished.output
    outcomes = [line.split("|")[4].strip() for line in finished.report.splitlines() if line.startswith("| `")]
    assert outcomes.count("as expected") == len(CHECKS) - 2 and outcomes.count("not asked") == 2


def test_nothing_is_left_of_a_run(finished: Finished) -> None:
    assert left(finished.local) == []


def test_a_report_has_a_line_for_each_check_and_nothing_private(finished: Finished) -> None:
    for check in CHECKS:
        assert finished.report.count(f"| `{check.name}` |") == 1
    for private in (finished.local.account.id, "X-Amz-Signature=", "http://", "LOCAL"):
        assert private not in finished.report
    for named in ("eu-west-1", "botocore", "left in the account: nothing"):
        assert named in finished.report


def test_recorded_answers_are_judged_like_fresh_ones(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = recordings(finished.report_file.parent / "recorded")
    assert set(recorded) == {each.name for each in CHECKS if each.taped and each.needs in ("", "FSX")}
    _replay(recorded, monkeypatch)


def test_the_recordings_of_real_accounts_are_judged_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    _replay(recordings(RECORDED), monkeypatch)


def test_the_recordings_that_are_kept_come_from_real_accounts() -> None:
    assert all(each["where"].startswith("AWS, ") for each in recordings(RECORDED).values())


def _replay(recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, each in recorded.items():
        monkeypatch.setenv("AWS_REGION", each["region"])
        facts, line = run.replayed(BY_NAME[name], each)
        assert facts == each["facts"], name
        assert (line.outcome, line.observed) == (each["outcome"], each["observed"]), name


def test_a_recording_holds_nothing_private(finished: Finished) -> None:
    texts = [each.read_text() for each in (finished.report_file.parent / "recorded").glob("*.json")]
    signature, secret = r"X-Amz-Signature=(?!REDACTED)", r"SecretAccessKey\": (?!.REDACTED)"
    for private in (finished.local.account.id, '"local"', signature, secret):
        assert not any(re.search(private, text) for text in texts), private


def test_the_local_aws_invents_no_member_that_a_real_account_has_not_given(finished: Finished) -> None:
    ours, real = recordings(finished.report_file.parent / "recorded"), recordings(RECORDED)
    for name, each in real.items():
        if name in ours:
            assert shapes.invented(ours[name]["answers"], each["answers"]) == [], name


def _interrupted(local: Local, by: int, folder: Path, seen: Callable[[], bool]) -> subprocess.Popen[bytes]:
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            local.command("--checks", LASTING, "--report", str(folder / "report.md")),
            env=local.environment, stdout=output, stderr=output,
        )  # fmt: skip
    processes.wait_for("the middle of the run", seen, process)
    process.send_signal(by)
    process.wait()
    return process


def _amid(local: Local) -> bool:
    """Whether forges, scratch environments, stacks and a topic exist, and something still runs."""
    names = " ".join(left(local))
    kinds = ("compute_environments TowerForge", "compute_environments tf-acceptance", "StackId", "TopicArn")
    return all(each in names for each in kinds)


def test_after_a_kill_the_next_run_removes_everything(deploy: Deploy, tmp_path: Path) -> None:
    local = deploy()
    killed = _interrupted(local, signal.SIGKILL, tmp_path, lambda: _amid(local))
    assert killed.returncode == -signal.SIGKILL
    assert left(local) != []
    second = Finished(local, tmp_path, "--checks", "response-url")
    assert second.code == 0, second.output
    assert "An earlier run has left this" in second.output
    assert left(local) == []


def test_an_interrupted_run_removes_everything_and_says_so(deploy: Deploy, tmp_path: Path) -> None:
    local = deploy()
    _interrupted(local, signal.SIGINT, tmp_path, lambda: _amid(local))
    assert left(local) == []
    assert "| not asked | interrupted |" in (tmp_path / "report.md").read_text()


def test_jobs_and_instances_are_asked_for_by_options(deploy: Deploy, tmp_path: Path) -> None:
    local = deploy()
    finished = Finished(local, tmp_path, "--jobs", "--instances", "--checks", "fargate-service-role,limit-below-use")
    assert finished.code == 0, finished.output
    assert "job RUNNABLE" in finished.report and "desiredvCpus 2" in finished.report
    assert left(local) == []


def test_an_answer_other_than_expected_is_reported(deploy: Deploy, tmp_path: Path) -> None:
    local = deploy()
    local.account.configure(same_role_revalidates=False)
    finished = Finished(local, tmp_path, "--checks", "revalidate-invalid")
    assert finished.code == 1 and left(local) == []
    assert "| different | INVALID" in finished.report
    assert BY_NAME["revalidate-invalid"].otherwise in finished.report


def test_without_consent_nothing_is_made(deploy: Deploy, tmp_path: Path) -> None:
    local = deploy()
    words = [each for each in local.command() if each != "--yes"]
    done = subprocess.run(words, env=local.environment, input="n\n", capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, left(local), list(tmp_path.iterdir())) == (1, [], [])
    assert "a few cents" in done.stdout


def test_a_wrong_command_line_names_what_is_wrong(deploy: Deploy, tmp_path: Path) -> None:
    unknown = Finished(deploy(), tmp_path, "--checks", "nonsense")
    assert unknown.code == 1 and "unknown checks: nonsense; known are create-preview-delete" in unknown.output
    record = Finished(deploy(), tmp_path, "--record")
    assert record.code == 1 and "--record needs another folder" in record.output
    missing = Finished(deploy(), tmp_path, "--stack", "nonsense")
    assert missing.code == 1 and "Stack with id nonsense does not exist" in missing.output
