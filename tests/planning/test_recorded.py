"""The plan against every buffer that llama.cpp printed in the recorded starts (benchmarks/memory_runs.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.planning.support import MIB

RUNS = json.loads((Path(__file__).parent / "recorded.json").read_text())["runs"]


def _name(entry: dict[str, Any]) -> str:
    return f"{entry['model']} {' '.join(entry['arguments'])} {len(entry['devices'])}"


@pytest.mark.parametrize("entry", RUNS, ids=_name)
def test_a_recorded_start(entry: dict[str, Any]) -> None:
    """Weights of every place within 1 % (they are exact), caches to the MiB, all together within 3 % or 64 MiB."""
    from bench_memory import compare

    found = compare(entry)
    assert found.weights_error < 0.001
    if found.total("kv", printed=True) or found.total("state", printed=True):  # some starts failed after the weights
        for kind in ("kv", "state"):
            places = {place for place, own in (*found.printed, *found.planned) if own == kind}
            for place in places:
                printed, planned = found.printed.get((place, kind), 0.0), found.planned.get((place, kind), 0.0)
                assert planned == pytest.approx(printed, abs=0.02 * MIB)
        assert abs(found.error()) <= max(0.03 * found.total(printed=True), 64 * MIB)
    assert abs(found.error("output")) < 0.1 * MIB or not found.total("output", printed=True)
