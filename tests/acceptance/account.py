"""An AWS account as a check sees it: clients, names that can be found again, and waiting."""

from __future__ import annotations

import functools
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from tape import Tape

PREFIX = "tf-acceptance"
"""The beginning of the name of everything that a run makes by itself."""

TAG = "tower-forge-acceptance"
"""The tag on everything that a run makes, its forges included; its value names the run and the check."""

POLL = 5.0
"""AWS seconds between two looks."""

SHORTEST = 0.25
"""Real seconds between two looks at the least: the local AWS shares the processors with what it looks at."""

MINUTES = 60.0

Shape = dict[str, Any]


class Stopped(Exception):
    """The run has been interrupted."""


class TookTooLong(Exception):
    """AWS did not settle in time."""


@dataclass
class Run:
    """What all checks of a run share."""

    service_token: str
    scale: float = 1.0
    """Real seconds for one AWS second: less than 1 on the local AWS only."""
    subnets: list[str] = field(default_factory=list)
    """The subnets of all environments."""
    groups: list[str] = field(default_factory=list)
    """The security groups of environments that a check makes by itself."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    stopped: threading.Event = field(default_factory=threading.Event)
    session: boto3.Session = field(default_factory=functools.cache(boto3.Session))
    clients: dict[str, Any] = field(default_factory=dict)
    """The clients of all that is not recorded."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    """A session makes one client at a time."""

    @property
    def name_prefix(self) -> str:
        """The deployment's prefix of the names of forges: the function is named `<prefix>-handler`."""
        return self.service_token.split(":function:")[-1].split(":")[0].removesuffix("-handler")


class Aws:
    """The account during one check."""

    def __init__(self, run: Run, check: str, tape: Tape | None = None) -> None:
        self.run, self.check, self.tape = run, check, tape
        self.cleaning = False
        # A check that is recorded has clients of its own.
        self._clients: dict[str, Any] = {} if tape else run.clients
        self.region = os.environ.get("AWS_REGION") or run.session.region_name or ""

    def client(self, service: str, credentials: Shape | None = None) -> Any:
        """A client of a service; with an assumed role's credentials, if given."""
        with self.run.lock:
            if credentials is None and service in self._clients:
                return self._clients[service]
            config = Config(retries={"mode": "standard", "total_max_attempts": 8}, read_timeout=900)
            client = self.run.session.client(service, region_name=self.region, config=config, **credentials or {})
            if self.tape:
                self.tape.attach(client)
            if credentials is None:
                self._clients[service] = client
            return client

    @property
    def value(self) -> str:
        """The tag's value for this check of this run."""
        return f"{self.run.id}-{self.check}"

    def name(self, what: str) -> str:
        """The name of something that this check makes."""
        return f"{PREFIX}-{self.value}--{what}"

    @property
    def tags(self) -> dict[str, str]:
        """The tags of something that this check makes."""
        return {TAG: self.value}

    @property
    def tag_list(self) -> list[Shape]:
        """The same as AWS's older services want them."""
        return [{"Key": TAG, "Value": self.value}]

    def pause(self, seconds: float = POLL) -> None:
        """Lets AWS seconds pass; Stopped if the run has been interrupted, unless this cleans up."""
        if self.tape and self.tape.replays:
            return
        real = max(seconds * self.run.scale, SHORTEST)
        if self.cleaning:
            time.sleep(real)
        elif self.run.stopped.wait(real):
            raise Stopped

    def until(self, what: str, look: Callable[[], Any], minutes: float = 15) -> Any:
        """Looks again until there is something to see, and returns that."""
        end = time.monotonic() + max(minutes * MINUTES * self.run.scale, 30)
        while not (found := look()):
            if time.monotonic() > end:
                raise TookTooLong(f"{what} did not settle in {minutes:.0f} minutes")
            self.pause()
        return found


def refusal(call: Callable[..., Any], **parameters: Any) -> Shape | None:
    """Code and text of AWS's refusal of a call; None if it was accepted."""
    try:
        call(**parameters)
    except ClientError as error:
        return {"code": error.response["Error"]["Code"], "text": error.response["Error"]["Message"]}
    return None
