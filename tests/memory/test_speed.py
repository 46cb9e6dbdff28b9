from __future__ import annotations

from doctor.memory.model import HyperParameters
from doctor.memory.speed import active_bytes, tokens_per_second_bound

from .support import GB


def test_a_dense_model_reads_all_its_weights() -> None:
    assert active_bytes(HyperParameters(), 40 * GB) == 40 * GB


def test_a_mixture_reads_the_experts_in_use() -> None:
    # DeepSeek-V3: 37B of 671B parameters are active
    model = HyperParameters(layers=61, embd=7168, vocab=129280, experts=256, experts_used=8, bpw=8.5)
    active = active_bytes(model, 713 * GB)
    assert active is not None and 25 * GB < active < 45 * GB
    assert active_bytes(HyperParameters(experts=256, experts_used=8), 713 * GB) is None


def test_bandwidth_over_bytes_a_token() -> None:
    assert tokens_per_second_bound(40 * GB, 1000e9) == 25


def test_no_bound_without_figures() -> None:
    assert tokens_per_second_bound(0, 1e9) is None
    assert tokens_per_second_bound(1e9, 0) is None
