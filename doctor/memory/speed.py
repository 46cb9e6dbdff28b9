"""What a token costs: the bytes of weights that it reads, and the speed that memory bandwidth allows."""

from __future__ import annotations

import re

from doctor.memory.model import HyperParameters, largest
from doctor.memory.weights import current_bits, embedding_bytes, output_bytes

_NAMED = re.compile(
    r"(?<![\w.])(?P<total>\d{1,4}(?:\.\d+)?)B[-_]A(?P<active>\d{1,3}(?:\.\d+)?)B(?![\w.])", re.IGNORECASE
)
_DEEPSEEK_V3 = re.compile(r"deepseek[-_. ]?(?:v3|r1)(?![-_. ]?distill)", re.IGNORECASE)
_KNOWN = ((_DEEPSEEK_V3, 37 / 671, 8 / 256),)
"""Active over all parameters, experts in use over all of them; where the name doesn't tell: DeepSeek V3 and R1."""


def active_bytes(model: HyperParameters, weights: int) -> int | None:
    """Bytes of weights that one token reads: of a mixture of experts the shared part and the experts in use.

    Exact to the mean bits of a weight where the width of an expert is known; else an estimate that takes attention as
    four square matrices a layer and the rest as experts. None if a number is missing.
    """
    if not model.experts or not model.experts_used:
        return weights
    experts = expert_bytes(model, weights)
    if experts is None:
        return None
    embedding = min(embedding_bytes(model), weights - experts)  # of which a token reads one row
    return weights - embedding - experts + round(experts * expert_share(model))


def expert_bytes(model: HyperParameters, weights: int) -> int | None:
    """Bytes of all routed experts; None if the model is not a mixture or a number is missing."""
    if not model.experts or not model.layers or not model.embd:
        return None
    if model.expert_ff and model.params:
        layers = max(model.layers - (model.dense_layers or 0), 0)
        routed = 3 * model.embd * largest(model.expert_ff) * model.experts * layers
        return round(weights * min(routed / model.params, 1.0))
    attention = round(4 * model.embd**2 * model.layers * (current_bits(model) or 16.0) / 8)
    return max(weights - attention - embedding_bytes(model) - output_bytes(model), 0)


def expert_share(model: HyperParameters, tokens: int = 1) -> float:
    """The share of the experts that a batch of so many tokens reads, if the router spreads them evenly."""
    if not model.experts or not model.experts_used:
        return 1.0
    one = min(model.experts_used / model.experts, 1.0)
    return 1 - (1 - one) ** max(tokens, 1)


def active_share_by_name(*names: str | None) -> float | None:
    """Active over all parameters as a model's name tells it: ``Qwen3-235B-A22B`` -> 22 / 235."""
    for name in names:
        if not name:
            continue
        text = name[:1000]
        if (found := _NAMED.search(text)) and 0 < float(found["active"]) <= float(found["total"]):
            return float(found["active"]) / float(found["total"])
        for pattern, share, _ in _KNOWN:
            if pattern.search(text):
                return share
    return None


def expert_share_by_name(*names: str | None) -> float | None:
    """Experts in use over all experts of a model that is known by its name."""
    known = (share for name in names if name for pattern, _, share in _KNOWN if pattern.search(name[:1000]))
    return next(known, None)


def tokens_per_second_bound(bytes_per_token: float, bandwidth: float) -> float | None:
    """No faster than this, for one sequence: bandwidth over bytes read a token. A bound, not a forecast.

    Args:
        bytes_per_token: active weights and the filled part of the KV cache.
        bandwidth: bytes a second of the memory that holds them.
    """
    return bandwidth / bytes_per_token if bytes_per_token > 0 and bandwidth > 0 else None
