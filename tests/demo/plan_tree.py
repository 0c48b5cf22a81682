"""A plan as a tree: the parts made, changed and removed, and why, as the function returns it for a `plan` event."""

from __future__ import annotations

import json
from typing import Any

from show import Tree, marked, paint, say, show_tree


def show_plan(plan: Any) -> None:
    """Prints a plan; SystemExit with the function's reason where it has none."""
    if not isinstance(plan, dict) or "steps" not in plan:
        reason = plan.get("error") or plan.get("errorMessage") if isinstance(plan, dict) else plan
        raise SystemExit(paint(f"no plan: {reason}", "red"))
    show_tree(plan_tree(plan))
    marks = [step["mark"] for step in plan["steps"]]
    counts = (f"{marks.count('+')} to create", f"{marks.count('~')} to change", f"{marks.count('-')} to delete")
    say(paint(f"  {', '.join(counts)}; nothing has been changed", "dim"))


def plan_tree(plan: dict[str, Any]) -> Tree:
    """The changes in the stack, then the parts by kind in the order of the plan, then the warnings."""
    tree = Tree(paint(f"{plan['operation']} forge {plan['forge']}", "bold"))
    if plan.get("replaces"):
        tree.add(paint(f"in the place of forge {plan['replaces']}", "yellow"))
    if properties := plan.get("properties"):
        branch = tree.add("properties")
        for each in properties:
            change = f"{_value(each['from'])} → {_value(each['to'])}"
            branch.add(marked("~", each["name"]) + f"  {change}" + paint(f"  {', '.join(each['effect'])}", "dim"))
    kinds: dict[str, Tree] = {}
    for step in plan["steps"]:
        kind = kinds.get(step["kind"]) or kinds.setdefault(step["kind"], tree.add(step["kind"]))
        part = kind.add(marked(step["mark"], step["name"]) + paint(f"  {step['why']}", "dim"))
        for change in step["changes"]:
            part.add(f"{change['field']}: {change['from']} → {change['to']}")
    for each in plan.get("settling", []):
        tree.add(paint(f"… {each['resource']}  {each['status']}", "yellow"))
    for each in plan.get("conflicts", []):
        tree.add(paint(f"! {each['resource']} belongs to {each['owner']}", "red"))
    for each in plan.get("broken", []):
        tree.add(paint(f"! {each['resource']}  {each['why']}", "red"))
    for warning in plan.get("warnings", []):
        tree.add(paint(f"! {warning}", "yellow"))
    if not tree.children:
        tree.add(paint("nothing to do", "green"))
    return tree


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else json.dumps(value)
