"""AWS's answers on tape: kept by `RECORD=1` with what is private replaced, and played back to the code that asked.

Account numbers, IDs and request IDs are replaced, each by the same substitute wherever it occurs, so that a recording
can be published and still be understood.
"""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse

RECORDED = Path(__file__).resolve().parent / "recorded"
"""The recordings of real accounts, one file for each check."""

_SECRET = re.compile(r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\"\\ ]*")
# Before a number or an ID: no letter or digit, unless it belongs to an escape in a URL.
_BEGIN = r"(?:(?<=%3A)|(?<=%7C)|(?<=%2F)|(?<![0-9A-Za-z-]))"
_ACCOUNT = re.compile(_BEGIN + r"\d{12}(?![0-9A-Za-z-])")
# Principals apart from those that a run or the function makes.
_PRINCIPAL = re.compile(r"(:user/|:assumed-role/(?!tf-acceptance-|TowerForge-)|:role/(?=aws-reserved/))[^\s\"]+")
_IDS = re.compile(
    _BEGIN.replace("A-Za-z-", "A-Za-z")
    + r"(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    + r"|(?:subnet|vpc|sg|lt|fs|eni|i|ami|igw|rtb|acl)-[0-9a-f]{8,17}"
    + r"|A[RSKI][A-Z]A[A-Z0-9]{12,})\b"
)
_HIDDEN = {"SecretAccessKey", "SessionToken", "AccessKeyId", "ReceiptHandle", "MD5OfBody", "UserData"}


class Redactor:
    """Replaces what is private. Equal things get equal substitutes, for as long as this lives."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def text(self, text: str) -> str:
        """A text without secrets, account numbers and IDs."""
        text = _PRINCIPAL.sub(r"\1REDACTED", _SECRET.sub(r"\1REDACTED", text))
        text = _ACCOUNT.sub(lambda found: self._substitute(found[0], "account"), text)
        return _IDS.sub(lambda found: self._substitute(found[0], "id"), text)

    def value(self, value: Any) -> Any:
        """The same for everything in an answer, as JSON."""
        if isinstance(value, dict):
            return {
                self.text(str(key)): "REDACTED" if key in _HIDDEN else self.value(each)
                for key, each in value.items()
                if key != "ResponseMetadata"
            }
        if isinstance(value, (list, tuple)):
            return [self.value(each) for each in value]
        if isinstance(value, datetime.datetime):
            return value.isoformat()
        if isinstance(value, str):
            return self.text(value)
        return value if isinstance(value, (int, float, bool, type(None))) else self.text(str(value))

    def _substitute(self, private: str, kind: str) -> str:
        if private not in self._known:
            number = 1 + len(self._known)
            if kind == "account":
                self._known[private] = f"{111122220000 + number}"
            elif "-" in private and len(private) == 36:
                self._known[private] = f"00000000-0000-4000-8000-{number:012x}"
            else:
                head = private.split("-")[0] + "-" if "-" in private else private[:4]
                self._known[private] = f"{head}{number:017x}" if "-" in private else f"{head}{number:017X}"
        return self._known[private]


class Tape:
    """The answers of one check, in their order: recorded from the clients, or played back to them."""

    def __init__(self, answers: list[dict[str, Any]] | None = None) -> None:
        self.replays = answers is not None
        self.answers = list(answers or [])
        self._redactor = Redactor()

    def attach(self, client: Any) -> None:
        """Records a client's answers from now on, or plays back the answers on the tape."""
        service = client.meta.service_model.service_name
        if self.replays:
            client.meta.events.register(f"before-call.{service}", self._play)
        else:
            # Before botocore decodes policies, which it does again when the tape is played.
            client.meta.events.register_first(f"after-call.{service}", self._record)

    def facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        """What a check has found, with the same substitutes."""
        return self._redactor.value(facts)

    def _record(self, http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        self.answers.append(
            {
                "service": model.service_model.service_name,
                "operation": model.name,
                "status": http_response.status_code,
                "answer": self._redactor.value(_payload_read(parsed)),
            }
        )

    def _play(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        wanted = (model.service_model.service_name, model.name)
        if not self.answers:
            raise LookupError(f"the tape has ended; {wanted} is wanted")
        next_one = self.answers.pop(0)
        if (next_one["service"], next_one["operation"]) != wanted:
            raise LookupError(f"the tape has {next_one['service']} {next_one['operation']}; {wanted} is wanted")
        answer = dict(next_one["answer"])
        if "Payload" in answer:
            answer["Payload"] = _Body(answer["Payload"])
        metadata = {"HTTPStatusCode": next_one["status"], "RetryAttempts": 0}
        return AWSResponse("", next_one["status"], {}, None), answer | {"ResponseMetadata": metadata}


class _Body:
    """A payload that has been read already."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> bytes:
        """All of it."""
        return self._text.encode()


def _payload_read(parsed: dict[str, Any]) -> dict[str, Any]:
    # A stream can be read once: the reader gets the text instead.
    if "Payload" not in parsed:
        return parsed
    text = parsed["Payload"].read().decode()
    parsed["Payload"] = _Body(text)
    return parsed | {"Payload": text}


def save(folder: Path, check: str, header: dict[str, Any], facts: dict[str, Any], tape: Tape) -> Path:
    """Writes a check's answers and facts as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{check}.json"
    content = {"check": check} | header | {"facts": facts, "answers": tape.answers}
    path.write_text(json.dumps(content, indent=1, sort_keys=False) + "\n")
    return path
