"""A forge as the local cloud's state shows it: its parts, how they change, and how they hang together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator

from show import Tree, marked, paint

KINDS = {
    "roles": "role",
    "instance_profiles": "instance profile",
    "launch_templates": "launch template",
    "compute_environments": "compute environment",
    "job_queues": "job queue",
    "efs": "EFS file system",
    "fsx": "FSx file system",
    "log_groups": "log group",
}
"""The kinds in the state, in the order in which a forge is made, and the word for one of each."""


@dataclass(frozen=True, order=True)
class Part:
    """One AWS resource, by kind and name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def statuses(state: dict[str, Any]) -> dict[Part, str]:
    """Each part that exists, and its status in AWS; empty for those kinds that have no status."""
    return {
        Part(noun, each.get("name") or each["id"]): _status(each)
        for kind, noun in KINDS.items()
        for each in state.get(kind, [])
    }


def _status(each: dict[str, Any]) -> str:
    words = [each[key] for key in ("status", "lifecycle") if each.get(key)]
    if each.get("state") == "DISABLED":
        words.append("disabled")
    return ", ".join(words)


def changes(before: dict[Part, str], after: dict[Part, str]) -> Iterator[str]:
    """One line for each part that came, changed its status, or went."""
    for part, status in after.items():
        if part not in before:
            yield marked("+", str(part)) + (f"  {status}" if status else "")
        elif before[part] != status:
            settled = "green" if status.startswith(("VALID", "AVAILABLE", "available")) else "yellow"
            yield marked("~", str(part)) + f"  {before[part]} → {paint(status, settled)}"
    for part in before:
        if part not in after:
            yield marked("-", str(part))


def forge_tree(title: str, state: dict[str, Any]) -> Tree:
    """The queues with the environments that they fill, then the resources that these share."""
    tree = Tree(paint(title, "bold"))
    environments = {each["arn"]: each for each in state["compute_environments"]}
    for queue in state["job_queues"]:
        branch = tree.add(f"job queue {paint(queue['name'], 'cyan')}  {_status(queue)}, priority {queue['priority']}")
        for arn in queue["order"]:
            if environment := environments.pop(arn, None):
                _add_environment(branch, environment)
    for environment in environments.values():
        _add_environment(tree, environment)
    for template in state["launch_templates"]:
        tree.add(f"launch template {paint(template['name'], 'cyan')}  {template['id']}")
    for profile in state["instance_profiles"]:
        tree.add(f"instance profile {paint(profile['name'], 'cyan')}  {', '.join(profile['roles'])}")
    for role in state["roles"]:
        branch = tree.add(f"role {paint(role['name'], 'cyan')}")
        for policy in role["managed"]:
            branch.add(policy.rsplit("/", 1)[-1] + paint("  managed", "dim"))
        for policy in role["inline"]:
            branch.add(policy + paint("  inline", "dim"))
    for kind in ("efs", "fsx", "log_groups"):
        for each in state[kind]:
            tree.add(f"{KINDS[kind]} {paint(each.get('name') or each['id'], 'cyan')}  {_status(each)}".rstrip())
    return tree


def _add_environment(branch: Tree, environment: dict[str, Any]) -> None:
    resources = environment.get("compute_resources") or {}
    vcpus = f"{resources.get('minvCpus', 0)}–{resources.get('maxvCpus', '?')} vCPUs"
    status = _status(environment)
    name = paint(environment["name"], "cyan")
    branch.add(f"compute environment {name}  {status}, {resources.get('type', '?')}, {vcpus}")
