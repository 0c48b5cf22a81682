"""A local AWS for all tests, and accounts in which the function has been deployed."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from local import Local, processes  # noqa: E402

BINARY = Path(os.environ.get("CARGO_TARGET_DIR") or processes.ROOT / "target") / "debug" / "tower-forge"

Deploy = Callable[[], Local]


@pytest.fixture(scope="session")
def deploy() -> Iterator[Deploy]:
    """Deploys the function in an unused account."""
    if not BINARY.is_file():
        pytest.fail(f"there is no {BINARY}: cargo build --locked --bins --tests")
    cloud, url = processes.start_cloud()
    numbers, deployed = itertools.count(310000000001), []

    def one() -> Local:
        deployed.append(Local(BINARY, url, str(next(numbers))))
        return deployed[-1]

    yield one
    for each in deployed:
        each.close()
    processes.stop(cloud)
