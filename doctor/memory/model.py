"""A model's hyper-parameters, as far as a log or the header of a file tells them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from doctor.memory.values import MAX_LAYERS, Values

PerLayer = int | tuple[int, ...]


class Window(NamedTuple):
    """Which layers attend to a sliding window only: of every ``every`` layers one is dense (0: none is)."""

    every: int
    dense_first: bool = False

    def covers(self, layer: int) -> bool:
        """As ``llama_hparams::set_swa_pattern`` in llama.cpp's src/llama-hparams.cpp."""
        if self.every == 0:
            return True
        return layer % self.every != 0 if self.dense_first else layer % self.every < self.every - 1


WINDOWS = {
    "afmoe": Window(4), "cohere2": Window(4), "cohere2moe": Window(4, dense_first=True), "exaone-moe": Window(4),
    "exaone4": Window(4), "gemma2": Window(2), "gemma3": Window(6), "gemma3n": Window(5), "gpt-oss": Window(2),
    "laguna": Window(4, dense_first=True), "llama4": Window(4), "mellum": Window(4), "muse-glimmer": Window(4),
    "olmo2": Window(4), "plamo3": Window(8), "smallthinker": Window(4, dense_first=True),
}  # fmt: skip
"""Default patterns by architecture: the ``load_swa_pattern`` calls in llama.cpp's src/models/*.cpp (commit 0c1e57098).

A GGUF may carry its own pattern, which the log does not print whole; architectures that always do (gemma4, mimo2,
step35, granite-swa, ...) are not here, and their cache is computed only where the engine printed its size.
"""

ATTENTION_EVERY = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
"""Hybrid architectures of which only every n-th layer has a KV cache (``full_attention_interval``, same source)."""

LAYERS_WITH_CACHE = {"gemma3n": 20}
"""Later layers use the cache of earlier ones (``n_layer_kv_from_start`` in src/models/gemma3n.cpp)."""


OTHER_CACHES = {"deepseek4", "minimax-m3", "glm5-next", "hy-v4", "qwen4exp", "dots3note"}
"""Architectures with caches of their own kinds (``create_memory`` in src/llama-model.cpp): none of them is computed."""


class CacheLayer(NamedTuple):
    """The cache of layer ``number``: numbers a token for K and for V, and whether it keeps a sliding window only."""

    number: int
    k: int
    v: int
    windowed: bool


@dataclass(frozen=True, slots=True)
class HyperParameters:
    """What is known of a model; None where nothing said it.

    Attributes:
        heads_kv: KV heads, one number or one a layer (0: the layer has no attention).
        k_width, v_width: numbers that a token adds to K and V in a layer (``n_embd_k_gqa``, ``n_embd_v_gqa``);
            they win over heads times head size.
        window: sliding window in tokens, 0 for none; ``window_pattern`` says which layers have it.
        kv_lora_rank, rope_dim: multi-head latent attention (DeepSeek): width of the compressed KV, and of the
            part of the key that carries the position.
        mla_keeps_v: the compressed cache holds a V beside K (llama.cpp until January 2026, pull request 19067).
        attention_layers: which layers own a KV cache, where a header says so; it wins over ``attention_every`` and
            ``layers_with_cache``. ``window_layers`` likewise wins over ``window_pattern``.
        recurrent_layers: which layers keep a recurrent state; ``state_layer``: its bytes in one layer for one sequence.
        state_inner, state_size: widths of a recurrent block of Mamba's kind; 0 for other models.
        index_width: numbers a token of the index cache of sparse attention (DeepSeek-V3.2), beside K.
        layers_drafting: layers at the end that predict further tokens; not loaded, but counted by ``--n-gpu-layers``.
        expert_ff: width of one routed expert; ``dense_layers``: leading layers of a mixture that have no experts.
        file_size: bytes of the weights; ``params``: number of weights; ``bpw``: bits a weight.
    """

    arch: str | None = None
    layers: int | None = None
    embd: int | None = None
    ff: PerLayer | None = None
    heads: PerLayer | None = None
    heads_kv: PerLayer | None = None
    head_dim_k: int | None = None
    head_dim_v: int | None = None
    k_width: PerLayer | None = None
    v_width: PerLayer | None = None
    vocab: int | None = None
    experts: int | None = None
    experts_used: int | None = None
    expert_ff: PerLayer | None = None
    dense_layers: int | None = None
    window: int = 0
    window_pattern: Window | None = None
    attention_every: int | None = None
    layers_with_cache: int | None = None
    kv_lora_rank: int | None = None
    rope_dim: int | None = None
    mla_keeps_v: bool = False
    attention_layers: tuple[int, ...] | None = None
    window_layers: tuple[int, ...] | None = None
    recurrent_layers: tuple[int, ...] | None = None
    state_layer: int = 0
    state_inner: int = 0
    state_size: int = 0
    index_width: int = 0
    layers_drafting: int = 0
    file_size: int | None = None
    params: float | None = None
    bpw: float | None = None
    quant: str | None = None
    embedding_type: str | None = None
    context_train: int | None = None

    @classmethod
    def from_facts(cls, values: Values) -> HyperParameters:
        """The hyper-parameters that ``model.*`` facts give."""
        arch = values.text("model.arch")
        layers = values.integer("model.layers")
        build = engine_build(values)
        # Sliding windows shrank the cache only from pull request 13194 (merged 2025-05-20) on; b4598 is of
        # January 2025 and b5912 of July 2025, so b5300 is safely before it.
        shrinks = build is None or build > 5300
        return cls(
            arch=arch,
            layers=layers if layers is not None and 0 < layers <= MAX_LAYERS else None,
            embd=values.integer("model.embd"),
            ff=values.per_layer("model.ff"),
            heads=values.per_layer("model.heads"),
            heads_kv=values.per_layer("model.heads_kv"),
            head_dim_k=values.integer("model.head_dim_k"),
            head_dim_v=values.integer("model.head_dim_v"),
            k_width=values.per_layer("model.embd_k_gqa"),
            v_width=values.per_layer("model.embd_v_gqa"),
            vocab=values.integer("model.vocab"),
            experts=values.integer("model.experts"),
            experts_used=values.integer("model.experts_used"),
            expert_ff=values.per_layer("model.ff_expert"),
            dense_layers=values.integer("model.layers_dense"),
            window=(values.integer("model.swa") or 0) if shrinks else 0,
            window_pattern=WINDOWS.get(arch or ""),
            attention_every=ATTENTION_EVERY.get(arch or ""),
            layers_with_cache=LAYERS_WITH_CACHE.get(arch or ""),
            kv_lora_rank=values.integer("model.kv_lora_rank") or None,
            # b7815 is of 2026-01-23, the day before the pull request that dropped V was opened.
            mla_keeps_v=build is not None and build <= 7815,
            rope_dim=values.integer("model.rope_dim"),
            attention_layers=_flags(values, "attention_layers", layers),
            window_layers=_flags(values, "swa_layers", layers),
            recurrent_layers=_flags(values, "recurrent_layers", layers),
            state_layer=values.integer("model.state_layer") or 0,
            state_inner=values.integer("model.state_inner") or 0,
            state_size=values.integer("model.state_size") or 0,
            index_width=values.integer("model.index_width") or 0,
            layers_drafting=values.integer("model.layers_drafting") or 0,
            file_size=values.integer("model.file_size"),
            params=values.number("model.params"),
            bpw=values.number("model.bpw"),
            quant=values.text("model.quant"),
            embedding_type=values.text("model.token_embedding_type"),
            context_train=values.integer("model.context_train"),
        )

    @property
    def missing(self) -> list[str]:
        """Facts that the size of the KV cache needs and that nothing gave."""
        found = [] if self.layers else ["model.layers"]
        if self.attention_layers is not None and not any(self.attention_layers):
            return found
        if self.k_width is None and self._compressed_width is None:
            found += [] if self.heads_kv is not None else ["model.heads_kv"]
            found += [] if self.head_dim_k is not None else ["model.head_dim_k"]
            found += [] if self.head_dim_v is not None else ["model.head_dim_v"]
        return found

    @property
    def uncertain(self) -> str | None:
        """Why the size of the KV cache cannot be computed although every number is there."""
        if self.arch in OTHER_CACHES:
            return f"{self.arch} keeps further caches whose size is not computed here"
        told = self.window_pattern or self.window_layers or self.attention_every
        if self.window and not told:
            return f"which layers of {self.arch or 'this model'} have the sliding window is not known"
        return None

    @property
    def state_bytes(self) -> int:
        """Recurrent state of all recurrent layers for one sequence."""
        return self.state_layer * sum(self.recurrent_layers or ())

    @property
    def _compressed_width(self) -> int | None:
        """K's width with multi-head latent attention: the compressed KV and the rotary part of the key."""
        return self.kv_lora_rank + self.rope_dim if self.kv_lora_rank and self.rope_dim is not None else None

    @property
    def compressed(self) -> bool:
        """The cache holds the compressed KV. Old GGUFs of the same models cache every head and are much wider."""
        if not self.kv_lora_rank:
            return False
        return self.k_width is None or largest(self.k_width) < 2 * self.kv_lora_rank

    def cache_layers(self) -> list[CacheLayer]:
        """The layers that own a KV cache.

        Raises:
            ValueError: facts are missing, see ``missing`` and ``uncertain``.
        """
        problem = self.uncertain or (f"not known: {', '.join(self.missing)}" if self.missing else None)
        if problem or self.layers is None:
            raise ValueError(problem or "the number of layers is not known")
        return list(_cache_layers(self))

    def _cache_layers(self) -> Iterator[CacheLayer]:
        for layer in range(self.layers or 0):
            k, v = self._widths(layer) if self._owns_cache(layer) else (0, 0)
            if k or v:
                yield CacheLayer(layer, k, v, self._windowed(layer))

    def _owns_cache(self, layer: int) -> bool:
        if self.attention_layers is not None:
            return bool(at(self.attention_layers, layer))
        if self.attention_every and (layer + 1) % self.attention_every:
            return False
        return not self.layers_with_cache or layer < self.layers_with_cache

    def _windowed(self, layer: int) -> bool:
        if not self.window:
            return False
        if self.window_layers is not None:
            return bool(at(self.window_layers, layer))
        return self.window_pattern is not None and self.window_pattern.covers(layer)

    def _widths(self, layer: int) -> tuple[int, int]:
        if self.compressed:
            k = at(self.k_width, layer) if self.k_width is not None else (self._compressed_width or 0)
            return k + self.index_width, (self.kv_lora_rank or 0) if self.mla_keeps_v else 0
        heads = at(self.heads_kv, layer) if self.heads_kv is not None else 0
        k = at(self.k_width, layer) if self.k_width is not None else heads * (self.head_dim_k or 0)
        if self.v_width is not None:
            return k, at(self.v_width, layer)
        return k, heads * self.head_dim_v if self.heads_kv is not None and self.head_dim_v is not None else k


@lru_cache(maxsize=8)
def _cache_layers(model: HyperParameters) -> tuple[CacheLayer, ...]:
    """Kept, as every setting that is tried asks for them again."""
    return tuple(model._cache_layers())


def at(value: PerLayer, layer: int) -> int:
    """The value of a layer; the last one counts for layers beyond a short list."""
    return value if isinstance(value, int) else value[min(layer, len(value) - 1)]


def largest(value: PerLayer | None) -> int:
    return 0 if value is None else value if isinstance(value, int) else max(value)


def _flags(values: Values, name: str, layers: int | None) -> tuple[int, ...] | None:
    """Yes or no (1 or 0) a layer; None if nothing told, or not of every layer."""
    told = values.per_layer(f"model.{name}")
    if isinstance(told, int):
        told = (told,)
    return told if told and (len(told) == 1 or len(told) >= (layers or 0)) else None


_COMMIT = r"[0-9a-f]{7,12}"
_BUILD = re.compile(
    rf"b?(?P<plain>\d{{3,6}})(?: \({_COMMIT}\))?"
    rf"|\S+ \(build (?P<named>\d{{3,6}}), commit {_COMMIT}\)|build: {_COMMIT} \((?P<last>\d{{3,6}})\)"
)


def engine_build(values: Values) -> int | None:
    """llama.cpp's build number, or that of the llama.cpp which a program is built on; None where nothing tells.

    Written ``b4598``, ``4598 (27d135c9)``, ``0.3.0-dev (build 10717, commit a32af33de)`` or ``build: 27d135c9 (4598)``.
    """
    found = _BUILD.fullmatch((values.text("engine.version") or "").strip())
    return int(found[found.lastgroup or 0]) if found else values.integer("engine.base_build")
