from __future__ import annotations

import gzip
import io
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.read.limits import Limits
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


def test_a_pipe_of_the_shell_is_read(tmp_path: Path) -> None:
    """``llmdoctor analyze <(journalctl ...)``."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(b"from a pipe\n" * 100_000)))
    keep = os.open(pipe, os.O_RDWR)  # a writer is there before the reader, as with the shell
    writer.start()
    threading.Timer(0.2, os.close, [keep]).start()
    source = collect([str(pipe)]).sources[0]
    writer.join()
    with source.open() as stream:
        assert stream.read() == b"from a pipe\n" * 100_000


def test_a_pipe_that_nobody_writes_to_is_empty(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert collect([str(tmp_path / "pipe")]).sources[0].size == 0


@pytest.mark.parametrize("most", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_very_many_files_in_a_stable_order(most: int, tmp_path: Path) -> None:
    for number in range(most + 50):
        folder = tmp_path / f"{number // 100:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number % 100:03}.log").write_bytes(b"line\n")
    found = collect([str(tmp_path)], limits=Limits(files=most))
    assert len(found.sources) == most
    assert [source.path for source in found.sources] == sorted(source.path for source in found.sources)
    assert [message for _, message, _ in found.problems] == [f"more than {most} files: the rest was left out"]


def test_files_are_not_kept_in_memory(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}.log").write_bytes(b"line\n" * 20_000)
    tracemalloc.start()
    found = collect([str(tmp_path)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.sources) == 300
    assert peak < 4 * 1024 * 1024  # of 30 MB


def test_trouble_with_many_files_is_told_in_a_few_lines(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / f"{number}.log").symlink_to(tmp_path / f"gone-{number}")
        os.mkfifo(tmp_path / f"{number}.pipe")
    (tmp_path / "a.log").write_text("x\n")
    found = collect([str(tmp_path)])
    assert len(found.sources) == 1
    assert len(found.problems) == 12
    assert {message for _, message, _ in found.problems} == {
        "a link to nothing: left out",
        "not a regular file: left out",
        "a link to nothing: left out (and 494 more like it)",
        "not a regular file: left out (and 494 more like it)",
    }


@pytest.mark.parametrize("pack", [gzip.compress, bytes, lambda data: b"\xff\xfe" + data.decode().encode("utf-16-le")])
def test_standard_input_in_any_form(pack: Callable[[bytes], bytes]) -> None:
    source = collect(["-"], io.BytesIO(pack(b"one\ntwo\n"))).sources[0]
    assert source.path == "<stdin>"
    with source.open() as stream:
        assert stream.read() == b"one\ntwo\n"


def test_a_plain_file_is_opened_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"plain \xff\0 bytes\r\n")
    source = collect([str(tmp_path / "a.log")]).sources[0]
    assert source.is_file
    with source.open() as stream:
        assert isinstance(stream, io.BufferedReader)
        assert isinstance(stream.raw, io.FileIO)
        assert stream.read() == b"plain \xff\0 bytes\r\n"


def test_names_that_no_file_can_have() -> None:
    for name in ("a\0b", "x" * 5000, ""):
        with pytest.raises(UsageProblem):
            collect([name])
