"""Many deployments, judged in several processes: the same as one after the other."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from doctor.checking import check, parts
from doctor.checking.parts import MANY, in_parts
from tests.checking.test_ranks import MANIFEST
from tests.model.support import llama_70b


def squares(some: Sequence[int]) -> tuple[int, list[int]]:
    return os.getpid(), [each * each for each in some]


def test_the_results_come_in_order_and_from_further_processes() -> None:
    items = list(range(MANY + 5))
    found = in_parts(items, squares, 3)
    assert [each for _pid, some in found for each in some] == [each * each for each in items]
    assert len({pid for pid, _some in found}) == 3


@pytest.mark.parametrize(("count", "processors"), [(MANY - 1, 4), (MANY, 1)])
def test_few_items_or_one_processor_are_not_shared(count: int, processors: int) -> None:
    assert len(in_parts(range(count), squares, processors)) == 1


def test_a_part_whose_process_fails_is_done_here() -> None:
    own = os.getpid()

    def fails_elsewhere(some: Sequence[int]) -> list[int]:
        if os.getpid() != own:
            raise MemoryError
        return list(some)

    assert [each for part in in_parts(range(MANY), fails_elsewhere, 2) for each in part] == list(range(MANY))

    def fails(some: Sequence[int]) -> None:
        raise ValueError(len(some))

    with pytest.raises(ValueError, match=str(MANY // 2)):
        in_parts(range(MANY), fails, 2)


def test_no_process_outlives_a_failure_here() -> None:
    """It would wait for ever for somebody to hear what it has found."""
    own = os.getpid()

    def fails_here(some: Sequence[int]) -> bytes:
        if os.getpid() == own:
            raise ValueError
        return bytes(1 << 20)

    with pytest.raises(ValueError) as failed:
        in_parts(range(MANY), fails_here, 2)
    assert [process.daemon for process in multiprocessing.active_children()] == [True]  # ended with this process
    assert failed.tb  # which holds the pipe: the other process is still waiting
    for process in multiprocessing.active_children():
        process.terminate()


def test_a_check_of_many_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.yaml").write_text(llama_70b("F16"))
    paths = []
    for number in range(MANY + 3):
        paths.append(tmp_path / f"pod-{number:02}.yaml")
        text = MANIFEST.format(number=number)
        paths[-1].write_text(text.replace("--max-model-len=8192", f"--max-model-len={8192 + 65536 * (number % 4)}"))
    shared = check(paths, model=tmp_path / "m.yaml", target="8x-h100")
    monkeypatch.setattr(parts, "MANY", 1000)
    alone = check(paths, model=tmp_path / "m.yaml", target="8x-h100")
    assert asdict(shared) == asdict(alone)
    assert len(shared.runs) == MANY + 3 and any(finding.role == "risk" for finding in shared.findings)
