from __future__ import annotations

import pytest

from doctor.memory.ggml import BLOCKS, KV_TYPES, bits_per_weight, row_bytes


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("f32", 32),
        ("f16", 16),
        ("bf16", 16),
        ("q8_0", 8.5),
        ("q5_1", 6),
        ("q5_0", 5.5),
        ("q4_1", 5),
        ("q4_0", 4.5),
        ("iq4_nl", 4.5),
        ("q6_K", 6.5625),
        ("q4_K", 4.5),
        ("q2_K", 2.625),
        ("mxfp4", 4.25),
    ],
)
def test_bits_per_weight(name: str, bits: float) -> None:
    assert bits_per_weight(name) == bits


def test_row_of_a_quantised_type_is_whole_blocks() -> None:
    assert row_bytes("q8_0", 64) == 68
    with pytest.raises(ValueError, match="not a multiple"):
        row_bytes("q4_k", 64)  # llama.cpp: "K cache type q4_K with block size 256 does not divide n_embd_head_k=64"
    with pytest.raises(ValueError, match="not a ggml type"):
        row_bytes("fp8", 64)


def test_every_kv_type_is_known() -> None:
    assert set(KV_TYPES) <= set(BLOCKS)
