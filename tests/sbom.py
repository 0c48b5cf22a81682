"""Writes the bill of materials of both functions as CycloneDX: every crate that is compiled into them, with its checksum.

    python tests/sbom.py sbom.cdx.json

Run by `make sbom`. The crates are those that cargo resolves for Lambda's processors, without the ones that are only there for
tests and builds. Macros, which run in the compiler, are among them: they write code of the function.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ("tower-forge", "tower-forge-dead-letter")
TARGETS = ("aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu")


def crates(package: str) -> set[tuple[str, str]]:
    """The crates in a function, by name and version, as `cargo tree` has them."""
    found = set()
    for target in TARGETS:
        command = ["cargo", "tree", "--locked", "--package", package, "--edges", "normal", "--target", target, "--prefix", "none", "--format", "{p}"]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        words = (line.split() for line in run.stdout.splitlines() if line)
        found |= {(name, version.removeprefix("v")) for name, version, *rest in words}
    return found


def component(name: str, version: str, checksum: str | None) -> Component:
    """A crate; those of this project have no checksum."""
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else []
    purl = PackageURL("cargo", None, name, version)
    return Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl), hashes=hashes)


def bill() -> str:
    """The document."""
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(each["name"], each["version"]): each.get("checksum") for each in locked}
    bom = Bom()
    bom.metadata.component = Component(name="tower-forge", type=ComponentType.APPLICATION, bom_ref="tower-forge")
    for name, version in sorted(set().union(*map(crates, FUNCTIONS))):
        bom.components.add(component(name, version, checksums[name, version]))
    bom.register_dependency(bom.metadata.component, bom.components)
    text: str = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    return text


def main(path: Path) -> int:
    """Writes the document if CycloneDX's own schema has nothing against it."""
    text = bill()
    if (fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is not None:
        print(f"not a CycloneDX document: {fault}")
        return 1
    path.write_text(text)
    listed = json.loads(text)["components"]
    bare = [each["name"] for each in listed if not each.get("hashes")]
    print(f"{path}: {len(listed)} crates, {len(listed) - len(bare)} with a checksum; of this project: {', '.join(bare)}")
    return 0 if all(name.startswith("tower-forge") for name in bare) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
