"""ggml's number formats: how many bytes a row of a tensor takes.

Source: the block structs and their ``static_assert``s in ggml/src/ggml-common.h, the names in the type table of
ggml/src/ggml.c (llama.cpp 0.5.0-dev, commit 0c1e57098, November 2026).
"""

from __future__ import annotations

BLOCKS: dict[str, tuple[int, int]] = {
    # type: (elements a block, bytes a block)
    "f32": (1, 4), "f16": (1, 2), "bf16": (1, 2),
    "q8_0": (32, 34), "q8_1": (32, 36), "q5_1": (32, 24), "q5_0": (32, 22), "q4_1": (32, 20), "q4_0": (32, 18),
    "iq4_nl": (32, 18), "mxfp4": (32, 17), "nvfp4": (64, 36), "q2_0": (64, 18), "q1_0": (128, 18),
    "q6_k": (256, 210), "q5_k": (256, 176), "q4_k": (256, 144), "q3_k": (256, 110), "q2_k": (256, 84),
    "iq4_xs": (256, 136), "iq3_s": (256, 110), "iq3_xxs": (256, 98), "iq2_s": (256, 82), "iq2_xs": (256, 74),
    "iq2_xxs": (256, 66), "iq1_m": (256, 56), "iq1_s": (256, 50), "tq2_0": (256, 66), "tq1_0": (256, 54),
    "q8_k": (256, 292), "i8": (1, 1), "i16": (1, 2), "i32": (1, 4), "i64": (1, 8), "f64": (1, 8),
}  # fmt: skip

GGUF_TYPES = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1", 10: "q2_k", 11: "q3_k",
    12: "q4_k", 13: "q5_k", 14: "q6_k", 15: "q8_k", 16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s",
    20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs", 24: "i8", 25: "i16", 26: "i32", 27: "i64", 28: "f64",
    29: "iq1_m", 30: "bf16", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4", 40: "nvfp4", 41: "q1_0", 42: "q2_0",
}  # fmt: skip
"""Types by their number in a GGUF file (``enum ggml_type``); missing numbers were types that are no longer read."""

KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
"""What ``--cache-type-k`` and ``--cache-type-v`` take (common/arg.cpp, same commit)."""


def block(name: str) -> tuple[int, int]:
    """Elements and bytes of one block.

    Raises:
        ValueError: no such ggml type.
    """
    found = BLOCKS.get(name.strip().lower())
    if found is None:
        raise ValueError(f"not a ggml type: {name!r}")
    return found


def row_bytes(name: str, elements: int) -> int:
    """Bytes of a row of ``elements`` numbers.

    Raises:
        ValueError: no such type, or the row is not a whole number of blocks (ggml refuses such a tensor).
    """
    size, count = block(name)
    if elements % size:
        raise ValueError(f"{elements} is not a multiple of the {size} elements of a {name} block")
    return elements // size * count


def bits_per_weight(name: str) -> float:
    """``q8_0`` -> 8.5."""
    size, count = block(name)
    return 8 * count / size
