from __future__ import annotations

import pytest

from doctor.read.rotation import rotation


@pytest.mark.parametrize(
    "older_first",
    [
        ["server.log.10", "server.log.2.gz", "server.log.1", "server.log"],
        ["server.log-20261031.gz", "server.log-20261101", "server.log"],
        ["var/server-2026-10-31.log", "var/server-2026-11-01.log", "var/server.log"],
        ["worker.old", "worker"],
        ["worker.prev.txt", "worker.txt"],
    ],
)
def test_parts_of_one_log(older_first: list[str]) -> None:
    assert len({rotation(path)[0] for path in older_first}) == 1
    shuffled = [*older_first[1:], older_first[0]]
    assert sorted(shuffled, key=lambda path: rotation(path)[1]) == older_first


@pytest.mark.parametrize("path", ["llama-3.log", "qwen2.5-72b.log", "gpu-0.txt", "server.log", "v0.6.1"])
def test_other_numbers_are_no_rotation(path: str) -> None:
    assert rotation(path)[1][0] == 2


def test_different_logs_stay_apart() -> None:
    assert rotation("gpu-0.log")[0] != rotation("gpu-1.log")[0]
