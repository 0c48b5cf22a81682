"""The common part of Batch's calls: callers and requests, pages, quotas, reads that lag."""

from __future__ import annotations

import json
from typing import Any

import batch_rules as rules
import batch_world
from batch_world import Shape, Thing, World
from moto.batch.responses import BatchResponse

PAGE = 100


def world_of(response: BatchResponse) -> World:
    """Batch in the caller's account and region, settled up to now."""
    return batch_world.of(response.current_account, response.region)


def request_of(response: BatchResponse) -> Shape:
    """The members of a request."""
    return json.loads(response.body or "{}")


def within_quota(world: World, things: dict[str, Any], quota: str) -> None:
    """Batch: fixed quotas per account and region; a resource that is being deleted still counts. Text unconfirmed."""
    present = sum(thing.status != "DELETED" for thing in things.values())
    if present >= (limit := world.clock.quota(quota)):
        rules.refuse(f"Account limit exceeded: no more than {limit} {quota.replace('_', ' ')} are allowed.")


def page(world: World, request: Shape, member: str, shown: list[tuple[Any, Shape]]) -> str:
    """Those that are asked for, or all, page by page, as Describe sees them at the moment."""
    asked = request.get(member)
    if asked is not None and len(asked) > PAGE:
        rules.refuse(f"At most {PAGE} {member} can be described at once.")  # unconfirmed
    now = world.clock.now()
    chosen = [
        _lagging(thing, shape, now)
        for thing, shape in sorted(shown, key=lambda each: each[0].name)
        if not asked or thing.name in asked or thing.arn in asked
    ]
    shapes, token = cut([shape for shape in chosen if shape is not None], request)
    return json.dumps({member: shapes} | token)


def _lagging(thing: Thing, shape: Shape, now: float) -> Shape | None:
    # Batch: a read soon after a write may still show the state before it.
    return thing.stale if now < thing.stale_until else shape


def cut(shapes: list[Shape], request: Shape) -> tuple[list[Shape], dict[str, str]]:
    """One page, and the token of the next where there is one."""
    start, size = int(request.get("nextToken") or 0), min(request.get("maxResults") or PAGE, PAGE)
    more = start + size < len(shapes)
    return shapes[start : start + size], {"nextToken": str(start + size)} if more else {}
