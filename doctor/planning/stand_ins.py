"""Tensors made up for a model whose header is not at hand: an embedding, an output, and equal layers."""

from __future__ import annotations

from doctor.memory.model import HyperParameters
from doctor.memory.speed import expert_bytes
from doctor.memory.weights import current_bits, embedding_bytes, output_bytes
from doctor.model.document import Tensor


def stand_ins(model: HyperParameters, weights: int) -> tuple[Tensor, ...]:
    """As many bytes as the weights have, spread as such a model spreads them.

    Args:
        weights: bytes of all weights.
    """
    layers = model.layers or 1
    kind = (model.quant or f"{current_bits(model) or 16:.1f} bits").lower()
    embedding = min(embedding_bytes(model), weights // 4)
    output = min(output_bytes(model), weights // 4)
    experts = min(expert_bytes(model, weights) or 0, weights - embedding - output)
    dense = min(model.dense_layers or 0, layers - 1) if experts else 0
    rest = weights - embedding - output - experts
    found = [
        Tensor("token_embd.weight", kind, (model.embd or 1, model.vocab or 1), embedding),
        Tensor("output.weight", kind, (model.embd or 1, model.vocab or 1), output),
    ]
    for layer in range(layers):
        found.append(Tensor(f"blk.{layer}.attn.weight", kind, (1, 1), _part(rest, layers, layer)))
        if experts and layer >= dense:
            size = _part(experts, layers - dense, layer - dense)
            found.append(Tensor(f"blk.{layer}.ffn_up_exps.weight", kind, (1, 1, 1), size))
    return tuple(found)


def _part(size: int, parts: int, index: int) -> int:
    """An equal part, the first ones a byte larger so that they add up."""
    return size // parts + (index < size % parts)
