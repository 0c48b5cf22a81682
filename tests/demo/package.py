"""The two binaries of the package: each does its work once on a local AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bench
import binary
import cloudformation
import limits
import processes
import tls
from control import Account
from runtime import Function
from show import heading, say

SCALE = 0.03
"""Real seconds per AWS second, as in the tests."""


def report(function: Path, dead_letter: Path) -> None:
    """Tries both; SystemExit with a sentence where one of them fails."""
    figures = binary.report(function, dead_letter)
    tls.check(function)
    say("  the function speaks TLS, and believes no authority that it does not know")
    process, url = processes.start_cloud()
    try:
        heading("A life with each binary")
        account = Account(url, "000000000001")
        run = bench.run_once(function, account, SCALE)
        if left := [f"{len(found)} {kind}" for kind, found in account.state().items() if found]:
            raise SystemExit(f"after the Delete are left: {', '.join(left)}")
        if violations := account.violations():
            raise SystemExit(f"AWS's models do not allow: {'; '.join(violations)}")
        say("  a forge was created, updated and deleted, and nothing is left")
        reason = answer_for_the_dead(dead_letter, Account(url, "000000000002"))
        say(f"  a Create that died was answered once: {reason}")
    finally:
        processes.stop(process)
    limits.report(figures | bench.memory_of([run]))


def answer_for_the_dead(dead_letter: Path, account: Account) -> str:
    """Gives the dead letter a Create that Lambda gave up before it began; returns the reason in its answer."""
    event, region = bench.event_for(account)
    account.set_stack(event, cloudformation.IN_PROGRESS["Create"])
    url = cloudformation.ResponseUrl()
    try:
        with Function(dead_letter, processes.local_environment(account, region, SCALE)) as function:
            function.invoke(given_up(url.in_event(event)))
        answers = [json.loads(answer) for answer in url.answers()]
    finally:
        url.close()
    if [answer["Status"] for answer in answers] != ["FAILED"]:
        raise SystemExit(f"the dead letter answered {answers}, and not once with FAILED")
    return answers[0]["Reason"]


def given_up(event: dict[str, Any]) -> dict[str, Any]:
    """Lambda's record of an event that it has given up, as its documentation of destinations shows it."""
    return {
        "version": "1.0",
        "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {"errorType": "Runtime.ExitError", "errorMessage": "exit status 101"},
    }
