"""The template says the same as the documents in `policies/`, and sets all that the function counts on."""

import re
import shlex
import subprocess
from pathlib import Path

import documents
import pytest
import render
from intrinsics import Template

TEXT = (documents.ROOT / "template.yaml").read_text()
BOUNDARY = "arn:aws:iam::123456789012:policy/lab-boundary"
OTHER = "arn:aws:iam::123456789012:policy/other-boundary"

# Parameters of a deployment, and the same as values of placeholders.
DEPLOYMENTS: dict[str, tuple[dict[str, str], documents.Values]] = {
    "as it comes": ({"AllowedBuckets": "*"}, {}),
    "everything allowed": (
        {
            "NamePrefix": "Lab",
            "AllowedBuckets": "arn:aws:s3:::lab-*",
            "AllowedPolicies": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore,arn:aws:iam::123456789012:policy/lab-*",
            "AllowedRoles": "arn:aws:iam::123456789012:role/lab-*",
            "AllowedBoundaries": OTHER,
            "AllowedJobDefinitions": "arn:aws:batch:*:123456789012:job-definition/lab-*",
            "AllowedLogGroups": "arn:aws:logs:*:123456789012:log-group:/lab/*,arn:aws:logs:*:123456789012:log-group:/pipelines*",
            "AllowedVpcs": "vpc-0123456789abcdef0,vpc-0123456789abcdef1",
            "AllowedImageOwners": "amazon,self,999999999999",
            "WriteAccounts": "999999999999",
            "RoleTags": "CostCenter,team:*",
            "AllowedKeyPairs": "ada,grace",
        },
        {
            "Prefix": "Lab",
            "AllowedJobDefinition": ["arn:aws:batch:*:123456789012:job-definition/lab-*"],
            "AllowedLogGroup": ["arn:aws:logs:*:123456789012:log-group:/lab/*", "arn:aws:logs:*:123456789012:log-group:/pipelines*"],
            "Vpc": ["arn:*:ec2:*:*:vpc/vpc-0123456789abcdef0", "arn:*:ec2:*:*:vpc/vpc-0123456789abcdef1"],
            "ImageOwner": ["amazon", "self", "999999999999"],
            "WriteAccount": ["999999999999"],
            "RoleTag": ["CostCenter", "team:*"],
            "KeyPair": ["ada", "grace"],
            "AllowedBucket": ["arn:aws:s3:::lab-*"],
            "AllowedPolicy": ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", "arn:aws:iam::123456789012:policy/lab-*"],
            "AllowedRole": ["arn:aws:iam::123456789012:role/lab-*"],
            "Boundary": ["<Boundary>", OTHER],
        },
    ),
    "a boundary of one's own": ({"PermissionsBoundary": BOUNDARY, "AllowedBuckets": "*"}, {"Boundary": [BOUNDARY]}),
    "two boundaries of one's own": (
        {"PermissionsBoundary": BOUNDARY, "AllowedBoundaries": OTHER, "AllowedBuckets": "*"},
        {"Boundary": [BOUNDARY, OTHER]},
    ),
}

DEFAULTS: documents.Values = {"AllowedPolicy": [], "AllowedRole": [], "AllowedBucket": ["*"], "Boundary": ["<Boundary>"], "Table": "<ClaimTable>"}


def lists(part: object) -> object:
    """IAM does not tell a list of one from the thing itself."""
    if isinstance(part, dict):
        return {key: lists(item) for key, item in part.items()}
    if isinstance(part, list):
        return lists(part[0]) if len(part) == 1 and isinstance(part[0], str) else [lists(item) for item in part]
    return part


def held(template: Template) -> dict[str, dict]:
    """The documents as the template holds them."""
    return {
        "forge-policy.json": template.properties("TowerForgeFunctionRole")["Policies"][0]["PolicyDocument"],
        "dead-letter-policy.json": template.properties("DeadLetterFunctionRole")["Policies"][0]["PolicyDocument"],
        "boundary.json": template.properties("Boundary")["PolicyDocument"],
    }


@pytest.mark.parametrize("name", ["template.yaml", "docs/permissions.md"])
def test_what_is_written_from_the_policies_is_up_to_date(name: str) -> None:
    assert (documents.ROOT / name).read_text() == render.rendered()[name], "run python3 tests/policies/render.py"


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_the_template_holds_the_documents(deployment: str) -> None:
    parameters, values = DEPLOYMENTS[deployment]
    for name, document in held(Template(TEXT, **parameters)).items():
        assert lists(document) == lists(documents.load(name, **{**DEFAULTS, **values})), name


@pytest.mark.parametrize(("parameter", "start", "services"), [("EnableEfs", "Efs", "elasticfilesystem:"), ("EnableFsx", "Fsx", "fsx:")])
def test_a_feature_that_is_not_wanted_leaves_its_statements_out(parameter: str, start: str, services: str) -> None:
    everything = held(Template(TEXT))["forge-policy.json"]["Statement"]
    without = held(Template(TEXT, **{parameter: "false"}))["forge-policy.json"]["Statement"]
    assert without == [statement for statement in everything if not statement["Sid"].startswith(start)]
    assert len(without) < len(everything)
    # It may still look, so that a Delete finds the file systems that were made before the feature was turned off.
    actions = [action for statement in without for action in documents.listed(statement["Action"])]
    assert all(":Describe" in action for action in actions if action.startswith(services))


@pytest.mark.parametrize(
    ("parameters", "features"),
    [({}, "efs,fsx"), ({"EnableFsx": "false"}, "efs"), ({"EnableEfs": "false"}, "fsx"), ({"EnableEfs": "false", "EnableFsx": "false"}, "")],
)
def test_the_function_is_told_the_features(parameters: dict[str, str], features: str) -> None:
    variables = Template(TEXT, **parameters).properties("TowerForgeFunction")["Environment"]["Variables"]
    assert variables["TOWER_FORGE_FEATURES"] == features


def test_the_function_is_told_what_the_policy_allows() -> None:
    parameters, values = DEPLOYMENTS["everything allowed"]
    variables = Template(TEXT, **parameters).properties("TowerForgeFunction")["Environment"]["Variables"]
    assert variables["TOWER_FORGE_NAME_PREFIX"] == "Lab"
    assert variables["TOWER_FORGE_PERMISSIONS_BOUNDARY"] == "<Boundary>"
    assert variables["TOWER_FORGE_ALLOWED_BOUNDARIES"] == OTHER
    assert variables["TOWER_FORGE_ALLOWED_POLICIES"].split(",") == values["AllowedPolicy"]
    assert variables["TOWER_FORGE_ALLOWED_ROLES"].split(",") == values["AllowedRole"]
    assert variables["TOWER_FORGE_RETIRE_AFTER"] == "3600"


def test_both_functions_are_told_the_table_and_may_read_and_write_it() -> None:
    template = Template(TEXT)
    for function, name in (("TowerForgeFunction", "forge-policy.json"), ("DeadLetterFunction", "dead-letter-policy.json")):
        assert template.properties(function)["Environment"]["Variables"]["TOWER_FORGE_TABLE"] == "<ClaimTable>"
        rights = [statement for statement in held(template)[name]["Statement"] if "dynamodb:" in str(statement["Action"])]
        assert [statement["Action"] for statement in rights] == [["dynamodb:GetItem", "dynamodb:UpdateItem"]]
        assert rights[0]["Resource"].endswith(":table/<ClaimTable>")


def test_the_table_is_what_the_function_counts_on() -> None:
    table, properties = Template(TEXT).body["Resources"]["ClaimTable"], Template(TEXT).properties("ClaimTable")
    assert properties["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert properties["AttributeDefinitions"] == [{"AttributeName": "id", "AttributeType": "S"}]
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert not {"TableName", "DeletionProtectionEnabled"} & set(properties), "it can be replaced, and goes with the stack"
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Delete"


def test_the_functions_have_no_rights_over_their_own_roles() -> None:
    """Whatever the stack and the prefix are called: a role's ARN begins with its path, and the path holds no prefix and hyphen."""
    prefix = re.compile(Template(TEXT).body["Parameters"]["NamePrefix"]["AllowedPattern"])
    for role in ("TowerForgeFunctionRole", "DeadLetterFunctionRole"):
        path = Template(TEXT).properties(role)["Path"].strip("/")
        assert prefix.fullmatch(path), "without a hyphen, so role/<prefix>-* cannot match"
    assert not prefix.fullmatch("towerforge-") and not prefix.fullmatch("a/b")


def test_events_are_retried_then_answered_by_the_dead_letter_function() -> None:
    handler = Template(TEXT).properties("TowerForgeFunction")
    assert handler["Timeout"] == 900
    assert handler["EventInvokeConfig"] == {
        "MaximumRetryAttempts": 2,
        "MaximumEventAgeInSeconds": 3600,
        "DestinationConfig": {"OnFailure": {"Type": "Lambda", "Destination": "<DeadLetterFunction.Arn>"}},
    }
    assert handler["Events"]["Sweep"]["Properties"]["Input"] == '{"sweep": true}'
    dead_letter = Template(TEXT).properties("DeadLetterFunction")
    invoked = documents.load("forge-policy.json")["Statement"]
    functions = next(statement["Resource"] for statement in invoked if statement["Action"] == "lambda:InvokeFunction")
    assert {arn.rsplit(":", 1)[1] for arn in functions} == {handler["FunctionName"], dead_letter["FunctionName"]}


def test_log_groups_are_explicit_so_that_none_comes_back_after_deletion() -> None:
    for function in ("TowerForgeFunction", "DeadLetterFunction"):
        properties = Template(TEXT).properties(function)
        log = Template(TEXT).properties(f"{function}Log")
        assert properties["LoggingConfig"]["LogFormat"] == "JSON"
        assert properties["LoggingConfig"]["LogGroup"] == f"<{function}Log>"
        assert log["LogGroupName"] == f"/aws/lambda/{properties['FunctionName']}"
        policy = documents.load("forge-policy.json" if function == "TowerForgeFunction" else "dead-letter-policy.json")
        writes = next(statement for statement in policy["Statement"] if statement["Sid"] == "OwnLog")
        assert writes["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
        assert writes["Resource"].endswith(f":log-group:{log['LogGroupName']}:*")


def test_the_prefix_is_part_of_the_exported_service_token() -> None:
    template = Template(TEXT, NamePrefix="Lab")
    assert template.properties("TowerForgeFunction")["FunctionName"] == "Lab-handler"
    exported = template.value(template.body["Outputs"]["ServiceToken"])
    assert exported["Export"]["Name"] == "tower-forge-ServiceToken" and exported["Value"] == "<TowerForgeFunction.Arn>"


def test_named_iam_resources_are_acknowledged() -> None:
    assert 'capabilities = "CAPABILITY_NAMED_IAM"' in Path(documents.ROOT / "samconfig.toml").read_text()


@pytest.mark.parametrize(
    ("buckets", "parameter"),
    [
        ("genomics-* references", "'AllowedBuckets=arn:*:s3:::genomics-*,arn:*:s3:::references,arn:*:s3:::references/*'"),
        ("genomics-*,lab", "'AllowedBuckets=arn:*:s3:::genomics-*,arn:*:s3:::lab,arn:*:s3:::lab/*'"),
        ("*", "'AllowedBuckets=arn:*:s3:::*'"),
    ],
)
def test_one_command_deploys_with_the_names_of_buckets(buckets: str, parameter: str) -> None:
    run = subprocess.run(["make", "-n", "deploy", f"BUCKETS={buckets}"], cwd=documents.ROOT, capture_output=True, text=True, check=True)
    assert f"sam deploy --parameter-overrides Architecture=arm64 {parameter}" in run.stdout
    words = shlex.split(run.stdout[run.stdout.rindex("--parameter-overrides") :].splitlines()[0])
    assert f"{parameter.strip(chr(39))}" in words


def test_nothing_that_stacks_may_name_is_everything_by_default() -> None:
    parameters = Template(TEXT).body["Parameters"]
    lists = {name: given.get("Default") for name, given in parameters.items() if given["Type"] == "CommaDelimitedList"}
    assert "AllowedBuckets" in lists and lists.pop("AllowedBuckets") is None
    assert len(lists) > 10 and not [name for name, default in lists.items() if "*" in default.split(",")]


def test_the_function_is_told_each_limit() -> None:
    variables = Template(TEXT, AllowedBuckets="*").properties("TowerForgeFunction")["Environment"]["Variables"]
    settings = (documents.ROOT / "handler/settings.rs").read_text()
    read = set(re.findall(r'"(TOWER_FORGE_(?:ALLOWED|MAX|ROLE|REQUIRE|STACK)_\w+)"', settings))
    told = {name for name in variables if re.match(r"TOWER_FORGE_(ALLOWED|MAX|ROLE|REQUIRE|STACK)_", name)}
    assert read == told and len(told) > 15
    # A function that is started without them means what the template does.
    for name, text in re.findall(r'number\("(TOWER_FORGE_\w+)", ([\d_]+)\)', settings):
        assert variables[name] == text.replace("_", ""), name


@pytest.mark.parametrize("parameter", ["PermissionsBoundary", "AllowedBoundaries"])
@pytest.mark.parametrize(
    ("boundary", "allowed"),
    [
        ("AdministratorAccess", False),
        ("PowerUserAccess", False),
        ("IAMFullAccess", False),
        ("*", False),
        ("AdministratorAccessOfForges", True),
        ("lab", True),
    ],
)
def test_a_boundary_bounds(parameter: str, boundary: str, allowed: bool) -> None:
    # CloudFormation compares each value of a list with the pattern.
    pattern = Template(TEXT).body["Parameters"][parameter]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, f"arn:aws:iam::aws:policy/{boundary}")) == allowed
    assert re.fullmatch(pattern, "")


def test_a_deployer_may_ask_for_signed_code_encrypted_logs_and_a_number_of_executions() -> None:
    signing = "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-0123456789abcdef0"
    key = "arn:aws:kms:eu-west-1:123456789012:key/1b2c3d4e-0000-4000-8000-000000000000"
    asked = Template(TEXT, CodeSigningConfigArn=signing, LogKmsKeyArn=key, ReservedConcurrency="30")
    plain = Template(TEXT)
    for function in ("TowerForgeFunction", "DeadLetterFunction"):
        assert asked.properties(function)["CodeSigningConfigArn"] == signing
        assert asked.properties(f"{function}Log")["KmsKeyId"] == key
        assert "CodeSigningConfigArn" not in plain.properties(function) and "KmsKeyId" not in plain.properties(f"{function}Log")
    assert asked.properties("TowerForgeFunction")["ReservedConcurrentExecutions"] == "30"
    assert "ReservedConcurrentExecutions" not in plain.properties("TowerForgeFunction")
    # Whoever answers for the dead must not wait for a free execution.
    assert "ReservedConcurrentExecutions" not in asked.properties("DeadLetterFunction")


def test_the_table_of_limits_has_every_parameter_with_its_default() -> None:
    body = Template(TEXT).body
    groups = {group["Label"]["default"]: group["Parameters"] for group in body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]}
    table = (documents.ROOT / "SECURITY.md").read_text().split("## What a deployment allows")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    told = {name: row[1] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert set(groups["Limits for stacks"]) | {"AllowedBoundaries", "StackAccounts"} == set(told)
    for name, default in told.items():
        value = str(body["Parameters"][name].get("Default", "must be given")) or "none"
        assert value in default.replace("`", ""), (name, value, default)
