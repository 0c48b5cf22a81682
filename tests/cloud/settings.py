"""The settings of an account of the local cloud: its clock, its durations, quotas, latencies and rates.

Everything is in *AWS seconds*: the seconds that AWS itself would take. One factor per account, the
scale, turns them into real ones (AWS seconds × scale = real seconds), so a test may let a minute pass in
half a second and still speak of minutes.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any, NoReturn

Range = float | tuple[float, float]

DEFAULT_SCALE = 0.01

DURATIONS: dict[str, Range] = {
    # Compute environments. From Create to VALID.
    "ce_create": (5, 20),
    # A scaling update (vCPU limits) and the repair by naming the service role again.
    "ce_update": (5, 20),
    # ENABLED to DISABLED: 55 s observed, 120 s claimed; enabling is an ordinary update.
    "ce_disable": (10, 55),
    # An idle environment; the additional time of running jobs is ce_delete_running.
    "ce_delete": (10, 60),
    # Instances have to go first: four to nine minutes altogether.
    "ce_delete_running": (180, 420),
    # How long Describe may not show an environment or a queue that Create has just answered for.
    "describe_lag": 0,
    # How long Describe may still show the state before an update or a delete.
    "update_lag": 0,
    # How long a deleted environment or queue may still be listed, as DELETED.
    "deleted_visible": 0,
    # An infrastructure update, which only an environment under the service-linked role can have.
    "ce_infrastructure": (600, 1800),
    # Job queues. A transition takes a few seconds up to less than 30.
    "jq_create": (2, 20),
    "jq_update": (2, 20),
    "jq_disable": (2, 30),
    "jq_delete": (2, 30),
    # How long jobs take to end when their queue is deleted.
    "job_terminate": (5, 30),
    # How long DeleteComputeEnvironment finds a queue relationship that is no longer there (up to about
    # two minutes has been seen; often it is nothing).
    "association_lag": (0, 10),
    # IAM answers at once for its new resources, the services that assume roles learn of them later: about
    # 2 s typically, 5 to 10 s often, two minutes at worst.
    "iam_propagation": (2, 10),
    # How long Batch does not find a launch template, from when it first looks for it.
    "template_lag": 0,
    # How long AddRoleToInstanceProfile may not find a role that has just been made.
    "add_role_lag": 0,
    # How long a tag that was just set is not yet seen by authorization (aws:ResourceTag).
    "tag_lag": (0, 3),
    # EFS. The file system 6 to 12 s, a mount target 60 to 90 s.
    "efs_create": (6, 12),
    "efs_update": (2, 6),
    "efs_delete": (2, 6),
    "mount_target_create": (60, 90),
    "mount_target_delete": (10, 30),
    # FSx for Lustre. Create 5 to 8 minutes, delete 3 to 5.
    "fsx_create": (300, 480),
    "fsx_update": (60, 300),
    # How long it then spreads the data over the new capacity, which nobody has to wait for.
    "fsx_optimize": (600, 3600),
    "fsx_delete": (180, 300),
}
"""Default durations in AWS seconds; a pair is a range from which each use draws."""

LATENCY: dict[str, Range] = {}
"""Default latency of one call, by service: none. See REALISTIC_LATENCY for the latencies of AWS."""

REALISTIC_LATENCY: dict[str, Range] = {
    "batch": 0.1,
    "cloudformation": 0.2,
    "dynamodb": 0.01,
    "ec2": 0.2,
    "efs": 0.1,
    "fsx": 0.2,
    "iam": (0.1, 0.3),
    "lambda": 0.1,
    "logs": 0.1,
    "ssm": 0.1,
}
"""The latency of a call on AWS; `"latency": "realistic"` in the configuration means this table."""

QUOTAS: dict[str, int] = {
    # Fixed per account and region; cannot be raised.
    "compute_environments": 50,
    "job_queues": 50,
    "environments_per_queue": 3,
    # IAM's defaults, per account.
    "roles": 1000,
    "instance_profiles": 1000,
    "managed_policies_per_role": 10,
    "inline_policy_characters": 10240,
    "trust_policy_characters": 2048,
    "tags": 50,
    "launch_templates": 5000,
    "file_systems": 1000,
}
"""Default quotas; services ask for them by name."""

TPS: dict[str, float] = {
    # All of an account's Batch calls in one region share this, Nextflow's included.
    "batch": 50,
}
"""Default rates in calls per AWS second, by service; a service that is not named has no limit."""


class AwsError(Exception):
    """An error that the server writes in the form of the calling protocol (see `server`)."""

    def __init__(self, service: str, code: str, message: str, status: int, fields: dict[str, Any]) -> None:
        super().__init__(f"{service}: {code}: {message}")
        self.service = service
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


def error(service: str, code: str, message: str, status: int = 400, **fields: Any) -> NoReturn:
    """Ends the call at hand with an AWS error, from wherever in a backend it is called.

    `fields` are further members of the error's shape (`FileSystemId` of FileSystemAlreadyExists, say).
    """
    raise AwsError(service, code, message, status, fields)


class AccountSettings:
    """The clock and the knobs of one account. Every method may be called from any thread."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self._lock = threading.Condition()
        self._scale = DEFAULT_SCALE
        self._revalidates = True
        self._started = time.monotonic()
        self._elapsed = 0.0
        self._durations: dict[str, Range] = dict(DURATIONS)
        self._latency: dict[str, Range] = dict(LATENCY)
        self._quotas: dict[str, int] = dict(QUOTAS)
        self._tps: dict[str, float] = dict(TPS)
        self._random: dict[str, random.Random] = {}
        self._draws: list[dict[str, Any]] = []

    @property
    def revalidates(self) -> bool:
        """Whether an INVALID environment to which its own role is named again is looked at again: not documented."""
        return self._revalidates

    @property
    def scale(self) -> float:
        """Real seconds per AWS second."""
        return self._scale

    def now(self) -> float:
        """AWS seconds since the account was first used. It never goes back, even when the scale changes."""
        with self._lock:
            return self._now()

    def duration(self, name: str, of: str = "") -> float:
        """How long `name` takes this time, in AWS seconds: drawn anew by each call, alike in each run.

        `of` is the name of the resource that takes so long, for those who compute the least time that was possible.
        """
        with self._lock:
            seconds = self._draw(name, self._durations[name])
            self._draws.append({"at": self._now(), "name": name, "of": of, "seconds": seconds})
            return seconds

    def pick(self, name: str, choices: list[str]) -> str:
        """One of `choices`, drawn like a duration."""
        with self._lock:
            return choices[int(self._draw(name, (0, len(choices) - 1e-9)))]

    def draws(self) -> list[dict[str, Any]]:
        """All durations that were drawn, in that order."""
        with self._lock:
            return list(self._draws)

    def forget_draws(self) -> None:
        """Empties the list of draws."""
        with self._lock:
            self._draws.clear()

    def latency(self, service: str) -> float:
        """How long one call of `service` takes this time, in AWS seconds."""
        with self._lock:
            return self._draw(f"latency:{service}", self._latency.get(service, 0))

    def quota(self, name: str) -> int:
        """The quota `name`."""
        with self._lock:
            return self._quotas[name]

    def tps(self, service: str) -> float | None:
        """Calls per AWS second that `service` allows, None where there is no limit."""
        with self._lock:
            return self._tps.get(service)

    def real(self, aws_seconds: float) -> float:
        """Real seconds for AWS seconds."""
        return aws_seconds * self._scale

    def sleep(self, aws_seconds: float) -> None:
        """Waits for AWS seconds, really, at whatever scale is set meanwhile; never to be called with a lock held."""
        with self._lock:
            end = self._now() + aws_seconds
            while (left := end - self._now()) > 0:
                self._lock.wait(left * self._scale)

    def configure(self, change: dict[str, Any]) -> None:
        """Merges a configuration as `PUT /config` takes it; ValueError names the error in it.

        `advance` lets so many AWS seconds pass at once.
        """
        parsed = {
            "durations": {name: _range(name, value) for name, value in change.get("durations", {}).items()},
            "latency": _latency(change.get("latency", {})),
            "quota": {name: int(value) for name, value in change.get("quota", {}).items()},
            "tps": {name: None if value is None else float(value) for name, value in change.get("tps", {}).items()},
        }
        members = {*parsed, "scale", "advance", "same_role_revalidates"}
        for given, known in ((change, members), (parsed["durations"], DURATIONS), (parsed["quota"], QUOTAS)):
            if unknown := sorted(set(given) - set(known)):
                raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        scale = float(change.get("scale", self._scale))
        if scale <= 0:
            raise ValueError("scale must be more than 0")
        advance = float(change.get("advance", 0))
        if advance < 0:
            raise ValueError("advance must not be less than 0: time does not go back")
        with self._lock:
            # The time that has passed was at the old scale.
            self._elapsed, self._started = self._now() + advance, time.monotonic()
            self._scale = scale
            self._lock.notify_all()
            self._revalidates = bool(change.get("same_role_revalidates", self._revalidates))
            self._durations.update(parsed["durations"])
            self._latency.update(parsed["latency"])
            self._quotas.update(parsed["quota"])
            for service, rate in parsed["tps"].items():
                if rate is None:
                    self._tps.pop(service, None)
                else:
                    self._tps[service] = rate

    def describe(self) -> dict[str, Any]:
        """All settings, as `GET /config` shows them."""
        with self._lock:
            return {
                "scale": self._scale,
                "same_role_revalidates": self._revalidates,
                "durations": dict(sorted(self._durations.items())),
                "latency": dict(sorted(self._latency.items())),
                "quota": dict(sorted(self._quotas.items())),
                "tps": dict(sorted(self._tps.items())),
                "now": self._now(),
            }

    def _now(self) -> float:
        return self._elapsed + (time.monotonic() - self._started) / self._scale

    def _draw(self, name: str, value: Range) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        # A generator per name: the draws of one kind do not depend on those of others.
        rng = self._random.setdefault(name, random.Random(f"{self.account_id}:{name}"))
        return rng.uniform(*value)


_accounts: dict[str, AccountSettings] = {}
_accounts_lock = threading.Lock()


def for_account(account_id: str) -> AccountSettings:
    """The settings of an account, made with the defaults where it is new."""
    with _accounts_lock:
        if account_id not in _accounts:
            _accounts[account_id] = AccountSettings(account_id)
        return _accounts[account_id]


def _range(name: str, value: Any) -> Range:
    if isinstance(value, (int, float)) and value >= 0:
        return float(value)
    if isinstance(value, (list, tuple)) and len(value) == 2 and 0 <= value[0] <= value[1]:
        return (float(value[0]), float(value[1]))
    raise ValueError(f"{name}: a number of seconds or [from, to] is wanted, not {value!r}")


def _latency(value: Any) -> dict[str, Range]:
    if value == "realistic":
        return dict(REALISTIC_LATENCY)
    return {name: _range(name, each) for name, each in value.items()}
