"""Files that are rotated while they are followed, and commands that follow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.read.services import Service
from doctor.trial.follow import BACKLOG_BYTES, Command, File
from tests.trial.processes import until


def rest(file: File) -> bytes:
    """All that is there; looks for another file at the end of this one."""
    found = b""
    while data := file.read():
        found += data
    return found


def test_what_is_written_later_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n")
    file = File(str(log))
    assert rest(file) == b"one\n"
    with log.open("ab") as more:
        more.write(b"two")
    assert rest(file) == b"two"
    assert file.note() == ""
    file.close()


def test_of_a_long_log_the_end_is_read_from_a_whole_line_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = b"".join(b"%07d\n" % number for number in range(BACKLOG_BYTES // 4))
    log.write_bytes(lines)
    file = File(str(log))
    found = rest(file)
    assert lines.endswith(found)
    assert BACKLOG_BYTES - 8 <= len(found) <= BACKLOG_BYTES
    assert found[7:8] == b"\n"
    file.close()


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"")
    file = File(str(log))
    log.rename(tmp_path / "log.1")
    assert rest(file) == b""  # the new one is not there yet
    with (tmp_path / "log.1").open("ab") as old:
        old.write(b"last words\n")
    log.write_bytes(b"first words\n")
    assert rest(file) == b"last words\n"
    assert rest(file) == b"first words\n"
    assert "rotated" in file.note()
    file.close()


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda log: os.truncate(log, 0), "cut to nothing"),
        (Path.unlink, "rotated"),
        (lambda log: log.rename(log.with_name("log.1")), "rotated"),
    ],
    ids=["cut", "removed", "renamed"],
)
@pytest.mark.parametrize("seen", [False, True], ids=["at once", "looked at meanwhile"])
def test_a_log_goes_on_under_its_name(tmp_path: Path, change: Callable[[Path], object], note: str, seen: bool) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"long and old\n")
    file = File(str(log))
    assert rest(file) == b"long and old\n"
    change(log)
    if seen:
        assert rest(file) == b""
    with log.open("ab") as more:
        more.write(b"new\n")
    assert rest(file) + rest(file) == b"new\n"
    assert note in file.note()
    assert file.note() == ""
    file.close()


def tool(folder: Path, name: str, text: str) -> None:
    """A program of that name, alone on PATH with a shell."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_what_a_tool_prints_is_read_and_it_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("doctor.trial.follow._AGAIN_SECONDS", 0.1)
    tool(tmp_path, "docker", f'echo "$@" >> {tmp_path}/asked; echo a line')
    found = bytearray()
    command = Command(Service("docker", "llm"))

    def asked_twice() -> bool:
        found.extend(command.read())
        return found.count(b"a line\n") > 1

    until(asked_twice)
    assert "asked again" in command.note()
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == "logs --follow --timestamps --tail=5000 -- llm"
    assert " --since=" in asked[1]
    command.close()


def test_a_tool_that_refuses_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    tool(tmp_path, "docker", "echo 'Error response from daemon: No such container: llm' >&2; exit 1")
    command = Command(Service("docker", "llm"))
    with pytest.raises(UsageProblem, match="docker says: Error response from daemon: No such container: llm"):
        until(lambda: bool(command.read()) and False)
    command.close()
