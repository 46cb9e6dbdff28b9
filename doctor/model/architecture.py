"""Metadata under GGUF's keys -> the ``model.*`` facts, by llama.cpp's own rules for loading.

Source: ``load_hparams`` in llama.cpp's src/llama-model.cpp, ``load_arch_hparams`` in src/models, ``create_memory``
for which layers own which cache, ``n_embd_r`` and ``n_embd_s`` in src/llama-hparams.cpp (commit 0c1e57098).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doctor.memory.model import WINDOWS
from doctor.memory.values import MAX_LAYERS, MAX_NUMBER
from doctor.model.document import Tensor
from doctor.model.gguf import Count

RECURRENT = {"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"}
"""No layer has attention (``llm_arch_is_recurrent``)."""
_BY_INTERVAL = {"qwen3next", "qwen35", "qwen35moe", "minimax-01"}
_BY_KV_HEADS = {
    "jamba", "granitehybrid", "plamo2", "lfm2", "lfm2moe", "kimi-linear", "kimi-k3", "bailingmoe3",
}  # fmt: skip
_MAMBA = {"mamba", "jamba"}
_NO_CACHE = {
    "bert", "jina-bert-v2", "jina-bert-v3", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert", "modern-bert",
    "gemma-embedding", "dream", "llada", "llada-moe", "rnd1", "wavtokenizer-dec",
}  # fmt: skip
_DEFAULT_WINDOW = {"gemma2": 4096, "exaone-moe": 128}
_OWN_PATTERN = {"gemma4", "mimo2", "step35", "granite_swa", "spark2-5", "maple"}
"""Their files always say which layers have the window."""

FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4", 39: "NVFP4",
}  # fmt: skip
"""``enum llama_ftype`` in include/llama.h."""


class Metadata:
    """Typed access to metadata of one architecture; a value that is not what it should be counts as not there."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.arch = self.text("general.architecture") or ""

    def get(self, key: str) -> Any:
        """A general key, or with a dot in front one of the architecture."""
        return self._values.get(f"{self.arch}{key}" if key.startswith(".") else key)

    def text(self, key: str) -> str | None:
        value = self.get(key)
        return value if isinstance(value, str) and value else None

    def number(self, key: str) -> int | None:
        value = self.get(key)
        valid = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER
        return int(value) if valid else None

    def each(self, key: str, layers: int) -> tuple[int, ...] | None:
        """One number a layer, from one or a list of them."""
        value = self.get(key)
        if isinstance(value, (list, tuple)):
            found = [int(item) for item in value[:layers] if isinstance(item, int) and 0 <= item <= MAX_NUMBER]
            return tuple(found) if len(found) == layers else None
        number = self.number(key)
        return None if number is None else (number,) * layers

    def flags(self, key: str, layers: int) -> tuple[bool, ...] | None:
        """Yes or no a layer; None if the key is not a list."""
        value = self.get(key)
        if not isinstance(value, (list, tuple)) or len(value) < layers:
            return None
        return tuple(bool(item) for item in value[:layers])


def facts_of(values: Mapping[str, Any], tensors: Sequence[Tensor] = ()) -> dict[str, Any]:
    """The ``model.*`` facts of a model; what its metadata does not say is not there.

    Args:
        values: metadata by GGUF's keys (``llama.block_count``).
        tensors: as far as known; sizes are taken from them.
    """
    data = Metadata(values)
    facts: dict[str, Any] = {
        "model.arch": data.arch or None,
        "model.name": data.text("general.name"),
        "model.quant": FILE_TYPES.get((data.number("general.file_type") or 0) % 1024)
        if data.number("general.file_type") is not None
        else None,
        "model.context_train": data.number(".context_length"),
        "model.embd": data.number(".embedding_length"),
        "model.vocab": _vocabulary(data, tensors),
        "model.experts": data.number(".expert_count"),
        "model.layers_dense": data.number(".leading_dense_block_count"),
        "model.kv_lora_rank": data.number(".attention.kv_lora_rank"),
        "model.rope_dim": data.number(".rope.dimension_count"),
    }
    facts |= _layers(data)
    if tensors:
        size, params = sum(tensor.bytes for tensor in tensors), sum(tensor.elements for tensor in tensors)
        facts |= {"model.file_size": size, "model.params": params}
        facts["model.bpw"] = round(8 * size / params, 4) if params else None
        embedding = next((tensor.type for tensor in tensors if tensor.name == "token_embd.weight"), None)
        facts["model.token_embedding_type"] = embedding
    return {name: value for name, value in facts.items() if value is not None}


def _vocabulary(data: Metadata, tensors: Sequence[Tensor]) -> int | None:
    """As wide as the embedding; a vocabulary may be shorter."""
    embedding = next((tensor.shape for tensor in tensors if tensor.name == "token_embd.weight"), ())
    if len(embedding) == 2:
        return embedding[1]
    words = data.get("tokenizer.ggml.tokens")
    listed = words.size if isinstance(words, Count) else len(words) if isinstance(words, list) else None
    return listed or data.number(".vocab_size")


def _layers(data: Metadata) -> dict[str, Any]:
    """What depends on the number of layers."""
    every = data.number(".block_count")
    if not every or every > MAX_LAYERS:
        return {}
    drafting = min(data.number(".nextn_predict_layers") or 0, every - 1)
    layers = every - drafting
    facts: dict[str, Any] = {"model.layers": layers, "model.layers_drafting": drafting or None}
    for name, key in (
        ("ff", ".feed_forward_length"),
        ("heads", ".attention.head_count"),
        ("experts_used", ".expert_used_count"),
        ("ff_expert", ".expert_feed_forward_length"),
    ):
        facts[f"model.{name}"] = _short(data.each(key, layers))
    used = facts["model.experts_used"]
    facts["model.experts_used"] = max(used) if isinstance(used, list) else used
    heads = data.each(".attention.head_count", layers)
    heads_kv = data.each(".attention.head_count_kv", layers) or heads
    facts["model.heads_kv"] = _short(heads_kv)
    recurrent = _recurrent(data, layers, heads_kv)
    if recurrent is not None:
        facts["model.recurrent_layers"] = [int(flag) for flag in recurrent]
        facts["model.state_layer"] = _state(data, heads[0] if heads else 0)
        if data.arch in _MAMBA:
            facts["model.state_inner"] = data.number(".ssm.inner_size")
            facts["model.state_size"] = data.number(".ssm.state_size")
    return facts | _attention(data, layers, heads, heads_kv, recurrent)


def _attention(
    data: Metadata,
    layers: int,
    heads: tuple[int, ...] | None,
    heads_kv: tuple[int, ...] | None,
    recurrent: tuple[bool, ...] | None,
) -> dict[str, Any]:
    """Which layers own a KV cache, how wide it is there, and which keep a window only."""
    if data.arch in RECURRENT or data.arch in _NO_CACHE:
        return {"model.attention_layers": [0] * layers}
    embd = data.number(".embedding_length")
    if not heads or heads_kv is None:
        return {}
    by_default = embd // heads[0] if embd and heads[0] else None
    k = data.number(".attention.key_length") or by_default
    v = data.number(".attention.value_length") or by_default
    facts: dict[str, Any] = {"model.head_dim_k": k, "model.head_dim_v": v}
    window, windowed = _window(data, layers)
    if window:
        facts["model.swa"] = window
        facts["model.swa_layers"] = None if windowed is None else [int(flag) for flag in windowed]
    if k is not None and v is not None:
        k_window = data.number(".attention.key_length_swa") or k
        v_window = data.number(".attention.value_length_swa") or v
        narrow = windowed or (False,) * layers
        facts["model.embd_k_gqa"] = _short([h * (k_window if w else k) for h, w in zip(heads_kv, narrow, strict=True)])
        facts["model.embd_v_gqa"] = _short([h * (v_window if w else v) for h, w in zip(heads_kv, narrow, strict=True)])
    facts["model.attention_layers"] = _owners(data, layers, heads_kv, recurrent)
    facts["model.index_width"] = data.number(".attention.indexer.key_length")
    if data.number(".attention.key_length_mla") is None:
        facts["model.kv_lora_rank"] = None  # an old file of such a model: every head is cached
    return facts


def _owners(
    data: Metadata, layers: int, heads_kv: tuple[int, ...], recurrent: tuple[bool, ...] | None
) -> list[int] | None:
    """The layers that own a KV cache; None if all do."""
    if data.arch == "gemma3n":
        return [int(layer < 20) for layer in range(layers)]
    if data.arch == "gemma4":
        shared = data.number(".attention.shared_kv_layers") or 0
        return [int(layer < layers - shared) for layer in range(layers)]
    if recurrent is None or data.arch == "falcon-h1":
        return None if all(heads_kv) else [int(bool(count)) for count in heads_kv]
    return [int(bool(count) and not state) for count, state in zip(heads_kv, recurrent, strict=True)]


def _recurrent(data: Metadata, layers: int, heads_kv: tuple[int, ...] | None) -> tuple[bool, ...] | None:
    """The layers that keep a recurrent state; None for a model that has none."""
    if data.arch in RECURRENT or data.arch == "falcon-h1":
        return (True,) * layers
    if data.arch in _BY_INTERVAL:
        told = data.flags(".attention.recurrent_layers", layers)
        interval = data.number(".full_attention_interval") or (8 if data.arch == "minimax-01" else 4)
        return told or tuple(bool((layer + 1) % interval) for layer in range(layers))
    if heads_kv is None:
        return None
    if data.arch in _BY_KV_HEADS:
        return tuple(not count for count in heads_kv)
    if data.arch.startswith("nemotron_h"):
        ff = data.each(".feed_forward_length", layers) or (0,) * layers
        return tuple(not count and not width for count, width in zip(heads_kv, ff, strict=True))
    return None


def _state(data: Metadata, heads: int) -> int | None:
    """Bytes of the recurrent state of one layer for one sequence: convolution and state, both as 32-bit floats."""
    embd = data.number(".embedding_length") or 0
    convolution = max((data.number(".ssm.conv_kernel") or 0) - 1, 0)
    if size := data.number(".wkv.head_size"):
        shifts = data.number(".token_shift_count")
        return 4 * ((2 if shifts is None else shifts) * embd + embd * size)
    if size := data.number(".shortconv.l_cache"):
        return 4 * embd * (size - 1)
    if size := data.number(".kda.head_dim"):
        return 4 * (3 * (convolution or 3) * heads * size + size * size * heads)
    inner, state = data.number(".ssm.inner_size"), data.number(".ssm.state_size")
    if inner is None or state is None:
        return None
    groups = data.number(".ssm.group_count") or 0
    return 4 * (convolution * (inner + 2 * groups * state) + state * inner)


def _window(data: Metadata, layers: int) -> tuple[int, tuple[bool, ...] | None]:
    """The sliding window that the engine applies (0: none), and the layers that have it if known.

    Many files carry a window that llama.cpp does not use: Mistral's, Phi-3's, Qwen2's.
    """
    told = data.flags(".attention.sliding_window_pattern", layers)
    pattern = WINDOWS.get(data.arch)
    size = data.number(".attention.sliding_window")
    if data.arch == "llama4":
        size = 0 if size == 0 else 8192
    elif data.arch == "smallthinker":
        size = 4096 if size else 0
    elif data.arch == "exaone4":
        size = (size or 4096) if layers == 64 else 0
    else:
        size = size or _DEFAULT_WINDOW.get(data.arch)
    if not size or (pattern is None and data.arch not in _OWN_PATTERN):
        return 0, None
    if told is not None:
        return size, told
    every = data.number(".attention.sliding_window_pattern")
    if pattern is not None and every is not None:
        pattern = pattern._replace(every=every)
    return size, None if pattern is None else tuple(pattern.covers(layer) for layer in range(layers))


def _short(values: Sequence[int] | None) -> int | list[int] | None:
    """One number where all are equal."""
    if not values:
        return None
    return values[0] if len(set(values)) == 1 else list(values)
