"""What the lint says of one rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.rulebook.lint import lint
from tests.rulebook.test_packs import RULE


def mistakes(folder: Path, pattern: str, match: str) -> list[str]:
    rules = folder / "server"
    rules.mkdir()
    text = RULE.replace(r"acme-router: dropped slot (?P<slot>\d+)", pattern)
    text = text.replace("summary: The router dropped slot {{ dropped.slot }}.", "summary: The router dropped a slot.")
    text = text.replace("match: ['acme-router: dropped slot 9']", f"match: ['{match}']")
    (rules / "acme-router-drops-slots.yaml").write_text(text)
    return [mistake.message for mistake in lint([folder], only_extra=True)]


def test_a_good_rule_is_left_in_peace(tmp_path: Path) -> None:
    assert mistakes(tmp_path, r"acme-router: dropped slot \d+", "acme-router: dropped slot 9") == []


@pytest.mark.parametrize(
    ("pattern", "match"),
    [
        (r"stop processing: .+ted = [1-9]", "stop processing: truncated = 1"),
        (r"Avg generation throughput: .+ Pending: [1-9]", "Avg generation throughput: 1 Pending: 1"),
    ],
)
def test_what_is_looked_for_in_a_line_of_each_request_is_told(tmp_path: Path, pattern: str, match: str) -> None:
    told = mistakes(tmp_path, pattern, match)
    assert len(told) == 1
    assert "is looked for in a line of each request" in told[0]
