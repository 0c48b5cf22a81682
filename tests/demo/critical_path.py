"""The least time in which AWS lets a forge be made and unmade: the longest path through the graph of its parts.

Each part costs its calls and the time of AWS for it, as the local cloud drew it; parts that do not need each other
cost their maximum. No looking, no polling, no repair: the function adds those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ROLE_SUFFIX = "-ServiceRole"
PROFILE_SUFFIX = "-InstanceRole"


@dataclass(frozen=True)
class Latency:
    """The latency of one call of a service, in AWS seconds."""

    iam: float
    batch: float

    @classmethod
    def of(cls, config: dict[str, Any]) -> Latency:
        """The middle of the latencies that are set in the cloud."""

        def middle(service: str) -> float:
            value = config["latency"].get(service, 0)
            return value if isinstance(value, (int, float)) else sum(value) / 2

        return cls(middle("iam"), middle("batch"))


class Draws:
    """The durations that the cloud drew, by their names and their parts."""

    def __init__(self, draws: list[dict[str, Any]]) -> None:
        self._draws = draws

    def first(self, what: str, of: str) -> float:
        """The first `what` of a part: later ones are repairs. 0 where none was drawn."""
        return next((d["seconds"] for d in self._draws if d["name"] == what and d["of"] == of), 0.0)

    def of(self, name: str, *what: str) -> list[dict[str, Any]]:
        """All draws of these names for one part."""
        return [draw for draw in self._draws if draw["of"] == name and draw["name"] in what]

    def end(self, *what: str) -> float:
        """When the last of these was over, by the account's clock."""
        return max(draw["at"] + draw["seconds"] for draw in self._draws if draw["name"] in what)

    def ending(self, what: str, suffix: str) -> list[float]:
        """All `what` of parts with such an end of their name."""
        return [d["seconds"] for d in self._draws if d["name"] == what and d["of"].endswith(suffix)]


def queues_of(calls: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Each queue that was made, and the names of its environments."""
    return {
        call["request"]["jobQueueName"]: [
            each["computeEnvironment"].rsplit("/", 1)[-1] for each in call["request"]["computeEnvironmentOrder"]
        ]
        for call in calls
        if call["operation"] == "CreateJobQueue" and not call["error"]
    }


def create(draws: Draws, queues: dict[str, list[str]], latency: Latency) -> float:
    """Roles, profile and template side by side; each environment when they are there; each queue when its own is."""
    # A role is made and then gets its policies; a profile is made and then gets its role.
    made = 2 * latency.iam
    # Batch accepts roles that have not spread, but is not done with an environment before they have.
    spread = 0.0
    for suffix in (ROLE_SUFFIX, PROFILE_SUFFIX):
        drawn = draws.ending("iam_propagation", suffix)
        if drawn:
            spread = max(spread, latency.iam + drawn[0], made + drawn[-1])

    def environment(name: str) -> float:
        return max(made + latency.batch + draws.first("ce_create", name), spread)

    return max(
        max(environment(name) for name in environments) + latency.batch + draws.first("jq_create", queue)
        for queue, environments in queues.items()
    )


def delete(draws: Draws, queues: dict[str, list[str]], latency: Latency) -> float:
    """Queues and environments disabled at once; queues, then environments deleted; roles last."""

    def queue_gone(queue: str) -> float:
        disabled = latency.batch + draws.first("jq_disable", queue)
        return disabled + latency.batch + draws.first("jq_delete", queue)

    def environment_gone(name: str) -> float:
        users = [queue for queue, environments in queues.items() if name in environments]
        free = max((queue_gone(queue) for queue in users), default=0.0) + draws.first("association_lag", name)
        disabled = latency.batch + draws.first("ce_disable", name)
        return max(free, disabled) + latency.batch + draws.first("ce_delete", name)

    environments = {name for names in queues.values() for name in names}
    # A role is emptied and then deleted.
    return max(environment_gone(name) for name in environments) + 2 * latency.iam
