"""The bound that memory bandwidth sets on generation: every token reads the active weights and the KV cache once."""

from __future__ import annotations

from doctor.memory.model import HyperParameters
from doctor.memory.weights import current_bits, embedding_bytes, output_bytes


def active_bytes(model: HyperParameters, weights: int) -> int | None:
    """Bytes of weights that one token reads: of a mixture of experts the shared part and the experts in use.

    An estimate: attention is taken as four square matrices a layer, the rest as experts. None if a number is missing.
    """
    if not model.experts or not model.experts_used:
        return weights
    if not model.layers or not model.embd:
        return None
    attention = round(4 * model.embd**2 * model.layers * (current_bits(model) or 16.0) / 8)
    experts = max(weights - attention - embedding_bytes(model) - output_bytes(model), 0)
    return weights - experts + round(experts * min(model.experts_used / model.experts, 1.0))


def tokens_per_second_bound(bytes_per_token: float, bandwidth: float) -> float | None:
    """No faster than this, for one sequence: bandwidth over bytes read a token. A bound, not a forecast.

    Args:
        bytes_per_token: active weights and the filled part of the KV cache.
        bandwidth: bytes a second of the memory that holds them.
    """
    return bandwidth / bytes_per_token if bytes_per_token > 0 and bandwidth > 0 else None
