"""The compute buffer: the scratch memory of the graph. An estimate; the figure that the engine prints wins.

Its tensors share memory, so it is as large as the largest of these moments (per token of the physical batch, four
bytes a number):

* the end of the graph: the logits (vocabulary) and two hidden states;
* a feed-forward block: gate and up (2 x ff) and four hidden states; of a mixture of experts at least one hidden state
  an expert in use, twice;
* attention with flash attention: the mask (two bytes a cell) and nine hidden states;
* attention without: the scores (heads x cells), the mask (cells) and seven hidden states.

Measured against what llama.cpp printed (tests/memory/test_compute.py). 0.5.0-dev: without flash attention, and where
the logits decide, exact to 0.2 %; else with flash attention 1 % too low to 13 % too high. Builds of January and August
2025 on RPC workers: 8 to 22 % too high. It knows neither layers that are split between host and device nor the copies
of a pipeline over several devices: 20 % and 33 % too low in the one run of each.
"""

from __future__ import annotations

from doctor.memory.kv import CacheShape
from doctor.memory.model import HyperParameters, largest

_INPUTS = 24
"""Bytes a token of small inputs: token, position, cache row, output row (measured)."""


def compute_bytes(model: HyperParameters, shape: CacheShape, outputs: int | None = None) -> int | None:
    """Bytes of a device's compute buffer; None without the hidden size.

    Args:
        outputs: tokens of a batch whose logits are computed; None for all of them (llama-server of 2026 computes one a
            slot, llama-cli and llama-cpp-python all), 0 for a device that has no output layer.
    """
    if not model.embd:
        return None
    cells = shape.cells_per_stream
    tokens = min(shape.ubatch, max(shape.context, 1))
    share = 1.0 if outputs is None else min(outputs / tokens, 1.0)
    output = round(4 * (model.vocab or 0) * share) + (8 * model.embd if share else 0)
    ff = max(largest(model.ff), (model.experts_used or 0) * model.embd)
    feed_forward = 4 * (2 * ff + 4 * model.embd)
    if shape.flash_attention:
        attention = 2 * cells + 4 * 9 * model.embd
    else:
        attention = 4 * (cells * (largest(model.heads) + 1) + 7 * model.embd)
    return (max(output, feed_forward, attention) + _INPUTS) * tokens


def host_compute_bytes(model: HyperParameters, shape: CacheShape) -> int | None:
    """Bytes of the buffer through which the host hands a batch to devices that hold all layers: embeddings, mask."""
    if not model.embd:
        return None
    mask = (2 if shape.flash_attention else 4) * shape.cells_per_stream
    return (4 * model.embd + mask + _INPUTS) * min(shape.ubatch, max(shape.context, 1))
