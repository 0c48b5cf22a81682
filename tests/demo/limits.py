"""The limits of this project in time, calls and size. Commands print the figures beside them; none fails by them, because
a busy machine is no fault. CONTRIBUTING.md shows them all."""

from __future__ import annotations

from dataclasses import dataclass

from show import heading, paint, table


@dataclass(frozen=True)
class Limit:
    """The most that a figure should be."""

    name: str
    most: float
    unit: str
    command: str
    """The command that measures it."""

    def text(self, value: float) -> str:
        """A value with this figure's unit."""
        number = f"{value:.2f}" if self.unit == "×" else f"{value:.1f}".removesuffix(".0")
        return f"{number} {self.unit}"


BENCH = "make bench"
SHIPPED = "make shipped"
CI = ".ci/run"

CREATE = Limit("Create against its critical path, median", 1.15, "×", BENCH)
CREATE_WITH_LAG = Limit("the same where IAM lags, 95th percentile", 1.40, "×", BENCH)
DELETE = Limit("Delete against its critical path, median", 1.06, "×", BENCH)
CREATE_CALLS = Limit("calls of a Create", 62, "calls", BENCH)
CREATE_BATCH = Limit("calls of a Create to Batch", 20, "calls", BENCH)
DELETE_CALLS = Limit("calls of a Delete", 84, "calls", BENCH)
DELETE_BATCH = Limit("calls of a Delete to Batch", 32, "calls", BENCH)
UPDATE_CALLS = Limit("calls of an Update that changes nothing", 26, "calls", BENCH)
CROWD_RATE = Limit("25 Creates at once: calls to Batch", 15, "calls/s", BENCH)
CROWD_TIME = Limit("25 Creates at once: median time against one alone", 1.5, "×", BENCH)
ZIP = Limit("zip of the function", 5.0, "MB", SHIPPED)
DEAD_LETTER_ZIP = Limit("zip of the dead letter", 2.2, "MB", SHIPPED)
START = Limit("start to the first request", 10, "ms", SHIPPED)
MEMORY = Limit("peak memory after a Create and a Delete", 24, "MB resident", SHIPPED)
TEST = Limit("make test on a fresh clone", 12, "min", CI)
CHECKS = Limit("all of .ci/run on a fresh clone", 35, "min", CI)

ALL = (
    *(CREATE, CREATE_WITH_LAG, DELETE, CREATE_CALLS, CREATE_BATCH, DELETE_CALLS, DELETE_BATCH, UPDATE_CALLS),
    *(CROWD_RATE, CROWD_TIME, ZIP, DEAD_LETTER_ZIP, START, MEMORY, TEST, CHECKS),
)


def report(figures: dict[Limit, float]) -> None:
    """Prints figures beside their limits."""
    heading("Where the limits stand")
    rows = []
    for limit, value in figures.items():
        excess = value / limit.most - 1
        verdict = paint("holds", "green") if excess <= 0 else paint(f"{excess:.0%} over", "yellow")
        rows.append((limit.name, limit.text(value), limit.text(limit.most), verdict))
    table(rows, ("", "measured", "limit", ""))


def markdown(figures: dict[Limit, float] | None = None) -> str:
    """All limits as a table; with figures, only those that were measured."""
    head, rule = "| | At most | Measured by |", "|---|---|---|"
    if figures is None:
        return "\n".join([head, rule, *(f"| {each.name} | {each.text(each.most)} | `{each.command}` |" for each in ALL), ""])
    rows = [f"| {each.name} | {each.text(value)} | {each.text(each.most)} |" for each, value in figures.items()]
    return "\n".join(["| | Measured | Limit |", rule, *rows, ""])
