"""The fixtures of the cloud's own tests: one cloud for all of them, and an account for each."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "batch.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


class Refused(Exception):
    """The control API has answered with an error."""


class Account:
    """One account of the cloud: its API clients and its control API."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self.id = f"{number:012}"

    def client(self, service: str, app: str = "one", region: str = "us-east-1") -> Any:
        """A boto3 client that does not retry."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=f"LOCAL{self.id}",
            aws_secret_access_key="none",
            config=Config(user_agent_appid=app, retries={"total_max_attempts": 1}),
        )

    def control(self, method: str, route: str, body: Any = None) -> Any:
        """A call of the control API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_cloud/{self.id}/{route}", method=method, data=data)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(error.read().decode()) from error

    def faults(self, *rules: dict[str, Any]) -> None:
        """Puts fault rules."""
        self.control("PUT", "faults", {"rules": list(rules)})

    def allow(self, *statements: dict[str, Any]) -> None:
        """Puts one policy of these statements in force."""
        self.control("PUT", "policy", {"documents": [{"Version": "2012-10-17", "Statement": list(statements)}]})

    def take_violations(self) -> list[str]:
        """What AWS's models do not allow in the messages so far, in a test that has wanted it."""
        return self.control("DELETE", "violations")

    def calls(self) -> list[dict[str, Any]]:
        """The call log."""
        return self.control("GET", "calls")


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Where the cloud of this session listens."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parents[1] / "target")
    report = target / "tmp" / "reports" / "python" / f"{os.getpid()}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE), "--report", str(report)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield json.loads(process.stdout.readline())["url"]
    process.stdin.close()
    assert process.wait(timeout=10) == 0


_numbers = itertools.count(1)


@pytest.fixture
def account(url: str) -> Iterator[Account]:
    """An account that nobody has used, in which nothing may happen that AWS's models do not allow."""
    account = Account(url, next(_numbers))
    yield account
    assert account.control("GET", "violations") == []


@pytest.fixture
def other(url: str) -> Iterator[Account]:
    """Another one."""
    account = Account(url, next(_numbers))
    yield account
    assert account.control("GET", "violations") == []
