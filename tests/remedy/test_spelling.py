"""Flags as the build at hand has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doctor.api import analyze
from doctor.facts.options import KnownOption
from doctor.remedy.options import as_spelled

OPTIONS = (
    KnownOption(
        "setting.mmap",
        ["--no-mmap"],
        type="switch_off",
        instead={"where": "setting.load_mode", "flag": "--load-mode", "set_flag": "none", "remove_flag": "mmap"},
    ),
    KnownOption("setting.load_mode", ["-lm", "--load-mode"]),
)


@pytest.mark.parametrize(
    ("action", "known", "expected"),
    [
        ({"kind": "set_flag", "flag": "--no-mmap"}, (), {"kind": "set_flag", "flag": "--no-mmap"}),
        (
            {"kind": "set_flag", "flag": "--no-mmap"},
            ("setting.load_mode",),
            {"kind": "set_flag", "flag": "--load-mode", "value": "none"},
        ),
        (
            {"kind": "remove_flag", "flag": "--no-mmap"},
            ("setting.load_mode",),
            {"kind": "set_flag", "flag": "--load-mode", "value": "mmap"},
        ),
        ({"kind": "explain", "text": "x"}, ("setting.load_mode",), {"kind": "explain", "text": "x"}),
    ],
)
def test_a_flag_that_another_one_replaced(
    action: dict[str, Any], known: tuple[str, ...], expected: dict[str, Any]
) -> None:
    assert as_spelled(action, OPTIONS, known) == expected


def test_the_flag_that_a_log_names_is_taken_out(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("error: invalid argument: --no-such-flag\n")
    document = analyze([log], command="llama-server -m m.gguf --no-such-flag 5 -c 512")
    remedy = document.findings[0].remedies[0]
    assert remedy.actions[0]["text"] == "remove --no-such-flag"
    assert remedy.diff == "- llama-server -m m.gguf --no-such-flag 5 -c 512\n+ llama-server -m m.gguf -c 512"


def test_a_kernels_finding_changes_the_only_deployment(tmp_path: Path) -> None:
    """It belongs to no run; the command line that it is about is known all the same."""
    (tmp_path / "engine.log").write_text(
        "main: loading model\nload_tensors: loading model tensors, this can take a while... (load_mode = none)\n"
        "load_tensors:          CPU model buffer size =   966.07 MiB\n"
    )
    (tmp_path / "dmesg.txt").write_text(
        "[ 1252.5] memory: usage 409600kB, limit 409600kB, failcnt 6177\n"
        "[ 1252.6] Memory cgroup out of memory: Killed process 3651 (llama-server) total-vm:1239356kB, "
        "anon-rss:408348kB, file-rss:15776kB, shmem-rss:0kB\n"
    )
    document = analyze([tmp_path], command="llama-server -m m.gguf --load-mode none")
    remedy = next(each for each in document.findings[0].remedies if each.id == "keep-mmap")
    assert remedy.diff == "- llama-server -m m.gguf --load-mode none\n+ llama-server -m m.gguf --load-mode mmap"
