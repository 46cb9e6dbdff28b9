from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.read.sources import collect


def test_folder_in_a_stable_order_with_hidden_machinery_left_out(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("z.log", "b/a.log", "a.log", ".git/config"):
        (tmp_path / name).write_text("x\n")
    found = collect([str(tmp_path)])
    names = [Path(source.path).relative_to(tmp_path).as_posix() for source in found.sources]
    assert names == ["a.log", "z.log", "b/a.log"]


def test_a_model_file_is_noted_and_not_read(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF" + bytes(2_000_000))
    found = collect([str(tmp_path)])
    assert found.model_files == [(str(model), 2_000_004)]
    assert found.sources == []


def test_missing_path_names_it_and_gives_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as caught:
        collect([str(tmp_path / "nope.log")])
    assert "nope.log" in str(caught.value)
    assert caught.value.hint


def test_one_missing_path_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x")
    found = collect([str(tmp_path / "nope"), str(tmp_path / "a.log")])
    assert len(found.sources) == 1
    assert found.problems[0][0].endswith("nope")


def test_links_out_of_the_folder_and_pipes_are_left_out(tmp_path: Path) -> None:
    inside = tmp_path / "logs"
    inside.mkdir()
    (tmp_path / "secret").write_text("x")
    (inside / "out.log").symlink_to(tmp_path / "secret")
    os.mkfifo(inside / "pipe")
    (inside / "a.log").write_text("x")
    found = collect([str(inside)])
    assert [Path(source.path).name for source in found.sources] == ["a.log"]
    assert {Path(subject).name for subject, _message, _hint in found.problems} == {"out.log", "pipe"}


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
def test_unreadable_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text("x")
    file.chmod(0)
    with pytest.raises(UsageProblem) as caught:
        collect([str(file)])
    assert "Permission denied" in str(caught.value)


@pytest.mark.parametrize("size", [0, 10, 9_000_000])
def test_standard_input_can_be_read_twice(size: int) -> None:
    content = os.urandom(size)
    source = collect(["-"], io.BytesIO(content)).sources[0]
    assert source.size == size
    for _ in range(2):
        with source.open() as stream:
            assert stream.read() == content
