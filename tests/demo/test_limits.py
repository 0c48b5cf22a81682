"""The limits, and the table of them that contributors read."""

from __future__ import annotations

import limits
import processes
import pytest


def test_contributing_shows_all_limits() -> None:
    assert limits.markdown() in (processes.ROOT / "CONTRIBUTING.md").read_text(), limits.markdown()


def test_a_figure_is_shown_beside_its_limit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    limits.report({limits.CREATE: 1.15, limits.DELETE_BATCH: 40})
    create, delete = (line.split("  ") for line in capsys.readouterr().out.splitlines()[-2:])
    assert [cell.strip() for cell in create if cell][1:] == ["1.15 ×", "1.15 ×", "holds"]
    assert [cell.strip() for cell in delete if cell][1:] == ["40 calls", "32 calls", "25% over"]
