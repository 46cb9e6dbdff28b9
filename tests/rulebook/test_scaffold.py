"""A rule begun from a line: it loads, its examples pass, and the lint asks for just what the author owes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctor.errors import UsageProblem
from doctor.rulebook.book import RuleBook, compile_book, load_book
from doctor.rulebook.examples import try_examples
from doctor.rulebook.lint import lint
from doctor.rulebook.load import Files, load_folder
from doctor.rulebook.scaffold import draft, write
from tests import helpers

LINES = [
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of memory",
    "Nov 03 06:10:16 box ollama[3085]: Error: listen tcp 127.0.0.1:11434: bind: address already in use",
    "(EngineCore_DP0 pid=171) ERROR 10-19 08:05:03 [core.py:708] ValueError: No available memory for the cache blocks.",
    "the flux 'capacitor' isn't \"charged\": 88 % # {{ not a template }} *x &y !z | > \\d",
    "Frobnicator\x1b[31m broke\x07 at \U0001f4a5 显存不足 offset -7",
]


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return load_book()


@pytest.mark.parametrize("line", LINES)
def test_it_lacks_only_what_the_author_owes(line: str, book: RuleBook, tmp_path: Path) -> None:
    begun = draft(line, book)
    path = write(begun, tmp_path)
    assert path == tmp_path / begun.area / f"{begun.id}.yaml"
    mistakes = [str(mistake) for mistake in lint([tmp_path], only_extra=True)]
    assert mistakes
    assert all("still to be written" in mistake for mistake in mistakes), mistakes
    assert all(re.search(r"\.yaml:[1-9]\d*: ", mistake) for mistake in mistakes), "each with its line"
    made = load_book([tmp_path])
    results = list(try_examples(made, [begun.id]))
    assert len(results) >= 2
    assert [result for result in results if not result.passed] == []


def test_what_is_near_and_what_is_known_already(book: RuleBook) -> None:
    begun = draft(LINES[0], book)
    assert begun.family.startswith("memory.vram")
    assert begun.family_known
    assert "vram-kv" in begun.matched
    assert set(begun.near) <= book.rules.keys()
    unknown = draft("gizmo frobnication exploded", book)
    assert (unknown.family, unknown.family_known, unknown.matched) == ("engine.bug", False, [])


def test_nothing_is_overwritten(book: RuleBook, tmp_path: Path) -> None:
    begun = draft(LINES[3], book, id_="flux")
    path = write(begun, tmp_path)
    path.write_text("mine")
    with pytest.raises(UsageProblem, match="already"):
        write(begun, tmp_path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"line": "12 34"}, "words"),
        ({"line": LINES[0], "id_": "../../etc/passwd"}, "no rule id"),
        ({"line": LINES[0], "id_": "Vram KV"}, "no rule id"),
        ({"line": LINES[0], "id_": "vram-kv"}, "already"),
        ({"line": LINES[0], "family": "memory.vram"}, "no such family"),
        ({"line": LINES[0], "unlike": [LINES[0].replace("4096", "12")]}, "must not match"),
    ],
)
def test_what_cannot_be_is_said(arguments: dict[str, str], words: str, book: RuleBook) -> None:
    with pytest.raises(UsageProblem, match=words):
        draft(book=book, **arguments)  # type: ignore[arg-type]


def test_a_secret_of_the_line_does_not_get_into_the_rule(book: RuleBook) -> None:
    begun = draft("login failed with --api-key sk-abcdefghijklmnopqrstuvwx refused", book)
    assert "abcdefghijkl" not in begun.text


def test_the_lint_names_a_todo_wherever_it_stands(tmp_path: Path) -> None:
    text = helpers.rule("half-done", summary="TODO - say it").replace("[the log]", "['TODO: what']")
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "half-done.yaml").write_text(text)
    found = [str(mistake) for mistake in lint([tmp_path], only_extra=True) if "still to be written" in str(mistake)]
    assert len(found) == 2


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_characters="\n\r"), min_size=1, max_size=80))
def test_any_line_gives_yaml_that_loads(text: str, tmp_path: Path) -> None:
    empty = RuleBook()
    line = f"broken thing {text}"
    begun = draft(line, empty, id_="thing")
    value = yaml.safe_load(begun.text)
    assert re.search(value["signatures"].popitem()[1]["pattern"], value["examples"]["match"][0]["log"], re.ASCII)
    (tmp_path / "engine").mkdir(exist_ok=True)
    (tmp_path / "engine" / "thing.yaml").write_text(begun.text, encoding="utf-8")
    files = load_folder(tmp_path, Files())
    assert files.mistakes == []
    assert compile_book(files).mistakes == []
