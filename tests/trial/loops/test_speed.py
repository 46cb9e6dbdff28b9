"""Speed: a gain counts only beyond the noise of the repeats."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from doctor.trial.confirm import compare_setups
from doctor.trial.setup import Setup
from doctor.trial.wanted import Wanted
from doctor.trial.workload import Workload
from doctor.vocabulary.document import Confirmation
from tests import engines
from tests.trial.loops.support import CLOCKS
from tests.trial.loops.test_memory import cgroups

pytestmark = [pytest.mark.engine, pytest.mark.alone]
MIB = 1 << 20


def server(model: Path, port: int, *more: str) -> Setup:
    program = str(engines.llama_cpp() / "llama-server")
    return Setup((program, "-m", str(model), "--port", str(port), "-c", "256", "-np", "1", *more))


def compared(before: Setup, after: Setup, *measures: str, repeats: int = 3) -> Confirmation:
    wanted = Wanted(clocks=CLOCKS, repeats=repeats, measures=measures, beside_live=True)
    return compare_setups(before, after, Workload("one_prompt", answer=20), wanted)


def test_too_many_threads(large: Path, port: int) -> None:
    """16 threads a core wait for each other; as many as there are cores do not."""
    cores = len(os.sched_getaffinity(0))
    before = server(large, port, "-t", str(16 * cores))
    told = compared(before, server(large, port, "-t", str(max(cores - 1, 1))), "generation")
    assert told.verdict == "confirmed", told


def test_the_same_twice_is_no_gain(large: Path, port: int) -> None:
    """What differs (an alias) has nothing to do with speed: whatever the figures are, nothing is confirmed."""
    before = server(large, port, "-t", "1")
    told = compared(before, server(large, port, "-t", "1", "--alias", "other"), "generation", repeats=3)
    assert told.verdict != "confirmed", told


def test_mmap_against_reading_from_a_cold_cache(large: Path, port: int) -> None:
    """Decided by measurement: which of them loads faster is the disk's business, that it is told is ours."""
    mapped = replace(server(large, port, "-t", "1", "--no-warmup", "--load-mode", "mmap"), cold=True)
    told = compared(mapped, replace(mapped, words=(*mapped.words[:-1], "none")), "load time")
    entry = next(entry for entry in told.measures if entry.name == "load time")
    assert entry.repeats == 3
    assert entry.change in {"better", "worse", "noise"}
    assert (told.verdict == "confirmed") == (entry.change == "better")
    assert (told.verdict == "refuted") == (entry.change == "worse")
    read = next(entry for entry in told.measures if entry.name == "bytes read")
    assert read.before is not None
    assert read.before > large.stat().st_size * 0.8, "the page cache was not cold"


def test_thrashing_mmap_needs_a_smaller_quantisation(large: Path, small_quantisation: Path, port: int) -> None:
    cgroups()
    size = large.stat().st_size
    limit = size * 3 // 4
    assert small_quantisation.stat().st_size < limit * 0.8
    before = replace(
        server(large, port, "-t", "1", "--no-warmup", "-fit", "off", "-cram", "0"), memory=limit, cold=True
    )
    words = tuple(str(small_quantisation) if word == str(large) else word for word in before.words)
    told = compared(before, replace(before, words=words), "generation", repeats=3)
    assert told.verdict == "confirmed", told
    read = next(entry for entry in told.measures if entry.name == "bytes read")
    assert read.before is not None
    assert read.before > 2 * size, "no thrash: it was not read several times over"
