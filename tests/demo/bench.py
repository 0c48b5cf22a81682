"""`make bench`: how long a forge takes against the least that AWS allows, its calls, and the binary's figures."""

from __future__ import annotations

import collections
import concurrent.futures
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import binary as shipped
import cloudformation
import critical_path
import processes
from control import Account
from runtime import Function
from show import heading, say, table

SCALE = 0.5
"""Real seconds per AWS second: the function's own need, in real time, counts double."""

REST = 60
"""AWS seconds between the Create and the Delete."""

RUNS = 5

STAGGER = 2
"""Real seconds between the beginnings of two runs."""

WAYS = ("Create", "Delete")


@dataclass
class Run:
    """A forge made and unmade in an account of its own."""

    seconds: dict[str, float]
    least: dict[str, float]
    calls: dict[str, list[dict[str, Any]]]
    draws: critical_path.Draws
    memory: float | None


def bench(binary: Path) -> None:
    """Measures everything and prints it. No figure makes it fail: a busy machine is no fault."""
    cloud, url = processes.start_cloud()
    try:
        with concurrent.futures.ThreadPoolExecutor(RUNS) as pool:
            runs = list(pool.map(lambda index: run_after(index * STAGGER, binary, url, f"{index + 1:012d}"), range(RUNS)))
    finally:
        processes.stop(cloud)

    heading(f"Time of events/create-spot.json and its Delete, in AWS seconds  ({RUNS} runs at 1:{1 / SCALE:.0f})")
    rows: list[tuple[Any, ...]] = []
    for way in WAYS:
        for number, run in enumerate(runs, 1):
            rows.append((f"{way} {number}", round(run.seconds[way], 1), round(run.least[way], 1), f"{ratio(run, way):.2f}"))
        seconds, least, ratios = (statistics.median(values) for values in figures(runs, way))
        rows.append((f"{way}, median", round(seconds, 1), round(least, 1), f"{ratios:.2f}"))
    table(rows, ("", "it took", "critical path", "ratio"))

    heading("Where the time of a Create goes, in AWS seconds")
    names = tuple(milestones(runs[0]))
    table(
        [(f"Create {number}", *milestones(run).values(), repairs(run)) for number, run in enumerate(runs, 1)],
        ("", *names, "repairs"),
    )

    heading("AWS calls of one run")
    counts = {way: collections.Counter(operation(call) for call in runs[0].calls[way]) for way in WAYS}
    names = sorted(set(counts["Create"]) | set(counts["Delete"]))
    rows = [(name, *(counts[way][name] for way in WAYS)) for name in names]
    table([*rows, ("altogether", *(counts[way].total() for way in WAYS))], ("", *WAYS))

    shipped.report(binary)
    say(f"  peak memory after a Create and a Delete: {shipped.median([run.memory for run in runs], 'MB')}")


def run_after(seconds: float, binary: Path, url: str, account_id: str) -> Run:
    """Runs beside others, each in its own account: nearly all of it is waiting. They do not begin at the same moment, when
    all of them would ask the local cloud for everything, and measure each other."""
    time.sleep(seconds)
    return run_once(binary, Account(url, account_id))


def run_once(binary: Path, account: Account, scale: float = SCALE) -> Run:
    """Creates and deletes a forge in one account, at so many seconds per AWS second."""
    event = cloudformation.load_event(processes.ROOT / "events" / "create-spot.json")
    theirs, region = cloudformation.account_and_region(event)
    event = json.loads(json.dumps(event).replace(theirs, account.id))
    account.configure(scale=scale, latency="realistic")
    latency = critical_path.Latency.of(account.config())
    seconds, calls, answer_url = {}, {}, cloudformation.ResponseUrl()
    try:
        with Function(binary, processes.local_environment(account, region, scale)) as function:
            for way in WAYS:
                if way == "Delete":
                    # A forge at rest: reads show all that its Create has done.
                    time.sleep(REST * scale)
                before = len(account.calls())
                account.set_stack(event, cloudformation.IN_PROGRESS[way])
                _, real = function.invoke(answer_url.in_event(event | {"RequestType": way}))
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
    least = {
        "Create": critical_path.create(draws, queues, latency),
        "Delete": critical_path.delete(draws, queues, latency),
    }
    return Run(seconds, least, calls, draws, memory)


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


def figures(runs: list[Run], way: str) -> tuple[list[float], list[float], list[float]]:
    """Times, critical paths and ratios of all runs."""
    return (
        [run.seconds[way] for run in runs],
        [run.least[way] for run in runs],
        [ratio(run, way) for run in runs],
    )
