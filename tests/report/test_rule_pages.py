"""The page of a rule: every part that a reader asks for, in words and not in templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from doctor.report.rule_pages import index_page, rule_page, worded
from doctor.rulebook.book import load_book
from doctor.rulebook.examples import shown
from doctor.scan.database import Database
from tests.helpers import book, rule

BOOK = load_book()


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Needs {{ need | size }}.", "Needs <need | size>."),
        ("Set {% if fits is known %}{{ fits }} tokens{% else %}fewer tokens{% endif %} (-c)", "Set fewer tokens (-c)"),
        ("Full{% if holder is known %}: {{ holder }} has it{% endif %}.", "Full."),
        ("{% if a %}A{% if b %}B{% else %}C{% endif %}{% else %}D{% if c %}E{% else %}F{% endif %}{% endif %}", "DF"),
        ("{% if a %}one{% elif b %}two{% else %}three{% endif %}", "three"),
        ("one {%- if x -%} two {%- endif -%} ; three", "one; three"),
    ],
)
def test_prose_as_it_reads_when_nothing_is_known(template: str, text: str) -> None:
    assert worded(template) == text


def test_a_page_tells_what_the_rule_says_about_its_first_example() -> None:
    vram = BOOK.rules["vram-kv"]
    page = rule_page(vram.card, shown(vram, BOOK, Database(BOOK.patterns())))
    assert "The KV cache needed 4.4 GiB on GPU 3" in page
    parts = [
        "# The KV cache does not fit",
        "## What it looks like",
        "## Why it happens",
        "## How to fix it",
        "## How to provoke it",
        "## How we know",
        "<https://github.com/gpustack/gpustack/issues/1269>",
    ]
    assert [page.index(part) for part in parts] == sorted(page.index(part) for part in parts)


def test_no_page_holds_a_template() -> None:
    for each in BOOK.rules.values():
        prose = re.sub(r"```.*?```", "", rule_page(each.card, None), flags=re.S)
        assert "{{" not in prose
        assert "{%" not in prose


def test_the_index_links_every_rule() -> None:
    page = index_page(list(BOOK.rules.values()))
    assert all(f"({name}.md)" in page for name in BOOK.rules)


def test_an_example_in_which_the_rule_is_not_found_shows_nothing(tmp_path: Path) -> None:
    made = book(tmp_path, rule("boom"))
    assert shown(made.rules["boom"], made, Database(made.patterns(), cache=False)) is None
