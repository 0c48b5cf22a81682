"""A Create as a picture: when each resource was worked on, by the function and by AWS, and the chain that took longest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape

import critical_path

Call = dict[str, Any]

LEFT, RIGHT, TOP, ROW, BAR = 190, 20, 56, 24, 12
"""Pixels: the names, the margin, the title with the key, the distance of two bars, and the height of one."""

WIDTH = 900

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .dim { fill: #57606a } .critical { font-weight: 600 } .grid { stroke: #d0d7de }
  .calls { fill: #0969da } .aws { fill: #8c959f } .unseen { fill: #d4731c }
  .chain { fill: none; stroke: #cf222e; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .dim { fill: #9198a1 } .grid { stroke: #3d444d }
    .calls { fill: #4493f8 } .aws { fill: #7d8590 } .unseen { fill: #f0883e } .chain { stroke: #f85149 }
  }
"""

SHORT = {"ec2": "launch template", "logs": "log group"}
"""The resources with a single one of their service."""

KEY = (("calls", "calls of the function"), ("aws", "AWS works"), ("unseen", "until the function sees it"))


@dataclass(frozen=True)
class Bar:
    """One resource, in AWS seconds since the first call of the function."""

    name: str
    begun: float
    called: float
    """When its last call had been answered."""
    ready: float
    """When AWS was done with it."""
    seen: float
    """When the function knew."""
    critical: bool = False


def bars(calls: list[Call], draws: critical_path.Draws, latency: critical_path.Latency) -> list[Bar]:
    """The resources of a Create, in the order in which they were begun."""
    zero = calls[0]["at"]
    writes = [call for call in calls if call["mutating"] and not call["error"] and call["service"] != "dynamodb"]
    queues = critical_path.queues_of(calls)
    took = {"iam": latency.iam, "batch": latency.batch}
    made: dict[str, Bar] = {}
    for call in writes:
        # The tag of a complete forge comes last, and no resource waits for it.
        if call["operation"] == "TagResource":
            continue
        name, at = SHORT.get(call["service"]) or call["resources"][0], call["at"] - zero
        done = at + took.get(call["service"], 0.1)
        begun = made[name].begun if name in made else at
        made[name] = Bar(name, begun, done, done, done)
    for name, bar in made.items():
        kind, look = ("jq_create", "DescribeJobQueues") if name in queues else ("ce_create", "DescribeComputeEnvironments")
        if ends := [draw["at"] + draw["seconds"] - zero for draw in draws.of(name, kind, "ce_update")]:
            # A call is noted when it arrives, and shows AWS as it is when its latency has passed.
            looks = [call["at"] - zero + latency.batch for call in calls if call["operation"] == look]
            called = draws.of(name, kind)[0]["at"] - zero
            made[name] = replace(bar, called=called, ready=max(ends), seen=min(at for at in looks if at >= max(ends)))
    for name in chain(made, queues):
        made[name] = replace(made[name], critical=True)
    return sorted(made.values(), key=lambda bar: bar.begun)


def chain(made: dict[str, Bar], queues: dict[str, list[str]]) -> list[str]:
    """The queue that was ready last, its last environment, and the resource that this one waited for."""
    queue = max(queues, key=lambda name: made[name].ready)
    environment = max(queues[queue], key=lambda name: made[name].ready)
    before = [bar for bar in made.values() if bar.called <= made[environment].begun + 0.01]
    return [queue, environment, *(bar.name for bar in [max(before, key=lambda bar: bar.called)] if before)]


def svg(found: list[Bar], answered: float) -> str:
    """The picture of a Create that was `answered` so late. Its colours follow the reader's, light or dark."""
    height = TOP + ROW * len(found) + 30
    scale = (WIDTH - LEFT - RIGHT) / answered

    def x(seconds: float) -> float:
        return round(LEFT + seconds * scale, 1)

    prefix = common_prefix([bar.name for bar in found if bar.name.startswith("TowerForge-")])
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">', f"<style>{STYLE}</style>"]
    out.append(f'<title>Where the {answered:.0f} seconds of a Create are spent</title>')
    out.append(f'<text x="10" y="20" class="critical">A Create of {answered:.0f} AWS seconds</text>')
    for number, (style, words) in enumerate(KEY):
        at = LEFT + number * 190
        out.append(f'<rect x="{at}" y="34" width="12" height="12" class="{style}"/><text x="{at + 18}" y="44">{words}</text>')
    at = LEFT + len(KEY) * 190
    out.append(f'<rect x="{at}" y="34" width="12" height="12" class="chain"/><text x="{at + 18}" y="44">critical path</text>')
    for second in range(0, int(answered) + 1, 5):
        out.append(f'<line x1="{x(second)}" x2="{x(second)}" y1="{TOP}" y2="{height - 24}" class="grid"/>')
        out.append(f'<text x="{x(second)}" y="{height - 8}" text-anchor="middle" class="dim">{second} s</text>')
    for row, bar in enumerate(found):
        y = TOP + 6 + row * ROW
        style = ' class="critical"' if bar.critical else ""
        out.append(f'<text x="10" y="{y + 10}"{style}>{escape(bar.name.removeprefix(prefix))}</text>')
        for part, begin, end in (("calls", bar.begun, bar.called), ("aws", bar.called, bar.ready), ("unseen", bar.ready, bar.seen)):
            if end > begin:
                width = round((end - begin) * scale, 1)
                out.append(f'<rect x="{x(begin)}" y="{y}" width="{width}" height="{BAR}" class="{part}"/>')
        if bar.critical:
            width = round((bar.seen - bar.begun) * scale + 4, 1)
            out.append(f'<rect x="{x(bar.begun) - 2}" y="{y - 2}" width="{width}" height="{BAR + 4}" rx="2" class="chain"/>')
    return "\n".join([*out, "</svg>", ""])


def common_prefix(names: list[str]) -> str:
    """`TowerForge-<ID>-`."""
    return "-".join(names[0].split("-")[:2]) + "-" if names else ""
