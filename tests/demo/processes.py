"""The processes of a local run: the cloud, Lambda as `cargo lambda watch` plays it, and the function's own binary."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from control import Account

ROOT = Path(__file__).resolve().parents[2]
CARGO_LAMBDA = ROOT / ".tools" / "bin" / "cargo-lambda"
RUN = ROOT / ".run"
"""The files that outlive a command: the kept cloud's address, and the logs."""

KEPT = RUN / "cloud.json"
READY = 60.0
"""Seconds that a process may take to come up on a busy machine."""


class NotReady(Exception):
    """A process did not come up."""


def wait_for(what: str, ready: Any, process: subprocess.Popen[Any] | None = None) -> Any:
    """Asks `ready` again until it gives something; NotReady when the process has ended or the time is over."""
    end = time.monotonic() + READY
    while time.monotonic() < end:
        if found := ready():
            return found
        if process is not None and process.poll() is not None:
            raise NotReady(f"{what} ended with {process.returncode} before it was ready")
        time.sleep(0.02)
    raise NotReady(f"{what} was not ready after {READY:.0f} s")


def start_cloud(keep: bool = False) -> tuple[subprocess.Popen[bytes], str]:
    """Starts the local cloud and returns it with its URL. Unless kept it ends with us: its stdin closes."""
    RUN.mkdir(parents=True, exist_ok=True)
    out = tempfile.TemporaryFile()
    with open(RUN / "cloud.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "cloud"), *(["--keep"] if keep else [])],
            stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
            # A file rather than a pipe: a kept cloud goes on when nobody reads any more.
            stdout=out,
            stderr=log,
            start_new_session=keep,
        )

    def line() -> bytes | None:
        out.seek(0)
        text = out.readline()
        return text if text.endswith(b"\n") else None

    return process, json.loads(wait_for("the local cloud", line, process))["url"]


def kept_cloud() -> dict[str, Any] | None:
    """The cloud that `make invoke` left running, if it still answers."""
    try:
        kept = json.loads(KEPT.read_text())
        Account(kept["url"], "000000000000").state()
        return kept
    except (OSError, ValueError, KeyError):
        return None


def keep_cloud() -> str:
    """The URL of the cloud that stays, started if need be."""
    if kept := kept_cloud():
        return kept["url"]
    process, url = start_cloud(keep=True)
    KEPT.write_text(json.dumps({"url": url, "pid": process.pid}))
    return url


def stop_kept_cloud() -> bool:
    """Ends the cloud that stays; False if there was none."""
    kept = kept_cloud()
    KEPT.unlink(missing_ok=True)
    if kept is None:
        return False
    os.kill(kept["pid"], signal.SIGTERM)
    return True


def stop(process: subprocess.Popen[Any]) -> None:
    """Ends a process of ours and waits for it."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def clean_environment() -> dict[str, str]:
    """Our environment, without all that would tell the function of another AWS."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TOWER_FORGE_"))}


EVERYTHING_ALLOWED = {
    "TOWER_FORGE_ALLOWED_BUCKETS": "*",
    "TOWER_FORGE_ALLOWED_VPCS": "*",
    "TOWER_FORGE_ALLOWED_SECURITY_GROUPS": "*",
    "TOWER_FORGE_ALLOWED_IMAGE_OWNERS": "*",
    "TOWER_FORGE_ALLOWED_KEY_PAIRS": "*",
    "TOWER_FORGE_ALLOWED_KEYS": "*",
    "TOWER_FORGE_ALLOWED_FILE_SYSTEMS": "*",
    "TOWER_FORGE_ALLOWED_LOG_GROUPS": "*",
    "TOWER_FORGE_ROLE_TAGS": "*",
    "TOWER_FORGE_REQUIRE_ENCRYPTION": "false",
    "TOWER_FORGE_MAX_FORGES": "1000",
}
"""What a deployer would have to type to let stacks name anything; an event of the demo may."""


def local_environment(account: Account, region: str, scale: float) -> dict[str, str]:
    """The environment in which the binary, or any AWS client, works in an account of the local cloud."""
    return {
        "AWS_ACCESS_KEY_ID": account.access_key,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": account.url,
        "AWS_SDK_UA_APP_ID": "demo",
        "TOWER_FORGE_LOCAL": "1",
        "TOWER_FORGE_TABLE": "tower-forge-claims",
        "TOWER_FORGE_TIME_SCALE": str(scale),
    } | EVERYTHING_ALLOWED


class Lambda:
    """The function behind `cargo lambda watch --only-lambda-apis`, its binary started by hand: nothing is rebuilt."""

    def __init__(self, binary: Path, environment: dict[str, str]) -> None:
        RUN.mkdir(parents=True, exist_ok=True)
        self.log = RUN / "function.log"
        self._logs: list[IO[bytes]] = []
        self._processes: list[subprocess.Popen[Any]] = []
        self._port = _free_port()
        try:
            self._start(binary, environment)
        except BaseException:
            self.close()
            raise

    def _start(self, binary: Path, environment: dict[str, str]) -> None:
        clean = clean_environment()
        watch = self._spawn(
            [str(CARGO_LAMBDA), "lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", str(self._port)],
            clean,
            RUN / "lambda.log",
        )
        wait_for("cargo lambda watch", lambda: _listens(self._port), watch)
        runtime = {
            # With a path, it has to be a URL: without a scheme the runtime would not take it for one.
            "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{self._port}/.rt",
            "AWS_LAMBDA_FUNCTION_NAME": "_",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }
        self.function = self._spawn([str(binary)], clean | {"RUST_BACKTRACE": "0"} | environment | runtime, self.log)

    def invoke(self, event: dict[str, Any]) -> Any:
        """The result of the function for an event, through `cargo lambda invoke`."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file, tempfile.TemporaryFile("w+") as out:
            json.dump(event, file)
            file.flush()
            invoke = subprocess.Popen(
                [str(CARGO_LAMBDA), "lambda", "invoke", "-A", "127.0.0.1", "-P", str(self._port), "--data-file", file.name],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            try:
                while invoke.poll() is None:
                    # Lambda would start it again; here nobody would ever answer.
                    if self.function.poll() is not None:
                        raise SystemExit(f"the function ended with {self.function.returncode}\n{self.log_tail()}")
                    time.sleep(0.02)
            finally:
                stop(invoke)
            out.seek(0)
            text = out.read()
        if invoke.returncode:
            raise SystemExit(f"cargo lambda invoke: {text.strip()}\n{self.log_tail()}")
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text

    def log_tail(self, lines: int = 15) -> str:
        """The last lines that the function has logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def peak_memory(self) -> float | None:
        """The most memory that the function has had resident, in MB, where the system tells."""
        return peak_memory(self.function.pid)

    def close(self) -> None:
        """Ends both processes."""
        for process in reversed(self._processes):
            stop(process)
        for log in self._logs:
            log.close()

    def _spawn(self, command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[Any]:
        file = open(log, "wb")
        self._logs.append(file)
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        self._processes.append(process)
        return process

    def __enter__(self) -> Lambda:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def peak_memory(pid: int) -> float | None:
    """A process's VmHWM in MB; None where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _free_port() -> int:
    # cargo-lambda takes a number only, so one is picked that was free a moment ago.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
