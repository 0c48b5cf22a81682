"""How things look at a terminal: colours, marks and trees. Plain text where the output is no terminal."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Iterator

COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
MARKS = {"+": "green", "~": "yellow", "-": "red", "=": "dim"}


def _coloured() -> bool:
    if "NO_COLOR" in os.environ:
        return False
    return sys.stdout.isatty() or os.environ.get("CLICOLOR_FORCE", "0") != "0"


def paint(text: str, colour: str) -> str:
    """The text in a colour, if the output can show one (NO_COLOR and CLICOLOR_FORCE are honoured)."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if _coloured() else text


def say(text: str = "") -> None:
    """One line, at once: the reader often waits for it."""
    print(text, flush=True)


def heading(text: str) -> None:
    """The title of the next thing that is shown."""
    say()
    say(paint(f"── {text} ", "bold") + paint("─" * max(0, 100 - len(text)), "dim"))


def marked(mark: str, text: str) -> str:
    """A text behind its coloured + ~ - or = mark."""
    return paint(f"{mark} {text}", MARKS.get(mark, "bold"))


@dataclass
class Tree:
    """A line with lines under it."""

    text: str
    children: list[Tree] = field(default_factory=list)

    def add(self, text: str) -> Tree:
        """Hangs a line under this one and returns it."""
        child = Tree(text)
        self.children.append(child)
        return child

    def lines(self) -> Iterator[str]:
        """The tree, drawn."""
        yield self.text
        for index, child in enumerate(self.children):
            last = index == len(self.children) - 1
            for row, line in enumerate(child.lines()):
                elbow = ("└─ " if last else "├─ ") if row == 0 else ("   " if last else "│  ")
                yield paint(elbow, "dim") + line


def show_tree(tree: Tree) -> None:
    """Prints a tree."""
    for line in tree.lines():
        say(f"  {line}")


def show_answer(body: bytes) -> None:
    """The answer to CloudFormation, as it travelled, with the Nextflow configuration set out as text."""
    answer = json.loads(body)
    status = answer.get("Status")
    data = answer.get("Data") or {}
    config = data.get("NextflowConfig")
    if config:
        answer = answer | {"Data": data | {"NextflowConfig": "… (below)"}}
    for line in json.dumps(answer, indent=2, ensure_ascii=False).splitlines():
        colour = "green" if status == "SUCCESS" else "red"
        say("  " + (paint(line, colour) if '"Status"' in line or '"Reason"' in line else line))
    say(paint(f"  {len(body)} of 4096 bytes", "dim"))
    if config:
        say()
        say(paint("  !GetAtt Genomics.NextflowConfig", "cyan"))
        for line in str(config).rstrip().splitlines():
            say(f"    {line}")


def plural(count: int, noun: str) -> str:
    """`1 role`, `2 roles`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(rows: list[tuple[Any, ...]], header: tuple[str, ...]) -> None:
    """Columns as wide as they need to be; numbers to the right."""
    texts = [tuple(str(cell) for cell in row) for row in (header, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    for index, row in enumerate(texts):
        if not any(row):
            continue
        cells = []
        for column, cell in enumerate(row):
            number = index and not isinstance(rows[index - 1][column], str)
            cells.append(cell.rjust(widths[column]) if number else cell.ljust(widths[column]))
        line = "  " + "  ".join(cells).rstrip()
        say(paint(line, "dim") if index == 0 else line)
