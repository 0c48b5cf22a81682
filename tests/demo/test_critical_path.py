"""The critical path, worked out by hand on graphs small enough for that."""

from __future__ import annotations

import critical_path
from critical_path import Draws, Latency

FREE = Latency(iam=0, batch=0)
SPOT = {"work": ["work-1"], "head": ["head-1"]}


def drawn(*draws: tuple[str, str, float]) -> Draws:
    """Draws from (what, of, seconds)."""
    return Draws([{"name": name, "of": of, "seconds": seconds} for name, of, seconds in draws])


CREATE = (("ce_create", "work-1", 10), ("ce_create", "head-1", 4), ("jq_create", "work", 1), ("jq_create", "head", 8))


def test_each_queue_waits_for_its_own_environment_only() -> None:
    assert critical_path.create(drawn(*CREATE), SPOT, FREE) == 12


def test_a_queue_on_both_environments_waits_for_the_slower() -> None:
    queues = {"work": ["work-1"], "head": ["work-1", "head-1"]}
    assert critical_path.create(drawn(*CREATE), queues, FREE) == 18


def test_roles_cost_their_calls_and_environments_and_queues_one_each() -> None:
    assert critical_path.create(drawn(*CREATE), SPOT, Latency(iam=0.2, batch=0.1)) == 12 + 2 * 0.2 + 2 * 0.1


def test_an_environment_is_not_valid_before_its_role_has_spread() -> None:
    slow = ("iam_propagation", "TowerForge-x-ServiceRole", 30)
    assert critical_path.create(drawn(*CREATE, slow), SPOT, FREE) == 30 + 8


def test_what_batch_does_not_need_is_not_waited_for() -> None:
    slow = ("iam_propagation", "TowerForge-x-ExecutionRole", 30)
    assert critical_path.create(drawn(*CREATE, slow), SPOT, FREE) == 12


def test_a_repair_is_not_on_the_critical_path() -> None:
    assert critical_path.create(drawn(*CREATE, ("ce_update", "work-1", 15)), SPOT, FREE) == 12


DELETE = (
    ("jq_disable", "work", 3), ("jq_delete", "work", 4), ("ce_disable", "work-1", 20), ("ce_delete", "work-1", 10),
    ("jq_disable", "head", 9), ("jq_delete", "head", 9), ("ce_disable", "head-1", 1), ("ce_delete", "head-1", 10),
)  # fmt: skip


def test_an_environment_goes_when_it_is_disabled_and_its_queue_is_gone() -> None:
    assert critical_path.delete(drawn(*DELETE), SPOT, FREE) == 30


def test_an_association_that_lags_is_waited_for() -> None:
    assert critical_path.delete(drawn(*DELETE, ("association_lag", "head-1", 7)), SPOT, FREE) == 18 + 7 + 10


def test_only_queues_that_were_made_count() -> None:
    calls = [
        {"operation": "CreateJobQueue", "error": "ClientException", "request": {}},
        {
            "operation": "CreateJobQueue",
            "error": None,
            "request": {
                "jobQueueName": "work",
                "computeEnvironmentOrder": [{"computeEnvironment": "arn:aws:batch:r:1:compute-environment/work-1"}],
            },
        },
    ]
    assert critical_path.queues_of(calls) == {"work": ["work-1"]}
