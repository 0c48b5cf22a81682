"""Starts the local cloud: `python tests/cloud [--host H] [--port P] [--keep] [--report FILE]`.

One line of JSON on standard output says where it is; the end of standard input ends it, so that it never
outlives the process that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
# moto reads these once, when it is imported.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

import authz  # noqa: E402
import models  # noqa: E402
import server  # noqa: E402
import services  # noqa: E402
import wire  # noqa: E402


def main() -> None:
    """Serves until standard input ends, or for ever with --keep."""
    parser = argparse.ArgumentParser(prog="cloud", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose (default)")
    parser.add_argument("--keep", action="store_true", help="go on when standard input ends")
    parser.add_argument("--report", type=Path, help="write there at the end what policies and models were asked")
    arguments = parser.parse_args()
    if arguments.report:
        pending = arguments.report.with_suffix(".pending")
        pending.touch()

    services.install()
    cloud = server.serve(arguments.host, arguments.port)
    wire.warm(["batch", "iam", "ec2", "efs", "fsx", "logs", "cloudformation", "lambda", "dynamodb"])
    if not arguments.keep:
        threading.Thread(target=_end_with_stdin, args=(cloud,), daemon=True).start()
    print(json.dumps({"url": f"http://{arguments.host}:{cloud.bind_addr[1]}", "pid": os.getpid()}), flush=True)
    try:
        cloud.serve()
    except KeyboardInterrupt:
        pass
    if arguments.report:
        report = {"rights": authz.tally.report(), "models": models.found.report()}
        arguments.report.write_text(json.dumps(report, indent=2))
        pending.unlink()
    # Requests that still sleep are not waited for.
    sys.stdout.flush()
    os._exit(0)


def _end_with_stdin(cloud: server.Server) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    cloud.stop()


if __name__ == "__main__":
    main()
