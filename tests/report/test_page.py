"""Layout: nothing is lost, nothing is wider than the page, nothing of a log is obeyed."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.report.page import Page, cells, clean, wrap


def rows(text: str, width: int) -> list[str]:
    return [text[start:end] for start, end in wrap(text, width, width)]


@given(st.text(st.characters(codec="utf-8"), max_size=300), st.integers(2, 90), st.integers(2, 90))
def test_wrapping_loses_nothing_and_keeps_to_the_width(text: str, first: int, other: int) -> None:
    shown = clean(text)
    found = list(wrap(shown, first, other))
    assert "".join("".join(shown[start:end] for start, end in found).split()) == "".join(shown.split())
    for number, (start, end) in enumerate(found):
        assert cells(shown[start:end]) <= (other if number else first)


def test_words_stay_whole() -> None:
    assert rows("the quick brown fox jumps", 10) == ["the quick", "brown fox", "jumps"]


def test_a_long_path_breaks_between_its_parts() -> None:
    assert rows("/usr/share/ollama/models/blobs", 20) == ["/usr/share/ollama/", "models/blobs"]


def test_chinese_takes_two_columns() -> None:
    assert rows("显存不足无法分配", 8) == ["显存不足", "无法分配"]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def page(monkeypatch: pytest.MonkeyPatch, out: io.StringIO, columns: int = 80, **environment: str) -> Page:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Page(out)


@pytest.mark.parametrize(
    ("environment", "terminal", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "xterm-256color"}, False, False),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm-256color", "FORCE_COLOR": "1"}, False, True),
        ({"TERM": "xterm-256color", "FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colours(environment: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Screen() if terminal else io.StringIO()
    page(monkeypatch, out, **environment).say(("broken", "bold red"))
    assert ("\x1b[" in out.getvalue()) == coloured
    assert "broken" in out.getvalue()


def test_no_escape_of_a_log_reaches_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Screen()
    evil = "a\x1b]0;owned\x07b\x1b[2Jc\u202ed\u200be\x9bf [bold]g[/bold] :smile:"
    page(monkeypatch, out, TERM="xterm-256color").say(evil)
    assert out.getvalue() == "a\ufffd]0;owned\ufffdb\ufffd[2Jc\ufffdd\ufffde\ufffdf [bold]g[/bold] :smile:\n"


def test_labels_stand_beside_or_above(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, narrow = io.StringIO(), io.StringIO()
    page(monkeypatch, wide, 80).labelled("LABEL", "word " * 20, column=8)
    page(monkeypatch, narrow, 50).labelled("LABEL", "word " * 20, column=8)
    assert wide.getvalue().splitlines()[:2] == [
        "LABEL   " + "word " * 13 + "word",
        " " * 8 + "word word word word word word",
    ]
    assert narrow.getvalue().splitlines()[:2] == ["LABEL", "  " + ("word " * 9).rstrip()]


def test_a_cut_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    page(monkeypatch, out, 40).say("word " * 30, most=2, margin="| ", hang=4)
    first, second = out.getvalue().splitlines()
    assert first == ("word " * 8).rstrip()
    assert second.startswith("  | word")
    assert second.endswith(" …")
    assert len(second) <= 40


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_a_stream_that_has_not_our_signs(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    page(monkeypatch, out).say("▶ 12 │ 显存不足 → é")  # type: ignore[arg-type]
    out.flush()
    shown = raw.getvalue().decode(encoding)
    assert shown == ("▶ 12 │ 显存不足 → é\n" if encoding == "utf-8" else shown)
    assert "12" in shown
    assert shown.startswith("▶" if encoding == "utf-8" else ">")


@pytest.mark.parametrize("columns", ["0", "-3", "many", "99999999999999999999", ""])
def test_a_senseless_width_is_not_taken(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert Page(io.StringIO()).width == 80
