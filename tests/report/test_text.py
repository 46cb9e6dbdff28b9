"""The report on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from doctor import analyze
from doctor.report.text import print_text


def test_what_to_collect_is_a_list_whose_items_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    log = tmp_path / "run.log"
    log.write_text("./run.sh: line 3: 4242 Killed                  ./llama-server -m m.gguf\n")
    out = io.StringIO()
    print_text(analyze([log]), stream=out)
    rows = out.getvalue().split("\n")
    begin = next(number for number, row in enumerate(rows) if row.startswith("COLLECT"))
    items = rows[begin + 1 : rows.index("", begin)]
    assert len([row for row in items if row.startswith(" " * 12 + "- ")]) == 3
    assert {row[:14] for row in items if not row.startswith(" " * 12 + "- ")} == {" " * 14}
