"""The compiled book as bytes: nothing is lost, and damage is noticed before a rule is half read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doctor import resources
from doctor.rulebook.book import compile_files, load_book, templates_of
from doctor.rulebook.load import Files, load_folder
from doctor.rulebook.stored import pack, unpack


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return compile_files(load_folder(resources.folder("rules"), Files()), [])


def test_every_rule_comes_back_whole(data: dict[str, Any]) -> None:
    head, records = unpack(pack(data, templates_of))
    assert [entry["id"] for entry in head["rules"]] == [card["id"] for card in data["rules"]]
    assert [record.card for record in records] == data["rules"]
    assert {text: parsed for record in records for text, parsed in record.prose.items()} == data["prose"]
    assert head["nodes"] == data["nodes"]


@pytest.mark.parametrize("from_the_end", [1, 1000, 1_000_000])
def test_damage_is_noticed_at_once(data: dict[str, Any], from_the_end: int) -> None:
    made = bytearray(pack(data, templates_of))
    made[-from_the_end] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        unpack(bytes(made))
    with pytest.raises((ValueError, KeyError, TypeError)):
        unpack(bytes(made[:-from_the_end]))


@pytest.mark.parametrize("content", [b"", b"{}", b"{}\n", b"[]\n", b'{"format": 1}\nxx', b"\n\n"])
def test_what_is_no_book(content: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        unpack(content)


def test_a_damaged_cache_is_the_same_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMDOCTOR_CACHE_DIR", str(tmp_path))
    first = load_book()
    (file,) = tmp_path.glob("book-*")
    file.write_bytes(file.read_bytes()[:-100])
    again = load_book()
    assert again.rules.keys() == first.rules.keys()
    assert next(reversed(again.rules.values())).card["title"]
