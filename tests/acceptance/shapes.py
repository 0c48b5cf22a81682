"""The form of answers: which members an operation gives, and of which type. Recorded answers hold ours against it."""

from __future__ import annotations

from typing import Any

Answers = list[dict[str, Any]]
Shape = dict[str, set[str]]


def of(answers: Answers) -> dict[str, Shape]:
    """By operation: each member's path in its good answers, with the JSON types that it has there."""
    found: dict[str, Shape] = {}
    for each in answers:
        if each["status"] < 300:
            _add(found.setdefault(f"{each['service']} {each['operation']}", {}), "", each["answer"])
    return found


def invented(ours: Answers, aws: Answers) -> list[str]:
    """The members that only our answers have, or have with another type, in operations of which both have answers."""
    real = of(aws)
    return [
        f"{operation}: {path} ({', '.join(sorted(types - real[operation].get(path, set())))})"
        for operation, shape in of(ours).items()
        if operation in real
        for path, types in shape.items()
        if not types <= real[operation].get(path, set())
    ]


def _add(shape: Shape, path: str, value: Any) -> None:
    if path:
        shape.setdefault(path, set()).add(type(value).__name__)
    if isinstance(value, dict):
        for key, each in value.items():
            # Tags are data, not members.
            if not path.endswith("tags"):
                _add(shape, f"{path}.{key}".lstrip("."), each)
    if isinstance(value, list):
        for each in value:
            _add(shape, f"{path}[]", each)
