"""The settings that decide where memory goes, from facts under their catalogue names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from doctor.errors import UsageProblem
from doctor.memory.kv import CacheShape
from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.vocabulary.facts import Unknown

SERVER_SLOTS = 4
"""What llama-server takes when ``--parallel`` is not given, in one shared pool (tools/server/server.cpp)."""
_MOST_OVERRIDES = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a llama.cpp server, or of what is built on it.

    Attributes:
        shape: what sizes the cache; its context is a proposal if ``context_asked`` is False.
        gpu_layers: as ``--n-gpu-layers``; None leaves it to the engine, which takes as many as fit.
        cpu_moe: leading layers whose experts stay in host memory (``--n-cpu-moe``).
        overrides: ``--override-tensor``: pattern and buffer type, the first that matches counts.
        reserve: bytes to keep free on a device; None for llama.cpp's own 1 GiB.
        mmap: the file is mapped, so what stays in host memory is not copied.
        devices: names the engine is told to use; None: all of the target.
        copies: of the weights in host memory, one a NUMA node (ktransformers with USE_NUMA).
        full_window: windowed layers keep all of the context.
    """

    shape: CacheShape
    context_asked: bool = False
    slots_asked: bool = False
    gpu_layers: int | None = None
    cpu_moe: int = 0
    overrides: tuple[tuple[str, str], ...] = ()
    tensor_split: tuple[float, ...] = ()
    split_mode: str = "layer"
    main_gpu: int = 0
    kv_offload: bool = True
    mmap: bool = True
    mlock: bool = False
    reserve: int | None = None
    devices: tuple[str, ...] | None = None
    copies: int = 1

    def with_context(self, context: int) -> Settings:
        return replace(self, shape=replace(self.shape, context=context))

    def with_slots(self, slots: int) -> Settings:
        return replace(self, shape=replace(self.shape, slots=slots))

    def with_cache(self, kind: str) -> Settings:
        """A cache of another type for K and V; a quantised V needs flash attention."""
        return replace(self, shape=replace(self.shape, type_k=kind, type_v=kind, flash_attention=True))


def settings_of(given: Mapping[str, Any], model: HyperParameters) -> Settings:
    """Settings from ``setting.*`` facts; what is not given is the engine's default.

    Raises:
        UsageProblem: a value that the engine would refuse.
    """
    values = Values(lambda name: given.get(name, Unknown(frozenset({name}))))
    context = values.integer("setting.context") or values.integer("setting.slot_context")
    slots = values.integer("setting.slots")
    unified = values.flag("setting.kv_unified")
    filled = {
        **given,
        "setting.context": context or model.context_train or 4096,
        "setting.slots": slots or SERVER_SLOTS,
        "setting.kv_unified": unified if unified is not None else not slots,
    }
    shape = CacheShape.from_facts(Values(lambda name: filled.get(name, Unknown(frozenset({name})))))
    if shape is None:
        kinds = ", ".join(str(given.get(f"setting.kv_type_{side}", "f16")) for side in "kv")
        raise UsageProblem(f"no cache type of llama.cpp: {kinds}", subject="--command", hint="f16, q8_0, q4_0, ...")
    load_mode = values.text("setting.load_mode") or ""
    gpu_layers = values.integer("setting.gpu_layers")
    devices = given.get("setting.devices")
    return Settings(
        shape=replace(shape, full_window=bool(values.flag("setting.swa_full"))),
        context_asked=bool(context),
        slots_asked=bool(slots),
        gpu_layers=gpu_layers,
        cpu_moe=(model.layers or 0) if values.flag("setting.cpu_moe") else values.integer("setting.n_cpu_moe") or 0,
        overrides=_overrides(values.text("setting.override_tensor")),
        tensor_split=_split(given.get("setting.tensor_split")),
        split_mode=(values.text("setting.split_mode") or "layer").lower(),
        main_gpu=values.integer("setting.main_gpu") or 0,
        kv_offload=values.flag("setting.kv_offload") is not False,
        mmap=values.flag("setting.mmap") is not False and load_mode not in {"none", "dio", "mlock"},
        mlock=bool(values.flag("setting.mlock")) or "mlock" in load_mode,
        reserve=values.integer("setting.reserve"),
        devices=tuple(map(str, devices)) if isinstance(devices, (list, tuple)) else None,
    )


def _overrides(text: str | None) -> tuple[tuple[str, str], ...]:
    pairs = [part.rpartition("=") for part in (text or "").split(",") if "=" in part]
    return tuple((pattern, buffer) for pattern, _, buffer in pairs[:_MOST_OVERRIDES])


def _split(value: Any) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)):
        return ()
    found = []
    for part in value[:256]:
        try:
            found.append(max(float(part), 0.0))
        except (TypeError, ValueError):
            raise UsageProblem(
                f"{part!r} is no part of a split", subject="--tensor-split", hint="numbers, as 3,1"
            ) from None
    return tuple(found) if any(found) else ()
