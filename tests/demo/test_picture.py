"""The picture of a Create."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import critical_path
import picture

LATENCY = critical_path.Latency(iam=0.2, batch=0.1)


def call(at: float, service: str, operation: str, name: str = "", **more: Any) -> dict[str, Any]:
    """One entry of the call log."""
    mutating = not operation.startswith("Describe")
    entry = {"at": at, "service": service, "operation": operation, "mutating": mutating, "error": None}
    return entry | {"resources": [f"TowerForge-Lab-{name}"], "request": more}


def draw(at: float, name: str, of: str, seconds: float) -> dict[str, Any]:
    """One duration that the cloud drew."""
    return {"at": at, "name": name, "of": f"TowerForge-Lab-{of}", "seconds": seconds}


def queue(at: float, name: str) -> dict[str, Any]:
    """The creation of a queue over the environment of that name."""
    order = [{"computeEnvironment": f"arn:aws:batch:::compute-environment/TowerForge-Lab-{name}-1"}]
    return call(at, "batch", "CreateJobQueue", name, jobQueueName=f"TowerForge-Lab-{name}", computeEnvironmentOrder=order)


CALLS = [
    call(100, "dynamodb", "UpdateItem"),
    call(101, "iam", "CreateRole", "ServiceRole"),
    call(101, "iam", "CreateRole", "InstanceRole"),
    call(102, "iam", "CreateInstanceProfile", "InstanceRole"),
    call(103, "batch", "CreateComputeEnvironment", "work-1"),
    call(103, "batch", "CreateComputeEnvironment", "head-1"),
    call(112, "batch", "DescribeComputeEnvironments"),
    queue(112, "head"),
    call(125, "batch", "DescribeComputeEnvironments"),
    queue(125, "work"),
    # It shows the queue as it is 0.1 s later.
    call(129.05, "batch", "DescribeJobQueues"),
    call(130, "batch", "TagResource", "work"),
]
DRAWS = critical_path.Draws(
    [
        draw(103.1, "ce_create", "work-1", 20),
        draw(103.1, "ce_create", "head-1", 8),
        draw(112.1, "jq_create", "head", 15),
        draw(125.1, "jq_create", "work", 4),
    ]
)


def test_each_resource_has_its_time_and_the_longest_chain_is_marked() -> None:
    bars = {bar.name.removeprefix("TowerForge-Lab-"): bar for bar in picture.bars(CALLS, DRAWS, LATENCY)}
    assert list(bars) == ["ServiceRole", "InstanceRole", "work-1", "head-1", "head", "work"]
    assert [name for name, bar in bars.items() if bar.critical] == ["InstanceRole", "work-1", "work"]
    work = bars["work-1"]
    assert [round(at, 1) for at in (work.begun, work.called, work.ready, work.seen)] == [3, 3.1, 23.1, 25.1]


def test_all_is_drawn_within_the_picture() -> None:
    bars = picture.bars(CALLS, DRAWS, LATENCY)
    root = ElementTree.fromstring(picture.svg(bars, 30.5))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"ServiceRole", "work-1", "head"} <= set(texts)
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x and x + w <= width and 0 <= y and y + h <= height, rect.attrib
    colours = root.find("{http://www.w3.org/2000/svg}style")
    assert colours is not None and colours.text and "prefers-color-scheme: dark" in colours.text
