"""Writes docs/size.md: the parts of the two binaries as they are shipped, by section and by family of crates.

    python tests/size.py

Run by `make size`. It links both functions once more with their symbols, which `nm` lists. Code that is generated for a type
of a service's SDK counts as that SDK's, whichever crate it comes from.
"""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = {"the function": ("tower-forge", "tower-forge"), "the dead letter": ("tower-forge-dead-letter", "dead-letter")}
"""The package and the binary of each."""

FAMILIES = {
    "Tower Forge": r"tower_forge|dead_letter",
    "AWS SDK of one service": r"aws_sdk_",
    "runtime of the AWS SDK": r"aws_",
    "HTTP, TLS and cryptography": r"hyper|reqwest|rustls|ring|http|webpki|url|idna|tower|sha2|icu|percent_encoding|untrusted",
    "asynchronous runtime, and Lambda's": r"tokio|futures|lambda_runtime|mio|async_stream|slab",
    "JSON, time and logs": r"serde|tracing|time|base64|itoa|ryu|zmij|memchr",
    "Rust's standard library": r"core|alloc|std|hashbrown|compiler_builtins|gimli|addr2line|rustc_demangle|object|miniz_oxide",
}
SECTIONS = {
    "code": (".text",),
    "constants": (".rodata", ".data.rel.ro", ".data", ".tdata"),
    "tables for unwinding": (".eh_frame", ".eh_frame_hdr", ".gcc_except_table"),
    "relocations": (".rela.dyn", ".relr.dyn"),
}


def link(package: str, name: str) -> Path:
    """The binary of a package with its symbols."""
    command = ["cargo", "rustc", "--locked", "--release", "--package", package, "--bin", name, "--", "-C", "strip=none"]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / name


def sections(binary: Path) -> dict[str, int]:
    """The bytes of each sort of section."""
    listed = subprocess.run(["size", "-A", str(binary)], capture_output=True, text=True, check=True).stdout
    found = {name: int(size) for name, size in re.findall(r"^(\.\S+)\s+(\d+)", listed, re.MULTILINE)}
    return {sort: sum(found.get(name, 0) for name in names) for sort, names in SECTIONS.items()}


def family(symbol: str) -> str:
    """The family of the crate that a symbol is of."""
    service = re.search(r"\baws_sdk_\w+", symbol)
    crate = service or re.match(r"[<&(\[*]*(?:dyn |const |mut )*(\w+)", symbol)
    name = crate[0] if service else crate[1] if crate else ""
    matching = (family for family, pattern in FAMILIES.items() if re.match(pattern, name))
    return next(matching, "everything else")


def families(binary: Path) -> Counter[str]:
    """The bytes of code of each family."""
    listed = subprocess.run(["nm", "-S", "--demangle", str(binary)], capture_output=True, text=True, check=True).stdout
    # Functions that were found to be the same share an address.
    found = {start: (int(size, 16), symbol) for start, size, symbol in re.findall(r"^(\w+) (\w+) [tTwW] (.+)$", listed, re.MULTILINE)}
    code: Counter[str] = Counter()
    for size, symbol in found.values():
        code[family(symbol)] += size
    return code


def table(head: str, columns: list[dict[str, int]]) -> list[str]:
    """Rows of MB, the largest of the first column first."""
    names = sorted(set().union(*columns), key=lambda name: -columns[0].get(name, 0))
    rows = [f"| {head} | {' | '.join(FUNCTIONS)} |", f"|---|{'---|' * len(columns)}"]
    rows += [f"| {name} | {' | '.join(f'{column.get(name, 0) / 1e6:.2f}' for column in columns)} |" for name in names]
    return [*rows, f"| all of it | {' | '.join(f'{sum(column.values()) / 1e6:.2f}' for column in columns)} |", ""]


def main() -> None:
    """Links both, and writes the page."""
    binaries = [link(*each) for each in FUNCTIONS.values()]
    page = [
        "# Size",
        "",
        "`make size` writes this page. The figures are MB of the binaries as they are linked for this machine's processor, before",
        "they are compressed; docs/performance.md has the zips.",
        "",
        *table("section", [sections(binary) for binary in binaries]),
        "The code, by the crates that it comes from:",
        "",
        *table("crates", [families(binary) for binary in binaries]),
    ]
    (ROOT / "docs/size.md").write_text("\n".join(page).replace("docs/performance.md", "[docs/performance.md](performance.md)"))


if __name__ == "__main__":
    main()
