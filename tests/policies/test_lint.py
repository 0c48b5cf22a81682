"""The template, the examples and the sample events are well formed."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import documents
import pytest
import yaml
from intrinsics import Loader

EXAMPLES = sorted((documents.ROOT / "examples").glob("*.yaml"))
EVENTS = sorted((documents.ROOT / "events").glob("*.json"))


def test_cfn_lint_has_nothing_to_say() -> None:
    files = ["template.yaml", *(str(path.relative_to(documents.ROOT)) for path in EXAMPLES)]
    program = str(Path(sys.executable).with_name("cfn-lint"))
    run = subprocess.run([program, *files], cwd=documents.ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_declares_a_forge(path: Path) -> None:
    resources = yaml.load(path.read_text(), Loader)["Resources"].values()  # noqa: S506, a SafeLoader
    forges = [resource["Properties"] for resource in resources if resource["Type"] == "Custom::TowerForge"]
    assert len(forges) == 1
    assert forges[0]["ServiceToken"] == {"Fn::ImportValue": "tower-forge-ServiceToken"}
    assert {"WorkDir", "MaxCpus"} <= set(forges[0])


def test_the_secrets_example_grants_what_the_document_does() -> None:
    text = (documents.ROOT / "examples/secrets.yaml").read_text()
    held = yaml.load(text, Loader)["Resources"]["KeepSecrets"]["Properties"]["PolicyDocument"]  # noqa: S506, a SafeLoader
    ours = json.loads((documents.POLICIES / "secrets-policy-account.json").read_text())
    for one, other in zip(held["Statement"], ours["Statement"], strict=True):
        assert (one["Sid"], one["Action"]) == (other["Sid"], other["Action"])


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_an_event_is_what_cloudformation_would_send(path: Path) -> None:
    event = json.loads(path.read_text())
    if path.stem in ("sweep", "malformed-not-an-object"):
        return
    request = event.get("plan", event)
    where, _, key = request["ResponseURL"].partition("/cloudformation-response/")
    assert where == "http://127.0.0.1:9010" and "?" not in key, "nothing signed, nobody's bucket"
    stack, logical, number = unquote(key).split("|")
    assert key == key.replace(":", "").replace("|", "") and stack == request.get("StackId", stack)
    assert (logical, number) == (request["LogicalResourceId"], request["RequestId"])
    assert re.fullmatch(r"arn:aws:cloudformation:eu-west-1:123456789012:stack/[a-z]+/[0-9a-f-]{36}", stack)
    properties = request["ResourceProperties"]
    for value in properties.values() if isinstance(properties, dict) else []:
        scalars = value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
        assert all(isinstance(scalar, str) for scalar in scalars), "CloudFormation writes every scalar as a string"
