from __future__ import annotations

import pytest

from .support import KIB, MIB, facts, lines, reading


@pytest.mark.parametrize(
    ("name", "memlock", "address_space", "files"),
    [
        ("ulimit-bash.txt", 8192 * KIB, -1, 20000),
        ("ulimit-dash.txt", 8192 * KIB, -1, 20000),
        ("ulimit-zsh.txt", 64 * KIB, 410000000 * KIB, 256),
        ("proc-limits.txt", 8 * MIB, -1, 20000),
    ],
)
def test_shells_and_proc(name: str, memlock: int, address_space: int, files: int) -> None:
    assert facts(f"limits/{name}") == {
        "host.memlock_limit": memlock,
        "host.address_space_limit": address_space,
        "host.open_files_limit": files,
    }
    assert len(reading(f"limits/{name}").blocks) == 1


def test_single_limits_behind_their_commands() -> None:
    found = [(fact.name, fact.value, fact.origin.line) for fact in reading("limits/grepped.txt").facts]
    assert found == [
        ("host.memlock_limit", 64 * KIB, 2),
        ("host.address_space_limit", -1, 4),
        ("host.memlock_limit", 64 * MIB, 6),
    ]
    assert lines("limits/ulimit-dash.txt")["host.memlock_limit"] == 7
