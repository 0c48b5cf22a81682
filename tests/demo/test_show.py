"""The output, without colours: output that is captured is no terminal."""

from __future__ import annotations

import json
from typing import Any

import cloudformation
import parts
import pytest
from parts import Part
from plan_tree import plan_tree, show_plan


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No colours, whatever the terminal of whoever runs this."""
    monkeypatch.setenv("NO_COLOR", "1")


ROLE = {"kind": "role", "changes": [], "after": []}
PLAN: dict[str, Any] = {
    "operation": "Update",
    "forge": "abc",
    "replaces": None,
    "properties": [{"name": "MaxCpus", "from": "500", "to": "1000", "effect": ["in place"]}],
    "steps": [
        ROLE | {"mark": "+", "action": "create", "name": "TowerForge-abc-ServiceRole", "why": "missing"},
        {
            "mark": "~",
            "action": "update",
            "kind": "job queue",
            "name": "TowerForge-abc-work",
            "why": "it differs",
            "changes": [{"field": "priority", "from": "1", "to": "10"}],
            "after": [],
        },
        ROLE | {"mark": "-", "action": "delete", "name": "TowerForge-abc-FleetRole", "why": "not wanted"},
    ],
    "settling": [],
    "conflicts": [{"resource": "role x", "owner": "another stack"}],
    "broken": [],
    "warnings": ["mind this"],
}


def test_a_plan_is_a_tree_of_marks_names_and_reasons() -> None:
    assert list(plan_tree(PLAN).lines()) == [
        "Update forge abc",
        "├─ properties",
        "│  └─ ~ MaxCpus  500 → 1000  in place",
        "├─ role",
        "│  ├─ + TowerForge-abc-ServiceRole  missing",
        "│  └─ - TowerForge-abc-FleetRole  not wanted",
        "├─ job queue",
        "│  └─ ~ TowerForge-abc-work  it differs",
        "│     └─ priority: 1 → 10",
        "├─ ! role x belongs to another stack",
        "└─ ! mind this",
    ]


def test_a_plan_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(PLAN)
    assert "1 to create, 1 to change, 1 to delete; nothing has been changed" in capsys.readouterr().out


def test_a_plan_without_steps_says_so() -> None:
    plan = {"operation": "Create", "forge": "abc", "steps": []}
    assert list(plan_tree(plan).lines()) == ["Create forge abc", "└─ nothing to do"]


def test_a_refused_plan_ends_with_the_reason() -> None:
    with pytest.raises(SystemExit, match="WorkDir is missing"):
        show_plan({"error": "WorkDir is missing"})


def test_progress_says_what_came_changed_and_went() -> None:
    queue, role = Part("job queue", "work"), Part("role", "service")
    assert list(parts.changes({}, {queue: "CREATING"})) == ["+ job queue work  CREATING"]
    assert list(parts.changes({queue: "CREATING"}, {queue: "VALID"})) == ["~ job queue work  CREATING → VALID"]
    assert list(parts.changes({role: ""}, {})) == ["- role service"]


def test_a_disabled_part_is_shown_as_such() -> None:
    state = {"job_queues": [{"name": "work", "status": "VALID", "state": "DISABLED"}]}
    assert parts.statuses(state) == {Part("job queue", "work"): "VALID, disabled"}


def test_the_response_url_keeps_its_path_and_escapes() -> None:
    url = cloudformation.ResponseUrl()
    try:
        event = url.in_event({"ResponseURL": "http://127.0.0.1:9010/a%2Fb%7Cc?d=%2B"})
    finally:
        url.close()
    assert event["ResponseURL"].endswith("/a%2Fb%7Cc?d=%2B")
    assert ":9010" not in event["ResponseURL"]


def test_account_and_region_come_from_the_stack() -> None:
    stack = "arn:aws:cloudformation:eu-north-1:000000000042:stack/genomics/1"
    assert cloudformation.account_and_region({"StackId": stack}) == ("000000000042", "eu-north-1")
    assert cloudformation.account_and_region(["Create"]) == ("123456789012", "eu-west-1")


def test_only_an_event_with_a_response_url_wants_an_answer() -> None:
    assert cloudformation.is_request({"ResponseURL": "http://127.0.0.1/"})
    assert not cloudformation.is_request(json.loads('{"sweep": true}'))
    assert not cloudformation.is_request(["Create"])
