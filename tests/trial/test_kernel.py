"""Records of /dev/kmsg."""

from __future__ import annotations

from pathlib import Path

from doctor.trial.kernel import KernelLog, dmesg, killing

KILL = (
    "[ 1252.596801] Memory cgroup out of memory: Killed process 3651 (python) total-vm:1239356kB, anon-rss:408348kB, "
    "file-rss:5908kB, shmem-rss:0kB, UID:0 pgtables:264kB oom_score_adj:0"
)


def test_a_record_becomes_what_dmesg_prints() -> None:
    assert dmesg(b"6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n") == ["[    5.140900] NET: Registered"]
    assert dmesg(b"4,1,1252596801123,c;a\\x0ab\n") == ["[1252596.801123] a", "[1252596.801123] b"]


def test_what_users_write_into_it_is_not_the_kernels_word() -> None:
    assert dmesg(b"14,340,5140900,-;Out of memory: Killed process 1 (x)\n") == []
    assert dmesg(b"no record") == []


def test_the_kill_of_a_process_is_found_by_its_number() -> None:
    assert killing(["[1.0] other", KILL], 3651) == 408348 * 1024
    assert killing([KILL], 365) == 0


def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    log = KernelLog(str(tmp_path / "none"))
    assert log.trouble == "the kernel log cannot be read: No such file or directory"
    assert log.lines() == []
    log.close()


def test_only_what_comes_after_it_was_opened_counts(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_bytes(b"6,1,1000000,-;before\n")
    log = KernelLog(str(path))
    with path.open("ab") as file:
        file.write(b"6,2,2000000,-;after\n")
    assert log.lines() == ["[    2.000000] after"]
    log.close()
