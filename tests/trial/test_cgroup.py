"""Cgroups of version 2, in folders that are laid out as the kernel lays them out; and those of this machine."""

from __future__ import annotations

from pathlib import Path

from doctor.trial import cgroup

V2_FILES = {
    "memory.max": "max\n",
    "memory.peak": "104857600\n",
    "memory.swap.max": "max\n",
    "memory.events": "low 0\nhigh 0\nmax 17\noom 2\noom_kill 1\noom_group_kill 0\n",
    "cgroup.procs": "12\n13\n",
}


def proc(folder: Path, cgroups: str, *mounts: str) -> str:
    """A folder as /proc/self, of a process in these cgroups."""
    (folder / "proc").mkdir()
    (folder / "proc" / "cgroup").write_text(cgroups)
    (folder / "proc" / "mountinfo").write_text("".join(f"{mount}\n" for mount in mounts))
    return str(folder / "proc")


def unified(folder: Path, root: str = "/") -> str:
    return f"35 24 0:30 {root} {folder}/sys rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"


def lay_out(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**V2_FILES, **files}.items():
        (folder / name).write_text(text)
    return folder


def test_version_2_counts(tmp_path: Path) -> None:
    own = lay_out(tmp_path / "sys" / "user.slice" / "app.scope", **{"memory.max": "209715200\n"})
    found = cgroup.present(proc(tmp_path, "0::/user.slice/app.scope\n", unified(tmp_path)))
    assert found is not None
    assert (found.path, found.version) == (str(own), 2)
    assert (found.limit(), found.peak(), found.kills(), found.refusals()) == (200 << 20, 100 << 20, 1, 17)
    assert found.processes() == [12, 13]


def test_version_2_without_a_limit_or_a_peak(tmp_path: Path) -> None:
    own = lay_out(tmp_path / "sys" / "a")
    (own / "memory.peak").unlink()  # before Linux 5.19
    found = cgroup.present(proc(tmp_path, "0::/a\n", unified(tmp_path)))
    assert found is not None
    assert (found.limit(), found.peak()) == (None, None)


def test_the_root_of_version_2_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    assert cgroup.present(proc(tmp_path, "0::/\n", unified(tmp_path))) is None


def test_a_container_sees_its_own_cgroup_at_the_mount(tmp_path: Path) -> None:
    lay_out(tmp_path / "sys")
    found = cgroup.present(proc(tmp_path, "0::/docker/abc\n", unified(tmp_path, "/docker/abc")))
    assert found is not None
    assert found.path == str(tmp_path / "sys")


def test_beside_a_hybrid_version_2_the_memory_controller_of_version_1_counts(tmp_path: Path) -> None:
    folder = tmp_path / "v1" / "service"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (folder / "memory.max_usage_in_bytes").write_text("5\n")
    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    (folder / "memory.failcnt").write_text("44\n")
    (tmp_path / "sys").mkdir()
    version_1 = f"30 24 0:26 / {tmp_path}/v1 rw,nosuid shared:7 - cgroup cgroup rw,memory"
    where = proc(tmp_path, "4:memory:/service\n0::/service\n", unified(tmp_path), version_1)
    found = cgroup.present(where)
    assert found is not None
    assert (found.version, found.limit(), found.peak(), found.kills(), found.refusals()) == (1, None, 5, 3, 44)


def test_a_new_one_of_version_2_gets_its_limit_and_no_swap(tmp_path: Path, monkeypatch: object) -> None:
    """The kernel makes a new cgroup's files; here writing makes them, so that what was written can be read."""
    lay_out(tmp_path / "sys" / "app.slice" / "own.scope")
    where = proc(tmp_path, "0::/app.slice/own.scope\n", unified(tmp_path))
    made, reason = cgroup.make("llmdoctor-1", 300 << 20, where)
    assert made is not None, reason
    folder = tmp_path / "sys" / "app.slice" / "own.scope" / "llmdoctor-1"
    assert (made.path, made.version) == (str(folder), 2)
    assert (folder / "memory.max").read_text() == str(300 << 20)
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder.parent / "cgroup.subtree_control").read_text() == "+memory"


def test_where_our_own_place_takes_none_the_one_above_is_tried(tmp_path: Path) -> None:
    lay_out(tmp_path / "sys" / "app.slice")
    (tmp_path / "sys" / "app.slice" / "own.scope").write_text("")  # nothing can be made in it
    where = proc(tmp_path, "0::/app.slice/own.scope\n", unified(tmp_path))
    made, _reason = cgroup.make("llmdoctor-1", None, where)
    assert made is not None
    assert made.path == str(tmp_path / "sys" / "app.slice" / "llmdoctor-1")


def test_where_none_can_be_made_it_says_why(tmp_path: Path) -> None:
    (tmp_path / "sys").write_text("")
    assert cgroup.make("x", 1, proc(tmp_path, "0::/\n", unified(tmp_path)))[1].startswith("no cgroup can be made in ")
    (tmp_path / "b").mkdir()
    assert cgroup.make("x", 1, proc(tmp_path / "b", "")) == (None, "this machine has no memory cgroups")


def test_one_that_takes_no_limit_is_removed_again(tmp_path: Path) -> None:
    lay_out(tmp_path / "sys" / "a")
    (tmp_path / "sys" / "a" / "cgroup.subtree_control").mkdir()  # cannot be written
    made, reason = cgroup.make("llmdoctor-1", 1, proc(tmp_path, "0::/a\n", unified(tmp_path)))
    assert made is not None  # above it
    assert not (tmp_path / "sys" / "a" / "llmdoctor-1").exists()
    assert reason == ""
