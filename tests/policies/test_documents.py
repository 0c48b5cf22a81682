"""The documents in `policies/`: their form, their limits, and that each is used."""

import json
import re

import documents
import permissions
import pytest
from parliament import analyze_policy_string

POLICY_NAMES = [name for name in documents.names() if not name.startswith("trust-")]

# The findings of parliament, by document and statement, and why they stay.
FINDINGS: dict[tuple[str, str, str], str] = {
    ("forge-policy.json", "BatchConnect", "RESOURCE_MISMATCH"): "asked for a queue's environments; BatchCreate and BatchOwn name the queue",
    ("forge-policy.json", "RoleUnderBoundary", "MISMATCHED_TYPE_BUT_USABLE"): "as in AWS's examples; no wildcards",
    ("forge-policy.json", "RoleCreate", "MISMATCHED_TYPE_BUT_USABLE"): "the same",
    ("forge-policy.json", "RoleAttach", "MISMATCHED_TYPE_BUT_USABLE"): "the same",
    ("forge-policy.json", "AllowedPoliciesAttach", "MISMATCHED_TYPE_BUT_USABLE"): "the same",
    ("forge-policy.json", "EfsMountTargetInterfaces", "UNKNOWN_CONDITION_FOR_ACTION"): "aws:ViaAWSService is a global key",
    ("forge-policy.json", "EfsMountTargetInterfaces", "RESOURCE_STAR"): "an interface that does not exist yet",
    ("boundary.json", "ReadPullAndConnect", "RESOURCE_STAR"): "a boundary grants nothing; images come from any account that shares them",
    ("boundary.json", "OwnInstances", "RESOURCE_STAR"): "instances have no names; the tag says whose they are",
    ("boundary.json", "OwnClusters", "RESOURCE_MISMATCH"): "one pattern for the clusters, container instances and tasks of a forge",
    ("boundary.json", "KeyGrants", "RESOURCE_STAR"): "a boundary grants nothing; only through EC2, and for resources of AWS",
    ("boundary.json", "ServiceAndFleetRole", "UNKNOWN_CONDITION_FOR_ACTION"): "IfExists: only RunInstances has the owner of an image and a VPC",
    ("boundary.json", "AllowedBuckets", "RESOURCE_STAR"): "a boundary grants nothing; the deployer may name buckets",
    ("boundary.json", "Keys", "RESOURCE_STAR"): "a boundary grants nothing; only through EC2, S3 and Secrets Manager",
    ("boundary.json", "ServiceAndFleetRole", "RESOURCE_STAR"): "a boundary grants nothing; only to roles that Batch and Spot Fleet assume",
    ("launch-policy.json", "ReadInstances", "RESOURCE_STAR"): "a read of instances whose IDs are not known before",
    ("launch-policy.json", "ReadQueriesOfLogs", "RESOURCE_STAR"): "AWS knows a query by its ID only",
    ("platform-launch-policy.json", "ReadInstances", "RESOURCE_STAR"): "a read of instances whose IDs are not known before",
    ("platform-launch-policy.json", "ReadQueriesOfLogs", "RESOURCE_STAR"): "AWS knows a query by its ID only",
    ("nextflow-policy.json", "ReadInstances", "RESOURCE_STAR"): "a read of instances whose IDs are not known before",
}

# The statements of the boundary that deny.
DENIALS = {"NoOtherService", "NoWritesElsewhere"}


def findings(name: str) -> set[tuple[str, str, str]]:
    """The findings of parliament on a document, statement by statement."""
    found = set()
    document = documents.seen_by(documents.load(name))
    for statement in document["Statement"]:
        alone = json.dumps({**document, "Statement": [statement]})
        found |= {(name, statement["Sid"], finding.issue) for finding in analyze_policy_string(alone).findings}
    return found


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_parliament_finds_only_what_is_meant(name: str) -> None:
    assert findings(name) == {finding for finding in FINDINGS if finding[0] == name}


@pytest.mark.parametrize("name", documents.names())
def test_a_document_fits_its_limit(name: str) -> None:
    """Filled in with the longest values: another partition, a long region, the longest prefix and name of a table."""
    document = documents.load(name, Partition="aws-us-gov", Region="ap-southeast-2", Prefix="A" * 20, Table="A" * 255)
    size, limit = permissions.size(document), permissions.limit(name)
    print(f"\n{name}: {len(document['Statement'])} statements, {size} of {limit} characters", end="")
    assert size <= limit


def test_the_inline_policies_of_an_instance_role_fit_together() -> None:
    inline = ["nextflow", "s3", "s3-read", "pass-role", "cloudwatch-agent", "secrets-policy-instance-role"]
    values = {"Partition": "aws-us-gov", "Region": "ap-southeast-2", "Prefix": "A" * 20}
    files = [name if "policy" in name else f"{name}-policy" for name in inline]
    loaded = [documents.load(f"{name}.json", **values) for name in files]
    # The function joins them into one policy, in which a Sid must be unique.
    sids = [statement["Sid"] for document in loaded for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    size = sum(map(permissions.size, loaded))
    print(f"\nInstanceRole: {size} of {permissions.INLINE} characters, the rest is for InstanceRoleStatements", end="")
    assert size <= permissions.INLINE / 2


@pytest.mark.parametrize("name", documents.names())
def test_a_document_says_what_it_needs_to(name: str) -> None:
    text = (documents.POLICIES / name).read_text()
    document = json.loads(text)
    assert list(document) == ["Version", "Statement"] and document["Version"] == "2012-10-17"
    sids = [statement.get("Sid") for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    for statement in document["Statement"]:
        # A boundary has to forbid too: the policy of a resource can grant what a boundary only does not allow.
        assert (statement["Effect"] == "Deny") == (name == "scp-example.json" or statement.get("Sid") in DENIALS)
        assert "NotResource" not in statement and ("NotAction" in statement) == (statement.get("Sid") == "NoOtherService")
        actions = documents.listed(statement["Action"] if "Action" in statement else statement["NotAction"])
        assert actions == sorted(actions), statement["Sid"]
        if name != "boundary.json":
            assert not [action for action in actions if "*" in action], "actions are spelt out"


@pytest.mark.parametrize("name", [name for name in documents.names() if name.startswith("trust-")])
def test_a_role_trusts_one_service_of_this_account(name: str) -> None:
    (statement,) = documents.load(name)["Statement"]
    service = name.removeprefix("trust-").removesuffix(".json")
    assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"} and statement["Action"] == "sts:AssumeRole"
    # EC2 sets no aws:SourceAccount when an instance assumes its role, so a condition would lock every instance out.
    expected = None if service == "ec2" else {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert statement.get("Condition") == expected


def test_placeholders_are_those_of_the_readme() -> None:
    told = set(re.findall(r"`\$\{(\w+)\}`", (documents.POLICIES / "README.md").read_text())) - {"Name"}
    used = {name for document in documents.names() for name in re.findall(r"\$\{(\w+)\}", (documents.POLICIES / document).read_text())}
    assert used == told == set(documents.SAMPLE)


@pytest.mark.parametrize("name", documents.names())
def test_a_document_is_used_by_whom_the_readme_says(name: str) -> None:
    rows = re.findall(rf"^\| `{re.escape(name)}` \| .* \| (.+) \|$", (documents.POLICIES / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == 1, "one row in policies/README.md"
    marks = f"# begin policies/{name}" in (documents.ROOT / "template.yaml").read_text()
    code = [path for path in (documents.ROOT / "handler").rglob("*.rs") if f"policies/{name}" in path.read_text()]
    assert rows[0] == ("`template.yaml`" if marks else "the function" if code else "a person")
