"""llama.cpp's own measure of the compute buffer, where llama-cpp-python is installed: it wins over the estimate.

The model is loaded without memory (``no_alloc``, which llama.cpp's own ``--fit`` stands on) and its graph is built, in
a child process: an abort, a hang or a wrong library costs a note. Weights and caches need no measure: they are exact.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from doctor.planning.layout import HOST, Layout
from doctor.planning.settings import Settings

SECONDS = 20.0
_MIB = 1024 * 1024
# ggml_type of ggml/include/ggml.h, those that a cache may have
_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30}


@dataclass(frozen=True, slots=True)
class Measured:
    """``compute``: bytes by the names of places. ``by``: who measured. ``failed``: why there is no figure."""

    compute: dict[str, int] = field(default_factory=dict)
    by: str = ""
    failed: str = ""


def is_available() -> bool:
    """Whether the package is installed; it is not imported here."""
    from importlib.util import find_spec

    return find_spec("llama_cpp") is not None


def measure(path: Path, settings: Settings, python: str = sys.executable) -> Measured | None:
    """The compute buffers of a model with these settings on this machine.

    Args:
        path: a GGUF file; of a split one, the first.
        python: the interpreter that has the package.

    Returns:
        None where the settings place tensors in ways that are not handed on (overrides, splits).
    """
    if settings.overrides or settings.cpu_moe or settings.tensor_split or settings.split_mode != "layer":
        return None
    from doctor.probe.ask import run

    ran = run([python, "-I", str(Path(__file__).with_name("measure_child.py")), _request(path, settings)], SECONDS)
    if ran.exit != 0:
        return Measured(failed=f"stopped after {ran.seconds:.0f} s" if ran.exit is None else _last_line(ran.errors))
    try:
        told = json.loads(ran.output.strip().splitlines()[-1])
        if told.get("failed"):
            return Measured(failed=str(told["failed"])[:300])
        figures = {str(name): float(mib) for name, mib in told["compute"].items()}
    except (ValueError, KeyError, IndexError, AttributeError):
        return Measured(failed="its answer can't be read")
    found: dict[str, int] = {}
    for name, mib in figures.items():  # pinned and plain host memory are one place
        place = HOST if name == "CPU" or name.endswith("_Host") else name
        found[place] = found.get(place, 0) + round(mib * _MIB)
    return Measured(found, str(told["by"])[:60])


def apply(layout: Layout, measured: Measured) -> dict[str, dict[str, int]]:
    """Puts the measured figures into a layout; by place, what was estimated and what was measured."""
    compared: dict[str, dict[str, int]] = {}
    for place in layout.places:
        size = measured.compute.get(place.name)
        for index, part in enumerate(place.parts):
            if part.kind == "compute" and size is not None:
                compared[place.name] = {"estimate": part.bytes, "measured": size}
                place.parts[index] = replace(part, bytes=size, source="measured")
    return compared


def _request(path: Path, settings: Settings) -> str:
    shape = settings.shape
    context: dict[str, Any] = {
        "n_ctx": shape.context,
        "n_batch": max(2048, shape.ubatch),
        "n_ubatch": shape.ubatch,
        "n_seq_max": shape.slots,
        "n_outputs_max": shape.slots,  # llama-server computes the logits of one token a slot
        "kv_unified": shape.unified,
        "swa_full": shape.full_window,
        "flash_attn_type": -1 if shape.flash_attention else 0,
        "offload_kqv": settings.kv_offload,
        "type_k": _TYPES.get(shape.type_k, 1),
        "type_v": _TYPES.get(shape.type_v, 1),
    }
    layers = settings.gpu_layers if settings.gpu_layers is not None else -1
    return json.dumps({"path": str(path.resolve()), "gpu_layers": layers, "context": context})


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it ended without a word"
