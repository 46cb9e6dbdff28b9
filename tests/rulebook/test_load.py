from __future__ import annotations

from pathlib import Path

import pytest

from doctor.rulebook.load import load_folder

GOOD = """\
id: {id}
kind: cause
title: Something breaks
family: kv.unsupported-op
signatures:
  abort: 'something broke at (?P<place>\\w+)'
match: {{all: [abort]}}
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / "kv" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_good_rule(tmp_path: Path) -> None:
    write(tmp_path, "it-breaks", GOOD.format(id="it-breaks"))
    files = load_folder(tmp_path)
    assert files.mistakes == []
    assert files.rules[0][1].signatures["abort"].pattern.startswith("something broke")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD.format(id="it-breaks") + "severty: fatal\n", 8, "severty"),
        (GOOD.format(id="it-breaks").replace("kind: cause", "kind: couse"), 2, "kind"),
        ("id: [\n", 2, "not valid YAML"),
        ("- 1\n", 1, "one mapping"),
        (GOOD.format(id="other-name"), 1, "must be named other-name.yaml"),
        ("a: &x 1\nb: *x\n", 0, "anchors"),
    ],
)
def test_mistakes_name_file_line_and_reason(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = write(tmp_path, "it-breaks", text)
    write(tmp_path, "good-one", GOOD.format(id="good-one"))
    files = load_folder(tmp_path)
    assert files.mistakes[0].path == str(path)
    assert files.mistakes[0].line == line
    assert words in str(files.mistakes[0])
    assert "good-one" in [rule.id for _path, rule in files.rules], "one broken file must not take the others along"


def test_no_id_twice(tmp_path: Path) -> None:
    write(tmp_path, "it-breaks", GOOD.format(id="it-breaks"))
    (tmp_path / "rpc").mkdir()
    (tmp_path / "rpc" / "it-breaks.yaml").write_text(GOOD.format(id="it-breaks"))
    files = load_folder(tmp_path)
    assert "already defined" in files.mistakes[0].message


def test_deep_nesting_and_huge_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "deep", "[" * 5000 + "]" * 5000)
    write(tmp_path, "huge", "a: " + "x" * 600_000)
    files = load_folder(tmp_path)
    assert len(files.mistakes) == 2
    assert files.rules == []
