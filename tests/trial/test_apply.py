"""Confirmed changes in the real files: all or none, and undone by one command."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.facts.config.places import Text
from doctor.remedy.deployment import Deployment
from doctor.trial.apply import write


def pair(*files: tuple[Path, str, str]) -> tuple[Deployment, Deployment]:
    """Deployments with these files before and after; the files are as they are on the disk."""
    before, after = {}, {}
    for path, old, new in files:
        newline = "\r\n" if "\r\n" in old else "\n"
        before[str(path)] = Text(str(path), old.replace("\r\n", "\n"), newline)
        after[str(path)] = Text(str(path), new.replace("\r\n", "\n"), newline)
    deployment = Deployment(files=before)
    return deployment, replace(deployment, files=after)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_written_and_undone(end: str, tmp_path: Path) -> None:
    path = tmp_path / "a file.service"
    old, new = f"ExecStart=x -fa off{end}# ä{end}", f"ExecStart=x -fa on{end}# ä{end}"
    path.write_bytes(old.encode())
    path.chmod(0o640)
    told = write(*pair((path, old, new)))
    assert path.read_bytes() == new.encode()
    assert path.stat().st_mode & 0o777 == 0o640
    subprocess.run(shlex.split(told[0].partition("undo: ")[2]), check=True)
    assert path.read_bytes() == old.encode()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real.env", tmp_path / "link.env"
    real.write_text("A=1\n")
    link.symlink_to(real)
    write(*pair((link, "A=1\n", "A=2\n")))
    assert link.is_symlink()
    assert real.read_text() == "A=2\n"


def test_a_file_that_has_changed_is_left_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "a.env", tmp_path / "b.env"
    one.write_text("A=1\n")
    other.write_text("B=9\n")
    with pytest.raises(UsageProblem, match="has changed since it was read"):
        write(*pair((one, "A=1\n", "A=2\n"), (other, "B=1\n", "B=2\n")))
    assert one.read_text() == "A=1\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="could not be read"):
        write(*pair((tmp_path / "a.env", "A=1\n", "A=2\n")))


def test_other_encodings_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    path.write_bytes(b"A=1 # \xe4\n")
    text = path.read_bytes().decode("utf-8", "replace")
    with pytest.raises(UsageProblem, match="not UTF-8"):
        write(*pair((path, text, text.replace("1", "2"))))
    assert path.read_bytes() == b"A=1 # \xe4\n"


def test_nothing_to_write() -> None:
    with pytest.raises(UsageProblem, match="no file declares"):
        write(Deployment(("x", "-a")), Deployment(("x", "-b")))


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    path.write_text("A=1\n")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UsageProblem, match="nothing was changed"):
            write(*pair((path, "A=1\n", "A=2\n")))
    finally:
        tmp_path.chmod(0o700)
    assert path.read_text() == "A=1\n"
