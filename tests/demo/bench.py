"""`make bench`: how long a forge takes against the least that AWS allows, its calls, and the binary's figures."""

from __future__ import annotations

import collections
import concurrent.futures
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import binary as shipped
import cloudformation
import critical_path
import limits
import picture
import processes
from control import Account
from runtime import Function
from show import heading, say, table

SCALE = 0.5
"""Real seconds per AWS second: the function's own need, in real time, counts double."""

REST = 60
"""AWS seconds between two requests of a life."""

RUNS = 30
"""Lives without IAM lag, and as many Creates with it."""

AT_ONCE = 10
"""Lives side by side, each in its own account: nearly all of a life is waiting."""

STAGGER = 2
"""Real seconds between their beginnings: else all of them would ask the local cloud at once, and measure each other."""

CROWD = 25
"""Forges that are created at the same moment in one account."""

NO_LAG = {"iam_propagation": 0}

DOCS = processes.ROOT / "docs"

PERFORMANCE = """# Performance

`make bench` writes this page. It plays {runs} lives of `events/create-spot.json` on the local AWS, with AWS's durations and
latencies at twice their speed, {runs} more Creates while IAM lags, and 25 at once in one account; here on {cores} cores. The
stacks name no `ForgeId`: one that does needs three more calls for each operation, to claim and release the forge. A time is
compared with the critical path: the least time that AWS needs for the same resources, without any call that only observes.

{table}
Where IAM lags, an environment may be INVALID at first, because its role has not spread; AWS takes 5 to 20 seconds to check
it again. Waiting longer before an environment is created would avoid that, but delay every Create: on average it would save nothing.

The Create with the median ratio:

![Each resource of a Create, and when the function and AWS worked on it](create.svg)
"""

WAYS = ("Create", "Update", "Delete")
"""The requests of a life; its Update changes nothing."""


@dataclass
class Run:
    """The life of a forge in an account of its own; `least` has no Update, which waits for nothing."""

    seconds: dict[str, float]
    least: dict[str, float]
    calls: dict[str, list[dict[str, Any]]]
    draws: critical_path.Draws
    memory: float | None
    latency: critical_path.Latency


def bench(binary: Path, dead_letter: Path) -> None:
    """Measures everything and prints it. No figure makes it fail: a busy machine is no fault."""
    cloud, url = processes.start_cloud()
    try:
        runs = side_by_side(RUNS, lambda index: run_once(binary, Account(url, f"{index + 1:012d}"), durations=NO_LAG))
        lagging = side_by_side(RUNS, lambda index: run_once(binary, Account(url, f"{index + 1001:012d}"), ways=("Create",)))
        crowd = create_a_crowd(binary, Account(url, "000000002001"))
    finally:
        processes.stop(cloud)

    heading(f"Time of events/create-spot.json and its Delete, in AWS seconds  ({RUNS} runs at 1:{1 / SCALE:.0f})")
    rows: list[tuple[Any, ...]] = []
    for name, way, these in (("Create", "Create", runs), ("Create, IAM lags", "Create", lagging), ("Delete", "Delete", runs)):
        rows += [
            (f"{name} {number}", round(run.seconds[way], 1), round(run.least[way], 1), f"{ratio(run, way):.2f}")
            for number, run in enumerate(these, 1)
        ]
        ratios = [ratio(run, way) for run in these]
        low, middle, high = (f"{value:.2f}" for value in (min(ratios), statistics.median(ratios), max(ratios)))
        rows.append((f"{name}, least, median, most", low, middle, high))
    table(rows, ("", "it took", "critical path", "ratio"))

    heading("Where the time of a Create goes, in AWS seconds")
    names = tuple(milestones(runs[0]))
    table(
        [(f"Create {number}", *milestones(run).values(), repairs(run)) for number, run in enumerate(runs + lagging, 1)],
        ("", *names, "repairs"),
    )

    heading("AWS calls of one run")
    counts = {way: collections.Counter(operation(call) for call in runs[0].calls[way]) for way in WAYS}
    names = sorted(set().union(*counts.values()))
    rows = [(name, *(counts[way][name] for way in WAYS)) for name in names]
    table([*rows, ("altogether", *(counts[way].total() for way in WAYS))], ("", *WAYS))

    alone = statistics.median(run.seconds["Create"] for run in lagging)
    figures = times_and_calls(runs, lagging) | crowd.figures(alone) | shipped.report(binary, dead_letter) | memory_of(runs)
    limits.report(figures)
    (DOCS / "performance.md").write_text(PERFORMANCE.format(runs=RUNS, cores=os.cpu_count(), table=limits.markdown(figures)))
    (DOCS / "create.svg").write_text(picture_of(sorted(runs, key=lambda run: ratio(run, "Create"))[RUNS // 2]))
    say(f"  written: {DOCS.name}/performance.md and {DOCS.name}/create.svg")


def picture_of(run: Run) -> str:
    """Where the time of a Create is spent."""
    return picture.svg(picture.bars(run.calls["Create"], run.draws, run.latency), run.seconds["Create"])


def side_by_side(count: int, run: Callable[[int], Run]) -> list[Run]:
    """Some runs at a time, which do not begin at the same moment."""

    def after_a_while(index: int) -> Run:
        time.sleep(index % AT_ONCE * STAGGER)
        return run(index)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(after_a_while, range(count)))


def run_once(
    binary: Path,
    account: Account,
    scale: float = SCALE,
    ways: tuple[str, ...] = WAYS,
    durations: dict[str, Any] | None = None,
) -> Run:
    """Plays requests in one account, at so many seconds per AWS second."""
    event, region = event_for(account)
    account.configure(scale=scale, latency="realistic", durations=durations or {})
    latency = critical_path.Latency.of(account.config())
    seconds, calls, answer_url = {}, {}, cloudformation.ResponseUrl()
    try:
        with Function(binary, processes.local_environment(account, region, scale)) as function:
            for way in ways:
                if way != "Create":
                    # A forge at rest: reads show all that was done before.
                    time.sleep(REST * scale)
                    event |= {"OldResourceProperties": event["ResourceProperties"]}
                before = len(account.calls())
                account.set_stack(event, cloudformation.IN_PROGRESS[way])
                request = event | {"RequestType": way, "RequestId": f"{account.id}-{way}"}
                _, real = function.invoke(answer_url.in_event(request))
                seconds[way] = real / scale
                calls[way] = account.calls()[before:]
                answers = [json.loads(answer) for answer in answer_url.answers()]
                if [answer["Status"] for answer in answers] != ["SUCCESS"]:
                    raise SystemExit(f"{way}: {answers}\n{function.log()}")
                event |= {"PhysicalResourceId": answers[0]["PhysicalResourceId"]}
            memory = function.peak_memory()
    finally:
        answer_url.close()
    draws = critical_path.Draws(account.draws())
    queues = critical_path.queues_of(calls["Create"])
    least = {"Create": critical_path.create(draws, queues, latency)}
    if "Delete" in ways:
        least["Delete"] = critical_path.delete(draws, queues, latency)
    return Run(seconds, least, calls, draws, memory, latency)


def event_for(account: Account) -> tuple[dict[str, Any], str]:
    """The sample event, as if it came from this account and named no forge, as most stacks; and its region."""
    event = cloudformation.load_event(processes.ROOT / "events" / "create-spot.json")
    del event["ResourceProperties"]["ForgeId"]
    theirs, region = cloudformation.account_and_region(event)
    return json.loads(json.dumps(event).replace(theirs, account.id)), region


@dataclass
class Crowd:
    """Many Creates at once in one account."""

    seconds: list[float]
    batch_calls: list[dict[str, Any]]

    def figures(self, alone: float) -> dict[limits.Limit, float]:
        """The figures that have a limit; `alone` is the time of one Create, in AWS seconds."""
        lasted = self.batch_calls[-1]["at"] - self.batch_calls[0]["at"]
        return {
            limits.CROWD_RATE: len(self.batch_calls) / lasted,
            limits.CROWD_TIME: statistics.median(self.seconds) / alone,
        }


def create_a_crowd(binary: Path, account: Account) -> Crowd:
    """Creates many forges at the same moment; SystemExit if one of them fails."""
    event, region = event_for(account)
    account.configure(scale=SCALE, latency="realistic")

    def create(number: int) -> float:
        url = cloudformation.ResponseUrl()
        request = event | {"LogicalResourceId": f"Forge{number}", "RequestId": f"crowd-{number}"}
        request |= {"StackId": event["StackId"] + str(number)}
        account.set_stack(request, cloudformation.IN_PROGRESS["Create"])
        try:
            with Function(binary, processes.local_environment(account, region, SCALE)) as function:
                _, real = function.invoke(url.in_event(request))
                answers = [json.loads(answer) for answer in url.answers()]
                if [answer["Status"] for answer in answers] != ["SUCCESS"]:
                    raise SystemExit(f"one of {CROWD} Creates: {answers}\n{function.log()}")
        finally:
            url.close()
        return real / SCALE

    with concurrent.futures.ThreadPoolExecutor(CROWD) as pool:
        seconds = list(pool.map(create, range(CROWD)))
    return Crowd(seconds, [call for call in account.calls() if call["service"] == "batch"])


def times_and_calls(runs: list[Run], lagging: list[Run]) -> dict[limits.Limit, float]:
    """The figures of single lives that have a limit. Calls are medians, because polls depend on what AWS needs."""

    def calls(way: str, service: str = "") -> float:
        return statistics.median(sum(service in call["service"] for call in run.calls[way]) for run in runs)

    return {
        limits.CREATE: statistics.median(ratio(run, "Create") for run in runs),
        limits.CREATE_WITH_LAG: statistics.quantiles((ratio(run, "Create") for run in lagging), n=20, method="inclusive")[-1],
        limits.DELETE: statistics.median(ratio(run, "Delete") for run in runs),
        limits.CREATE_CALLS: calls("Create"),
        limits.CREATE_BATCH: calls("Create", "batch"),
        limits.DELETE_CALLS: calls("Delete"),
        limits.DELETE_BATCH: calls("Delete", "batch"),
        limits.UPDATE_CALLS: calls("Update"),
    }


def memory_of(runs: list[Run]) -> dict[limits.Limit, float]:
    """The most memory that a whole life needed, where the system tells."""
    known = [run.memory for run in runs if run.memory is not None]
    return {limits.MEMORY: max(known)} if known else {}


def milestones(run: Run) -> dict[str, float]:
    """When things had happened, counted from the first call: the time between them is waiting for AWS, or our own."""
    calls, started = run.calls["Create"], run.calls["Create"][0]["at"]

    def last(name: str) -> float:
        return max(call["at"] for call in calls if call["operation"] == name and not call["error"]) - started

    return {
        "first write": round(min(call["at"] for call in calls if call["mutating"]) - started, 1),
        "environments made": round(last("CreateComputeEnvironment"), 1),
        "valid": round(run.draws.end("ce_create", "ce_update") - started, 1),
        "queues made": round(last("CreateJobQueue"), 1),
        "valid ": round(run.draws.end("jq_create") - started, 1),
        "answered": round(run.seconds["Create"], 1),
    }


def repairs(run: Run) -> int:
    """How often an environment was INVALID because a role had not spread, and was mended."""
    return sum(1 for call in run.calls["Create"] if call["operation"] == "UpdateComputeEnvironment")


def operation(call: dict[str, Any]) -> str:
    """`batch:DescribeJobQueues`, as IAM writes it."""
    return f"{call['service']}:{call['operation']}"


def ratio(run: Run, way: str) -> float:
    """How many times the critical path it took."""
    return run.seconds[way] / run.least[way]
