from __future__ import annotations

import pytest

from doctor.memory.model import HyperParameters
from doctor.memory.speed import (
    active_bytes,
    active_share_by_name,
    expert_bytes,
    expert_share,
    tokens_per_second_bound,
)

from .support import GB


def test_a_dense_model_reads_all_its_weights() -> None:
    assert active_bytes(HyperParameters(), 40 * GB) == 40 * GB


def test_a_mixture_reads_the_experts_in_use() -> None:
    # DeepSeek-V3: 37B of 671B parameters are active
    model = HyperParameters(layers=61, embd=7168, vocab=129280, experts=256, experts_used=8, bpw=8.5)
    active = active_bytes(model, 713 * GB)
    assert active is not None and 25 * GB < active < 45 * GB
    assert active_bytes(HyperParameters(experts=256, experts_used=8), 713 * GB) is None


def test_the_width_of_an_expert_makes_it_exact() -> None:
    # 58 layers x 256 experts x 3 matrices of 7168 x 2048: 653.9B of 671B parameters
    model = HyperParameters(
        layers=61, embd=7168, experts=256, experts_used=8, expert_ff=2048, dense_layers=3, params=671.03e9, bpw=8.5
    )
    assert expert_bytes(model, 713 * GB) == pytest.approx(713 * GB * 653.9 / 671.03, rel=1e-3)
    assert active_bytes(model, 713 * GB) == pytest.approx(39.9 * GB, rel=0.01)
    assert expert_bytes(HyperParameters(experts=256), 713 * GB) is None


def test_a_batch_meets_most_experts() -> None:
    model = HyperParameters(experts=256, experts_used=8)
    assert expert_share(model) == 8 / 256
    assert expert_share(model, 16) == pytest.approx(0.398, abs=1e-3)
    assert expert_share(model, 512) > 0.9999
    assert expert_share(HyperParameters(), 16) == 1


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("Qwen3-235B-A22B-Instruct-2507-UD-Q2_K_XL-00001-of-00002.gguf", 22 / 235),
        ("qwen3-30b-a3b", 3 / 30),
        ("/m/deepseek-v3-0324-Q8_0-00001-of-00015.gguf", 37 / 671),
        ("DeepSeek R1 BF16", 37 / 671),
        ("DeepSeek-R1-Distill-Llama-70B-Q5_K_S.gguf", None),
        ("Llama-3.1-8B", None),
        ("3B-A30B", None),
    ],
)
def test_the_active_share_in_a_name(name: str, share: float | None) -> None:
    assert active_share_by_name(None, name) == share


def test_bandwidth_over_bytes_a_token() -> None:
    assert tokens_per_second_bound(40 * GB, 1000e9) == 25


def test_no_bound_without_figures() -> None:
    assert tokens_per_second_bound(0, 1e9) is None
    assert tokens_per_second_bound(1e9, 0) is None
