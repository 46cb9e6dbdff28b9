"""Known cases against the rules that cite them."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.rulebook.book import load_book
from doctor.rulebook.coverage import cover, read_cases

CASES = """\
- {source: gpustack/gpustack#1269, engine: gpustack, family: memory.vram-kv}
- {source: GPUStack/GPUStack#1269, engine: gpustack, family: engine.bug, also: [memory.vram-kv]}
- {source: gpustack/gpustack#1269, engine: gpustack, family: engine.bug}
- {source: nobody/nothing#1, engine: none, family: engine.bug}
"""


def test_a_case_is_answered_by_a_rule_of_its_family_that_cites_it(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(CASES)
    right, also, other, none = cover(read_cases(path), load_book())
    assert "vram-kv" in right.answers
    assert "vram-kv" in also.answers
    assert (other.answers, "vram-kv" in other.others) == ((), True)
    assert (none.answers, none.others) == ((), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no YAML, line 1: "),
        ("a: 1", "is no list of cases"),
        ("- {source: a/b#1}", "case 1 has no source or no family"),
        ("- just words", "case 1 has no source or no family"),
    ],
)
def test_a_file_that_holds_no_cases_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    with pytest.raises(UsageProblem, match=message):
        read_cases(path)
