"""The KV cache of llama.cpp and what is built on it, exact to the byte.

Sources (llama.cpp 0.5.0-dev, commit 0c1e57098): the sizes of ``cache_k_l*`` and ``cache_v_l*`` in
src/llama-kv-cache.cpp, the window cache in src/llama-kv-cache-iswa.cpp, the padding in src/llama-context.cpp. Checked
against logs of builds of January 2025, August 2025 and November 2026 (tests/memory/test_kv.py).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

from doctor.memory.ggml import BLOCKS, row_bytes
from doctor.memory.model import HyperParameters, engine_build
from doctor.memory.values import Values

PADDING = 256
"""Cells are rounded up to this: always since pull request 17046 (November 2025), before that with flash attention."""
PADDING_WITHOUT_FLASH = 32
"""Builds from May 2024 (pull request 7257) to October 2025 (16812) round up to this without flash attention."""
MAX_SLOTS = 4096


@dataclass(frozen=True, slots=True)
class CacheShape:
    """The settings that size a KV cache.

    Attributes:
        context: tokens asked for, all slots together.
        slots: parallel sequences.
        unified: the slots share one pool of cells; else each has its own.
        flash_attention: without it V is stored transposed, in layers of equal width.
        ubatch: tokens of a physical batch; a window cache holds that much beside the window.
        padding: cells are a multiple of it.
        full_window: windowed layers keep the whole context (``--swa-full``).
    """

    context: int
    slots: int = 1
    unified: bool = False
    type_k: str = "f16"
    type_v: str = "f16"
    flash_attention: bool = True
    ubatch: int = 512
    padding: int = PADDING
    full_window: bool = False

    @classmethod
    def from_facts(cls, values: Values) -> CacheShape | None:
        """The settings in force; None when the context is not known, or a cache type is none of ggml's."""
        context = values.integer("setting.context")
        slots = min(max(values.integer("setting.slots") or 1, 1), MAX_SLOTS)
        if context is None and (slot_context := values.integer("setting.slot_context")):
            context = slot_context * slots
        if context == 0:  # llama.cpp's word for the context of training
            context = values.integer("model.context_train")
        type_k = (values.text("setting.kv_type_k") or "f16").lower()
        type_v = (values.text("setting.kv_type_v") or "f16").lower()
        if not context or type_k not in BLOCKS or type_v not in BLOCKS:
            return None
        batch = min(values.integer("setting.batch") or 2048, context)
        build = engine_build(values)
        shape = cls(
            context=context,
            slots=slots,
            # Separate pools came with b5913 (pull request 14363, July 2025); before, all slots shared one.
            unified=values.flag("setting.kv_unified") or (build is not None and build <= 5912),
            type_k=type_k,
            type_v=type_v,
            flash_attention=_flash_attention(values, build),
            ubatch=min(values.integer("setting.ubatch") or 512, batch) or 1,
        )
        return replace(shape, padding=_padding(values, shape))

    @property
    def streams(self) -> int:
        """Separate pools of cells."""
        return 1 if self.unified else self.slots

    @property
    def step(self) -> int:
        """The context grows in steps of this many tokens."""
        return self.padding * self.streams

    @property
    def cells_per_stream(self) -> int:
        if self.padding == PADDING:
            return max(pad(pad(self.context, PADDING) // self.streams, PADDING), PADDING)
        return pad(-(-self.context // self.streams), self.padding)

    @property
    def cells(self) -> int:
        """Tokens that the cache holds."""
        return self.cells_per_stream * self.streams

    def window_cells_per_stream(self, window: int) -> int:
        """Cells of a windowed layer: the window (of every slot in a shared pool) and one physical batch."""
        if self.full_window:
            return self.cells_per_stream
        sequences = self.slots if self.unified else 1
        return min(self.cells_per_stream, pad(window * sequences + self.ubatch, self.padding))


def pad(count: int, step: int) -> int:
    """``count`` rounded up to a multiple of ``step`` (GGML_PAD)."""
    return -(-count // step) * step


def kv_bytes_by_cache_layer(model: HyperParameters, shape: CacheShape) -> list[tuple[int, int]]:
    """The number and the bytes of every layer that owns a cache.

    Raises:
        ValueError: a hyper-parameter is missing, or a row is not a whole number of the type's blocks.
    """
    layers = model.cache_layers()
    widest_v = max((layer.v for layer in layers), default=0)
    found = []
    for layer in layers:
        cells = shape.window_cells_per_stream(model.window) if layer.windowed else shape.cells_per_stream
        v = layer.v if shape.flash_attention or not layer.v else widest_v
        size = (row_bytes(shape.type_k, layer.k) + row_bytes(shape.type_v, v)) * cells * shape.streams
        found.append((layer.number, size))
    return found


def kv_bytes_by_layer(model: HyperParameters, shape: CacheShape) -> list[int]:
    """Bytes of every layer that owns a cache. Raises as ``kv_bytes_by_cache_layer``."""
    return [size for _, size in kv_bytes_by_cache_layer(model, shape)]


def kv_bytes(model: HyperParameters, shape: CacheShape) -> int:
    """Bytes of the whole cache, recurrent state included. Raises as ``kv_bytes_by_layer``.

    Layers of one kind are counted at once: searches for what fits ask for many shapes.
    """
    kinds = _kinds(model)
    widest_v = max((v for _k, v, _windowed in kinds), default=0)
    whole = 0
    for (k, v, windowed), count in kinds.items():
        cells = shape.window_cells_per_stream(model.window) if windowed else shape.cells_per_stream
        wide = v if shape.flash_attention or not v else widest_v
        whole += count * (row_bytes(shape.type_k, k) + row_bytes(shape.type_v, wide)) * cells * shape.streams
    return whole + model.state_bytes * shape.slots


@lru_cache(maxsize=64)
def _kinds(model: HyperParameters) -> Counter[tuple[int, int, bool]]:
    """How many layers own a cache of each kind: K's and V's width, and whether it sees a window only."""
    return Counter((layer.k, layer.v, layer.windowed) for layer in model.cache_layers())


def kv_bytes_per_token(model: HyperParameters, shape: CacheShape) -> int:
    """Bytes that one more token of context costs in the layers that see all of it. Raises as ``kv_bytes_by_layer``."""
    layers = model.cache_layers()
    widest_v = max((layer.v for layer in layers), default=0)
    return sum(
        row_bytes(shape.type_k, layer.k)
        + row_bytes(shape.type_v, layer.v if shape.flash_attention or not layer.v else widest_v)
        for layer in layers
        if not layer.windowed or shape.full_window
    )


def _flash_attention(values: Values, build: int | None) -> bool:
    """Off unless asked for while it was a switch (b6169, of August 2025, still has it); later used if possible."""
    asked = values.flag("setting.flash_attention")
    if asked is None and build is not None and build <= 6169 and values.text("setting.flash_attention") != "auto":
        return False
    return asked is not False


def _padding(values: Values, shape: CacheShape) -> int:
    """The rounding of the engine that printed these facts, told by its build or by the context it says it uses."""
    if shape.flash_attention and values.flag("setting.flash_attention"):
        return PADDING
    build = engine_build(values)
    if build is not None:
        # b6490 is of September 2025; what lies between it and November's change rounds differently, the log decides.
        return PADDING_WITHOUT_FLASH if build <= 6490 else PADDING
    echoed = values.integer("setting.slot_context")
    unrounded = shape.context % PADDING and echoed and echoed * shape.slots == shape.context
    return PADDING_WITHOUT_FLASH if unrounded else PADDING
