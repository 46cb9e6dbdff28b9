"""The compute buffer: the scratch memory of the graph. An estimate; the figure that the engine prints wins.

Its tensors share memory, so it is as large as the largest of these moments, with the mask beside all but the first (per
token of the physical batch, four bytes a number unless said):

* the end of the graph: the logits (vocabulary) and two hidden states;
* a feed-forward block: gate, up and their product (3 x ff; 2 x ff without a gate) and two to five hidden states;
* a mixture of experts: widths and hidden states of all experts in use, and four or five hidden states;
* attention with flash attention: nine hidden states; with a compressed cache the queries in its width and twice the
  result, for every head;
* attention without: the scores (heads x cells, twice with a compressed cache) and seven hidden states;
* a recurrent block of Mamba's kind: six times its inner width.

The mask takes two bytes a cell with flash attention, four without; windowed layers have one of their own.

The sums were fitted to what llama.cpp 0.5.0-dev printed for sixteen architectures and checked on others; the table in
docs/memory.md says the error of each run (benchmarks/bench_memory.py), tests/memory/test_compute.py that of older
builds.
"""

from __future__ import annotations

from doctor.memory.kv import CacheShape
from doctor.memory.model import HyperParameters, largest

_NO_GATE = {
    "nemotron",
    "nemotron_h",
    "phi2",
    "gpt2",
    "gptj",
    "gptneox",
    "starcoder",
    "starcoder2",
    "falcon",
    "bloom",
    "mpt",
}
"""Feed-forward blocks of two matrices, not three."""
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
    tokens = min(shape.ubatch, max(shape.context, 1))
    share = 1.0 if outputs is None else min(outputs / tokens, 1.0)
    output = 4 * (round((model.vocab or 0) * share) + (2 * model.embd if share else 0))
    blocks = 4 * max(_feed_forward(model), _attention(model, shape), _recurrent(model))
    return (max(output, blocks + mask_bytes(model, shape)) + _INPUTS) * tokens


def mask_bytes(model: HyperParameters, shape: CacheShape) -> int:
    """Bytes of the masks a token: a number for each cell that it may see."""
    if model.attention_layers is not None and not any(model.attention_layers):
        return 0
    cells = shape.cells_per_stream
    if model.window and not shape.full_window:
        cells += shape.window_cells_per_stream(model.window)
    return (2 if shape.flash_attention else 4) * cells


def _feed_forward(model: HyperParameters) -> int:
    """Numbers a token in the widest feed-forward block."""
    embd, used = model.embd or 0, model.experts_used or 0
    ff = largest(model.ff)
    # Hidden states that were given back leave holes, which a wide block does not fit into.
    dense = 2 * ff + 5 * embd if model.arch in _NO_GATE else 3 * ff + (4 if ff > 2 * embd else 2) * embd
    if not used:
        return dense
    wide, hidden = used * largest(model.expert_ff or model.ff), used * embd
    mixture = max(min(hidden + 3 * wide + 5 * embd, 2 * hidden + 2 * wide), 3 * wide + 4 * embd)
    return max(mixture, dense) if model.dense_layers else mixture


def _attention(model: HyperParameters, shape: CacheShape) -> int:
    """Numbers a token in an attention block; the mask is not among them."""
    embd, heads = model.embd or 0, largest(model.heads)
    compressed = model.compressed and model.kv_lora_rank
    if not shape.flash_attention:
        scores = shape.cells_per_stream * heads
        return (2 * scores + 2 * embd) if compressed else scores + 7 * embd
    if compressed:
        return heads * (2 * compressed + largest(model.k_width)) + embd // 2
    return 9 * embd


def _recurrent(model: HyperParameters) -> int:
    """Numbers a token in a block with a state; zero for other kinds than Mamba's."""
    return 6 * model.state_inner + (model.embd or 0) + 2 * model.state_size if model.state_inner else 0


def host_compute_bytes(model: HyperParameters, shape: CacheShape, copies: int = 1) -> int | None:
    """Bytes of the buffer through which the host hands a batch to devices that hold all layers: embeddings and mask.

    Args:
        copies: four where several devices work as a pipeline.
    """
    if not model.embd:
        return None
    batch = 4 * model.embd + mask_bytes(model, shape)
    return (copies * batch + 4 * model.embd + _INPUTS) * min(shape.ubatch, max(shape.context, 1))
