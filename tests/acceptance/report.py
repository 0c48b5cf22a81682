"""The report of a run as Markdown, fit for an issue: no account number, no URL for responses, no secret."""

from __future__ import annotations

from dataclasses import dataclass, field

from tape import Redactor


@dataclass
class Line:
    """The outcome of one check."""

    name: str
    asks: str
    expected: str
    outcome: str
    """`as expected`, `different`, `failed` or `not asked`."""
    observed: str
    meaning: str
    seconds: float = 0.0


@dataclass
class Report:
    """All of a run."""

    header: dict[str, str]
    lines: list[Line] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The text."""
        redact = Redactor().text
        out = ["# Acceptance of Tower Forge on AWS", ""]
        out += [f"- {name}: {value}" for name, value in self.header.items()]
        counts = {each: sum(line.outcome == each for line in self.lines) for each in OUTCOMES}
        out += [f"- checks: {', '.join(f'{number} {each}' for each, number in counts.items() if number)}"]
        out += [f"- left in the account: {', '.join(self.left) or 'nothing'}", ""]
        out += ["| check | question | expected | outcome | observed | meaning for the code | seconds |"]
        out += ["|---|---|---|---|---|---|---|"]
        for line in self.lines:
            cells = [f"`{line.name}`", line.asks, line.expected, line.outcome, line.observed, line.meaning]
            out.append("| " + " | ".join(_cell(each) for each in [*cells, f"{line.seconds:.0f}"]) + " |")
        return redact("\n".join(out)) + "\n"

    @property
    def good(self) -> bool:
        """Whether AWS did what the code expects, wherever it was asked, and nothing is left."""
        return not self.left and all(line.outcome in ("as expected", "not asked") for line in self.lines)


OUTCOMES = ("as expected", "different", "failed", "not asked")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
