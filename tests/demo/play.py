"""The demo, and single events: a person's view of the function without an AWS account."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import cloudformation
import parts
import processes
import show
from botocore.exceptions import BotoCoreError, ClientError
from control import Account
from plan_tree import show_plan
from show import heading, paint, say

SCALE = 0.1
"""Real seconds per AWS second: slow enough to watch, ten times as fast as AWS."""


class Progress:
    """Prints the events in an account while something else is waited for."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._over = threading.Event()
        self._seen = parts.statuses(account.state())
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._look()
        self._look()

    def _look(self) -> None:
        now = parts.statuses(self._account.state())
        seconds = (time.monotonic() - self._started) / SCALE
        for line in parts.changes(self._seen, now):
            say(paint(f"  {seconds:5.0f} s  ", "dim") + line)
        self._seen = now

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()


def deliver(function: processes.Lambda, account: Account, event: dict[str, Any]) -> dict[str, Any]:
    """Plays one request as CloudFormation does, shows the events and the answer, and returns the answer."""
    kind, url = event.get("RequestType"), cloudformation.ResponseUrl()
    known = kind in cloudformation.IN_PROGRESS and {"StackId", "LogicalResourceId"} <= event.keys()
    if known:
        account.set_stack(event, cloudformation.IN_PROGRESS[kind])
    try:
        with Progress(account):
            function.invoke(url.in_event(event))
        answers = url.answers()
    finally:
        url.close()
    if len(answers) != 1:
        raise SystemExit(f"{show.plural(len(answers), 'answer')} came instead of one\n{function.log_tail()}")
    answer = json.loads(answers[0])
    if known:
        status = cloudformation.COMPLETE if answer["Status"] == "SUCCESS" else cloudformation.FAILED
        account.set_stack(event, status[kind])
    heading("What CloudFormation gets")
    show.show_answer(answers[0])
    return answer


def demo(binary: Path) -> None:
    """Creates a forge from a sample event, shows it, deletes it, and fails if anything is left."""
    started = time.monotonic()
    create = cloudformation.load_event(processes.ROOT / "events" / "create-spot.json")
    delete = cloudformation.load_event(processes.ROOT / "events" / "delete.json")
    account_id, region = cloudformation.account_and_region(create)

    say(paint("A forge on a local AWS, ten times as fast as the real one. Times are those that AWS would take.", "bold"))
    cloud, url = processes.start_cloud()
    account = Account(url, account_id)
    try:
        account.configure(scale=SCALE, latency="realistic")
        nothing = account.state()
        environment = processes.local_environment(account, region, SCALE)
        with processes.Lambda(binary, environment) as function:
            heading("What a stack says  (events/create-spot.json)")
            _show_properties(create)

            heading("What will be done  (make plan)")
            show_plan(function.invoke({"plan": create}))

            heading("Create")
            answer = deliver(function, account, create)
            _succeeded(answer, function)

            heading("What now exists")
            forge = answer["PhysicalResourceId"]
            show.show_tree(parts.forge_tree(f"forge {forge}", account.state()))
            calls = account.calls()
            writes = sum(1 for call in calls if call["mutating"])
            say(paint(f"  {show.plural(len(calls), 'AWS call')}, {writes} of them changing something", "dim"))

            heading("Delete  (events/delete.json)")
            # CloudFormation sends back the answer of the Create.
            same = {key: create[key] for key in ("StackId", "LogicalResourceId", "ResourceProperties")}
            _succeeded(deliver(function, account, delete | same | {"PhysicalResourceId": forge}), function)

        heading("What is left")
        left = [part for part in parts.statuses(account.state()) if part not in parts.statuses(nothing)]
        if left:
            for part in left:
                say("  " + paint(str(part), "red"))
            raise SystemExit(f"{show.plural(len(left), 'part')} left behind")
        say(paint("  nothing", "green"))
        say()
        say(paint(f"That took {time.monotonic() - started:.0f} s here. Next: make plan, make invoke, make test.", "dim"))
    finally:
        processes.stop(cloud)


def invoke(binary: Path, path: Path) -> None:
    """Plays one event against the local cloud that stays, and shows the resources that then exist."""
    event = cloudformation.load_event(path)
    account_id, region = cloudformation.account_and_region(event)
    account = Account(processes.keep_cloud(), account_id)
    account.configure(scale=SCALE, latency="realistic")
    failed = False
    with processes.Lambda(binary, processes.local_environment(account, region, SCALE)) as function:
        if cloudformation.is_request(event):
            heading(f"{event.get('RequestType', 'A request')}  ({path})")
            failed = deliver(function, account, event)["Status"] != "SUCCESS"
        else:
            heading(f"What the function returns  ({path})")
            with Progress(account):
                say(json.dumps(function.invoke(event), indent=2))
    heading(f"What now exists in account {account_id}")
    show.show_tree(parts.forge_tree(account.url, account.state()))
    say(paint("  The local cloud stays until make cloud-stop.", "dim"))
    if failed:
        raise SystemExit(1)


def watch() -> None:
    """Keeps `cargo lambda watch` running in an environment in which the sample events work, until it is interrupted."""
    event = cloudformation.load_event(processes.ROOT / "events" / "create-spot.json")
    account_id, region = cloudformation.account_and_region(event)
    account = Account(processes.keep_cloud(), account_id)
    account.configure(scale=SCALE, latency="realistic")

    def heard(answer: bytes) -> None:
        heading("What CloudFormation gets")
        show.show_answer(answer)

    # The port that the sample events name.
    url = cloudformation.ResponseUrl(urlsplit(event["ResponseURL"]).port or 0, heard)
    say(paint("In another terminal: cargo lambda invoke --data-file events/create-spot.json", "bold"))
    environment = processes.clean_environment() | processes.local_environment(account, region, SCALE)
    # Where cargo lambda invoke looks for it.
    command = [processes.CARGO_LAMBDA, "lambda", "watch", "--invoke-address", "::1", "--bin", "tower-forge"]
    try:
        subprocess.run(command, env=environment, cwd=processes.ROOT, check=False)
    except KeyboardInterrupt:
        pass
    finally:
        url.close()
        say(paint("The local cloud stays until make cloud-stop.", "dim"))


def plan(binary: Path, path: Path) -> None:
    """Shows the changes of an event in the local cloud that stays, or in a fresh one."""
    event = _planned(path)
    account_id, region = cloudformation.account_and_region(event)
    cloud = None
    if kept := processes.kept_cloud():
        url = kept["url"]
    else:
        cloud, url = processes.start_cloud()
    environment = processes.local_environment(Account(url, account_id), region, SCALE)
    try:
        with processes.Lambda(binary, environment) as function:
            show_plan(function.invoke({"plan": event}))
    finally:
        if cloud:
            processes.stop(cloud)


def plan_on_aws(path: Path) -> None:
    """Shows the changes of an event as the deployed function sees them, with its limits, rights and table."""
    event = _planned(path)
    _, region = cloudformation.account_and_region(event)
    # The event may name the account of an example.
    name = event["ResourceProperties"]["ServiceToken"].rsplit(":", 1)[-1]
    session = boto3.Session()
    client = session.client("lambda", region_name=session.region_name or region)
    say(paint(f"By {name} in AWS, region {client.meta.region_name}, with the credentials of your environment.", "dim"))
    try:
        answer = client.invoke(FunctionName=name, Payload=json.dumps({"plan": event}))
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(str(error)) from error
    show_plan(json.load(answer["Payload"]))


def _planned(path: Path) -> dict[str, Any]:
    event = cloudformation.load_event(path)
    # Also one that is already wrapped, as events/plan-*.json are.
    return event.get("plan", event) if isinstance(event, dict) else event


def _succeeded(answer: dict[str, Any], function: processes.Lambda) -> None:
    if answer["Status"] != "SUCCESS":
        raise SystemExit(f"the function answered {answer['Status']}\n{function.log_tail()}")


def _show_properties(event: dict[str, Any]) -> None:
    say(f"  {event['LogicalResourceId']}:")
    say(f"    Type: {event['ResourceType']}")
    say("    Properties:")
    for key, value in event["ResourceProperties"].items():
        if key != "ServiceToken":
            say(f"      {key}: {value if isinstance(value, str) else json.dumps(value)}")
