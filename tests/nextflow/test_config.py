"""The golden texts of NextflowConfig, read by a parser of Groovy that is not ours.

The texts are written by the tests in handler/nextflow.rs. Here they are parsed, and their settings compared with
what Nextflow's reference of its configuration calls for.
"""

import ast
import re
import unittest
from pathlib import Path

from groovy_parser.parser import parse_groovy_content

GOLDEN = Path(__file__).parent.parent / "golden" / "nextflow"


def tokens(text: str) -> list[tuple[str, str]]:
    """The kinds and texts of the tokens of a program; raises if it is not one."""
    return [(token.type, token.value[2]) for token in parse_groovy_content(text).scan_values(lambda _: True)]


def settings(name: str) -> dict[str, list[str]]:
    """The settings of a golden text: dotted names, and the tokens of each value."""
    found: dict[str, list[str]] = {}
    scopes: list[str] = []
    line: list[str] = []
    for kind, text in tokens((GOLDEN / f"{name}.config").read_text()):
        if kind != "NL":
            line.append(text)
            continue
        if line == ["}"]:
            scopes.pop()
        elif line and line[-1] == "{":
            scopes.append("".join(line[:-1]))
        elif line:
            equals = line.index("=")
            found[".".join([*scopes, "".join(line[:equals])])] = line[equals + 1 :]
        line = []
    assert not scopes and not line, (scopes, line)
    return found


def string(value: list[str]) -> str:
    """The characters of a string: Groovy's escapes between single quotes are among Python's."""
    (literal,) = value
    assert re.fullmatch(r"'([^'\\\n]|\\['\\nrt]|\\u[0-9a-f]{4})*'", literal), literal
    return ast.literal_eval(literal)


class Config(unittest.TestCase):
    """Each golden text."""

    def test_minimal(self) -> None:
        found = settings("minimal")
        self.assertEqual(string(found["process.executor"]), "awsbatch")
        self.assertEqual(string(found["process.queue"]), "TowerForge-2CeQImw0JjWrMM0tRDGRZ7-work")
        self.assertEqual(string(found["workDir"]), "s3://genomics/work")
        self.assertEqual(string(found["aws.region"]), "eu-west-1")
        self.assertEqual(string(found["aws.batch.cliPath"]), "/home/ec2-user/miniconda/bin/aws")
        self.assertEqual(found["aws.batch.terminateUnschedulableJobs"], ["true"])
        self.assertEqual(len(found), 6)

    def test_spot(self) -> None:
        added = settings("spot").keys() - settings("minimal").keys()
        retries = {"process.errorStrategy", "process.maxRetries", "aws.batch.maxSpotAttempts"}
        self.assertEqual(added, retries | {"aws.batch.executionRole"})

    def test_fusion(self) -> None:
        found = settings("fusion")
        self.assertEqual(found["fusion.enabled"], ["true"])
        self.assertEqual(found["wave.enabled"], ["true"])
        self.assertEqual(found["process.scratch"], ["false"])
        self.assertNotIn("aws.batch.cliPath", found)
        self.assertNotIn("aws.batch.volumes", found)

    def test_everything(self) -> None:
        found = settings("everything")
        volumes = [text[1:-1] for text in found["aws.batch.volumes"] if text not in "[,]"]
        self.assertEqual(volumes, ["/scratch/fusion:/tmp", "/mnt/efs", "/mnt/fsx:/data:ro"])
        (dragen,) = [value for name, value in found.items() if re.search(r"withLabel:'dragen'\.queue$", name)]
        self.assertEqual(string(dragen), "TowerForge-2CeQImw0JjWrMM0tRDGRZ7-dragen")
        self.assertEqual(string(found["aws.batch.jobRole"]), "arn:aws:iam::123456789012:role/Job")
        self.assertEqual(string(found["aws.batch.executionRole"]), "arn:aws:iam::123456789012:role/Execution")
        self.assertEqual(string(found["aws.batch.logsGroup"]), "/lab/jobs")
        self.assertEqual(string(found["aws.batch.shareIdentifier"]), "nf")
        self.assertEqual(found["fusion.snapshots"], ["true"])
        self.assertEqual(found["process.maxRetries"], ["7"], "the user's own setting comes last")

    def test_hostile(self) -> None:
        expected = "it's ${1 + 1} $HOME \"x\" \\n \\u0027 \\' \n\r\t\u0001 ü /* // */"
        found = settings("hostile")
        self.assertEqual(string(found["workDir"]), expected)
        self.assertEqual(found.keys(), settings("minimal").keys())

    def test_the_parser_refuses_what_is_not_groovy(self) -> None:
        for wrong in ("process {\n", "a = 'it's'\n", "a = \n}\n"):
            with self.subTest(wrong), self.assertRaises(Exception):
                parse_groovy_content(wrong)


if __name__ == "__main__":
    unittest.main()
