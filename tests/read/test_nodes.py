from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from doctor.read.sources import collect


def write(root: Path, *files: str, text: str = "x\n") -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def nodes(*paths: Path) -> dict[str, str]:
    return {"/".join(Path(source.path).parts[-2:]): source.node for source in collect(map(str, paths)).sources}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("node1", "node2"),
        ("10.0.0.1", "10.0.0.2"),
        ("gpu-node-a1", "gpu-node-b2"),
        ("master", "worker-1"),
        ("host01.lab.example", "host02.lab.example"),
    ],
)
def test_folders_named_like_machines(one: str, two: str, tmp_path: Path) -> None:
    write(tmp_path, f"{one}/a.log", f"{two}/a.log", "notes/a.log", "top.log")
    found = nodes(tmp_path)
    assert (found[f"{one}/a.log"], found[f"{two}/a.log"], found["notes/a.log"]) == (one, two, "local")


def test_folders_named_on_the_command_line(tmp_path: Path) -> None:
    write(tmp_path, "node1/a.log", "node2/sub/b.log")
    assert nodes(tmp_path / "node1", tmp_path / "node2") == {"node1/a.log": "node1", "sub/b.log": "node2"}


@pytest.mark.parametrize(
    "folders",
    [
        ("node1", "logs"),
        ("gpu0", "gpu1"),
        ("rank0", "rank1"),
        ("llama-box", "rpc-server"),
        ("2026-01-01", "2026-01-02"),
        ("worker", "server"),
        ("v1.2.3", "v1.2.4"),
    ],
)
def test_in_doubt_all_is_one_machine(folders: tuple[str, str], tmp_path: Path) -> None:
    write(tmp_path, *(f"{folder}/a.log" for folder in folders))
    assert set(nodes(tmp_path).values()) == {"local"}


def test_an_empty_folder_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, "node1/a.log")
    (tmp_path / "node2").mkdir()
    assert set(nodes(tmp_path).values()) == {"local"}


def test_archives_of_machines(tmp_path: Path) -> None:
    for name in ("node1", "node2"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("var/log/a.log", "x\n")
    assert {source.node for source in collect([str(tmp_path)]).sources} == {"node1", "node2"}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("bundle/node1/a.log", "x\n")
        archive.writestr("bundle/node2/a.log", "x\n")
    assert [source.node for source in collect([str(tmp_path / "all.zip")]).sources] == ["node1", "node2"]


def test_host_names_on_the_lines(tmp_path: Path) -> None:
    for host in ("tiger", "lion"):
        write(tmp_path, f"{host}.log", text=f"Feb 17 09:12:11 {host} ollama[1]: x\n" * 5)
    write(tmp_path, "free.txt")
    found = {name.split("/")[-1]: node for name, node in nodes(tmp_path).items()}
    assert found == {"tiger.log": "tiger", "lion.log": "lion", "free.txt": "local"}


def test_folders_that_the_lines_confirm(tmp_path: Path) -> None:
    for host in ("tiger", "lion"):
        write(tmp_path, f"{host}/messages", text=f"Feb 17 09:12:11 {host} ollama[1]: x\n" * 5)
        write(tmp_path, f"{host}/free.txt")
    found = nodes(tmp_path)
    assert found["tiger/free.txt"] == "tiger"
    assert found["lion/free.txt"] == "lion"


def test_one_host_is_no_reason_to_part_anything(tmp_path: Path) -> None:
    write(tmp_path, "a.log", text="Feb 17 09:12:11 tiger ollama[1]: x\n" * 5)
    write(tmp_path, "b.log")
    assert set(nodes(tmp_path).values()) == {"local"}
