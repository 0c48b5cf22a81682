"""Reads configurations with a parser of Groovy, and says how many are programs and have settings.

    python tests/nextflow/read.py FILE...
"""

import sys
from pathlib import Path

from groovy_parser.parser import parse_groovy_content


def main() -> int:
    """The exit status is 1 if one of the files is not a program, or says nothing of AWS Batch."""
    for name in sys.argv[1:]:
        text = Path(name).read_text()
        parse_groovy_content(text)
        if "executor = 'awsbatch'" not in text:
            print(f"{name} names no executor")
            return 1
    print(f"{len(sys.argv) - 1} configurations parsed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
