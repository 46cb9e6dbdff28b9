from __future__ import annotations

import sys
from pathlib import Path

import pytest

from doctor.scan import database as module
from doctor.scan.database import Database
from doctor.scan.engines import LINES_A_MARK, HyperscanEngine, PlainEngine
from doctor.scan.patterns import Pattern

PATTERNS = [
    Pattern("load", r"failed to load (?P<what>\S+)$"),
    Pattern("memory", "out of memory", ignore_case=True),
    Pattern("twin", r"failed to load (?P<file>\S+)"),
    Pattern("speed", r"(?P<n>\d+) tokens per second", dense=True),
]
TEXT = b"failed to load model: Out of Memory\nout of memory\n7 tokens per second\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMDOCTOR_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def found(database: Database) -> dict[str, dict[int, list[int]]]:
    return {
        flavour: dict(database.searcher(flavour).search(TEXT, 100)[0])  # type: ignore[arg-type]
        for flavour in ("rare", "once", "dense", "sample")
    }


EXPECTED = {
    "rare": {0: [16], 1: [35, 49]},
    "once": {0: [16], 1: [35]},
    "dense": {3: [69]},
    "sample": {3: [69]},
}


def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts real compilations."""
    made: list[str] = []
    compile_ = HyperscanEngine.compile.__func__  # type: ignore[attr-defined]

    def counting(cls: type, patterns: object, forms: object, chosen: object, flavour: str, refuse: object) -> object:
        made.append(flavour)
        return compile_(cls, patterns, forms, chosen, flavour, refuse)

    monkeypatch.setattr(HyperscanEngine, "compile", classmethod(counting))
    return made


def test_flavours_and_twins() -> None:
    database = Database(PATTERNS)
    assert found(database) == EXPECTED
    assert database.twins == {0: [0, 2], 1: [1], 3: [3]}


def test_second_time_it_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = compilations(monkeypatch)
    assert found(Database(PATTERNS)) == EXPECTED
    assert made == ["rare", "once", "dense", "sample"]
    assert len(list(folder.glob("patterns-*"))) == 4
    again = Database(PATTERNS)
    assert found(again) == EXPECTED
    assert made == ["rare", "once", "dense", "sample"]
    assert [form.exact for form in again.forms] == [False, True, True, True]
    assert again.twins == {0: [0, 2], 1: [1], 3: [3]}


@pytest.mark.parametrize("other", [PATTERNS[:3], [*PATTERNS[:3], Pattern("speed", PATTERNS[3].pattern)]])
def test_other_patterns_are_compiled(other: list[Pattern], monkeypatch: pytest.MonkeyPatch) -> None:
    Database(PATTERNS).searcher("rare")
    made = compilations(monkeypatch)
    Database(other).searcher("rare")
    assert made == ["rare"]


def test_another_processor_or_release_is_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Database(PATTERNS).searcher("rare")
    made = compilations(monkeypatch)
    monkeypatch.setattr(module, "_machine", lambda: "another processor")
    Database(PATTERNS).searcher("rare")
    monkeypatch.setattr(module, "__version__", "99")
    Database(PATTERNS).searcher("rare")
    assert made == ["rare", "rare"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_cache_is_compiled_again(damage: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(PATTERNS).searcher("rare")
    (file,) = folder.glob("patterns-*")
    data = file.read_bytes()
    middle = len(data) // 2
    file.write_bytes(
        {
            "cut": data[:middle],
            "flipped": data[:middle] + bytes((data[middle] ^ 1,)) + data[middle + 1 :],
            "empty": b"",
            "text": b"not a database",
        }[damage]
    )
    made = compilations(monkeypatch)
    assert found(Database(PATTERNS)) == EXPECTED
    assert "rare" in made


def test_a_whole_but_foreign_content_is_compiled_again(folder: Path) -> None:
    """The digest is right, what it covers is not a database of hyperscan."""
    import hashlib

    Database(PATTERNS).searcher("rare")
    (file,) = folder.glob("patterns-*")
    for body in (b"", b"\xff" * 40, (10).to_bytes(4, "little") + b"[[],[],9]" + b"x" * 99, b"\2\0\0\0[]"):
        file.write_bytes(hashlib.blake2b(body, digest_size=16).digest() + body)
        assert found(Database(PATTERNS)) == EXPECTED


def test_a_folder_that_others_can_write_to_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    assert found(Database(PATTERNS)) == EXPECTED
    assert list(folder.iterdir()) == []


def test_no_folder_no_cache(folder: Path) -> None:
    folder.write_text("a file stands here")
    assert found(Database(PATTERNS)) == EXPECTED


def test_patterns_that_can_not_be_used_are_left_out_and_named() -> None:
    bad = [
        Pattern("open", "failed (to"),
        Pattern("anything", r"\d*"),
        Pattern("never", r"1\b1 failed"),
    ]
    for _ in range(2):  # compiled, then loaded
        database = Database([*bad, *PATTERNS])
        assert {number - 3 for number in database.searcher("rare").search(TEXT, 100)[0]} == {0, 1}
        assert [problem.split(" is left out: ")[0] for problem in database.problems] == [
            "pattern open",
            "pattern anything",
            "pattern never",
        ]


def test_nothing_to_search_for() -> None:
    assert found(Database([])) == {"rare": {}, "once": {}, "dense": {}, "sample": {}}
    assert Database([Pattern("all", ".*")]).searcher("rare").search(TEXT, 10) == ({}, False)


def test_a_search_stops_at_its_limit() -> None:
    matches, stopped = Database(PATTERNS).searcher("rare").search(b"out of memory " * 50, 10)
    assert stopped
    assert len(matches[1]) == 10


@pytest.mark.parametrize("lines", [0, 1, LINES_A_MARK - 1, LINES_A_MARK, 3 * LINES_A_MARK + 1])
def test_marks_count_newlines(lines: int) -> None:
    data = b"".join(b"x" * (n % 7) + b"\n" for n in range(lines)) + b"tail"
    marks = Database(PATTERNS).searcher("rare").marks(data)
    assert len(marks) == lines // LINES_A_MARK
    for count, mark in enumerate(marks, 1):
        assert data[:mark].count(b"\n") == count * LINES_A_MARK
        assert data[mark - 1] == ord("\n")


def test_without_hyperscan_the_search_is_the_same(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    database = Database(PATTERNS)
    assert found(database) == EXPECTED
    assert isinstance(database.searcher("rare"), PlainEngine)
    assert not folder.exists()
