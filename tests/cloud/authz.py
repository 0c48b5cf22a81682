"""Judges every call against the policies of the account's function, as IAM would; see `actions` and `policy`."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import accounts
import actions
import locks
import partitions
import policy as language
import settings
from accounts import Caller
from wire import Call


@dataclass(frozen=True)
class Judgement:
    """IAM's answer to one question."""

    action: str
    resource: str
    allowed: bool
    why: str
    hint: str | None = None
    by: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """As the call log shows it."""
        shown = {"action": self.action, "resource": self.resource, "allowed": self.allowed, "why": self.why}
        return shown | ({"hint": self.hint} if self.hint else {})


@dataclass
class _Seen:
    """The tags of a resource as authorization knows them: it learns of a change only after a while."""

    tags: actions.Tags
    latest: actions.Tags
    until: float

    def visible(self, now: float) -> actions.Tags:
        return self.latest if now >= self.until else self.tags


@dataclass
class _Account:
    documents: list[dict[str, Any]] | None = None
    trial: bool = False
    statements: list[language.Statement] = field(default_factory=list)
    # By the service, and by `actions.key_of`.
    seen: dict[str, dict[str, _Seen]] = field(default_factory=dict)


_accounts: dict[str, _Account] = {}
_guard = threading.Lock()


def policy(account_id: str) -> list[dict[str, Any]] | None:
    """The documents that are in force, None where everything is allowed."""
    return _of(account_id).documents


class Tally:
    """The questions to the policies of all accounts: they show which rights are never used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._evaluated = 0
        self._used: set[str] = set()
        self._statements: set[str] = set()
        self._denied: list[str] = []

    def add(self, judgement: Judgement, trial: bool) -> None:
        """Counts an answer; a denial in a trial was to be expected, and an action that it allows proves no need."""
        with self._lock:
            self._evaluated += 1
            if trial:
                return
            if judgement.allowed:
                self._used.add(judgement.action)
                self._statements.update(judgement.by)
            else:
                self._denied.append(f"{judgement.action} on {judgement.resource}: {judgement.why}")

    def report(self) -> dict[str, Any]:
        """The figures."""
        with self._lock:
            return {
                "evaluated": self._evaluated,
                "used": sorted(self._used),
                "statements": sorted(self._statements),
                "denied": sorted(self._denied),
            }


tally = Tally()


def put_policy(account_id: str, documents: list[dict[str, Any]] | None, trial: bool = False) -> None:
    """Puts policies in force; ValueError where they are none. None allows everything.

    In a trial a test tries calls that must not be allowed: such an account is left out of the tally.
    """
    statements = [each for document in documents or [] for each in language.read(document)]
    account = _of(account_id)
    with locks.of(account_id):
        account.documents, account.statements, account.trial = documents, statements, trial
        for service in actions.TAGGED:
            tagged = actions.tags_of(service, _things(account_id))
            account.seen[service] = {key: _Seen(tags, tags, 0) for key, tags in tagged.items()}


def changed(account_id: str, service: str) -> None:
    """Notes changed tags after a call to a service, which tags only what is its own; the caller holds the account's lock."""
    account = _of(account_id)
    if account.documents is None or service not in actions.TAGGED:
        return
    set_to, now, before = settings.for_account(account_id), settings.for_account(account_id).now(), account.seen[service]
    account.seen[service] = {}
    for key, tags in actions.tags_of(service, _things(account_id)).items():
        old = before.get(key)
        if old is None or old.latest != tags:
            old = _Seen(old.visible(now) if old else {}, tags, now + set_to.duration("tag_lag"))
        account.seen[service][key] = old


def judge(call: Call, caller: Caller) -> list[Judgement]:
    """Everything that IAM is asked about a call, with its answers. Without a policy all is allowed."""
    account = _of(caller.account)
    with locks.of(caller.account):
        asked = actions.asks(call, caller, _things(caller.account))
        return [_judge(each, caller, account) for each in asked]


def denied(judgements: list[Judgement], call: Call, caller: Caller) -> Judgement:
    """The refusal of a call that nothing but a fault forbids."""
    first = judgements[0] if judgements else None
    action = first.action if first else f"{actions.prefix(call.service)}:{call.operation}"
    why = f"because no identity-based policy allows the {action} action"
    return Judgement(action, first.resource if first else "*", False, why)


def _judge(ask: actions.Ask, caller: Caller, account: _Account) -> Judgement:
    if account.documents is None:
        return Judgement(ask.action, ask.resource, True, "no policy is set")
    context = ask.context | {
        "aws:CurrentTime": datetime.now(UTC).isoformat(),
        "aws:PrincipalAccount": caller.account,
        "aws:PrincipalArn": f"arn:{partitions.of(caller.region)}:iam::{caller.account}:role/towerforge/{accounts.function_role(caller.region)}",
        "aws:PrincipalType": "AssumedRole",
        "aws:RequestedRegion": "us-east-1" if ask.action.startswith("iam:") else caller.region,
        "aws:ResourceAccount": caller.account,
        "aws:SecureTransport": "true",
    }
    key = actions.key_of(ask.resource)
    seen = next((tagged[key] for tagged in account.seen.values() if key in tagged), None) if ask.exists else None
    known = seen.visible(settings.for_account(caller.account).now()) if seen else {}
    decision = language.decide(account.statements, ask.action, ask.resource, context | _tagged(ask, known))
    judgement = Judgement(ask.action, ask.resource, decision.allowed, decision.why, decision.hint, decision.by)
    # Whoever calls without naming an application is not the function, but somebody with a console.
    if caller.app and (decision.allowed or not _passes_later(ask, seen, context, account)):
        tally.add(judgement, account.trial)
    return judgement


def _passes_later(ask: actions.Ask, seen: _Seen | None, context: dict[str, str], account: _Account) -> bool:
    """Whether a refused call lacks no right: only the lag of tags forbids it, or its resource has just gone."""
    later = context | _tagged(ask, seen.latest if seen else {})
    gone = ask.exists and not seen
    return gone or language.decide(account.statements, ask.action, ask.resource, later).allowed


def _tagged(ask: actions.Ask, tags: actions.Tags) -> dict[str, str]:
    """The condition keys of a resource's tags, IAM's own and the service's."""
    service = ask.action.split(":")[0]
    return {f"{prefix}:ResourceTag/{key}": value for prefix in ("aws", service) for key, value in tags.items()}


def _of(account_id: str) -> _Account:
    with _guard:
        return _accounts.setdefault(account_id, _Account())


def _things(account_id: str) -> actions.Things:
    # At the first call all services are there, some of which need this module.
    return lambda kind: importlib.import_module("snapshot").of_kind(account_id, kind)
