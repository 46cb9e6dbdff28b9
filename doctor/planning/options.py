"""What could be changed: each setting on its own, as far as it makes the model fit or gives more of it."""

from __future__ import annotations

from dataclasses import replace

from doctor.planning import fits
from doctor.planning.document import PlanOption
from doctor.planning.fits import Case
from doctor.planning.layout import chosen_devices
from doctor.planning.settings import Settings
from doctor.units import format_size

_SMALLER = {"f32": "f16", "f16": "q8_0", "bf16": "q8_0", "q8_0": "q4_0"}
_MOST_QUANTS = 3


def options(case: Case, settings: Settings, bits: float | None) -> list[PlanOption]:
    """Changes worth naming: those that make it fit where it does not, and what more is possible where it does.

    Args:
        bits: bits a weight of the model now.

    Raises:
        ValueError: as ``lay_out``.
    """
    if settings.gpu_layers is not None:  # 99 means all
        settings = replace(settings, gpu_layers=min(settings.gpu_layers, case.all_layers))
    now = case.fits(settings)
    found = [*_contexts(case, settings), *_placements(case, settings, now), *_slots(case, settings)]
    found += [] if now and settings.gpu_layers in {None, 0, case.all_layers} else _quants(case, settings, bits)
    return sorted(found, key=lambda option: not option.fits)


def flags_of(case: Case, settings: Settings, given: Settings | None = None) -> list[str]:
    """The command line's part that gives these settings."""
    shape = settings.shape
    found = ["-c", str(shape.context)]
    if settings.slots_asked or not shape.unified or (given and not given.slots_asked):
        found += ["-np", str(shape.slots)] + (["-kvu"] if shape.unified and shape.slots > 1 else [])
    if chosen_devices(settings, case.target):
        layers = settings.gpu_layers if settings.gpu_layers is not None else case.all_layers
        found += ["-ngl", "99" if layers >= case.all_layers else str(layers)]
    if shape.type_k != "f16" or shape.type_v != "f16":
        found += ["-fa", "on", "-ctk", shape.type_k, "-ctv", shape.type_v]
    if settings.cpu_moe:
        found += ["-ncmoe", str(settings.cpu_moe)]
    if settings.tensor_split:
        found += ["-ts", ",".join(f"{part:g}" for part in settings.tensor_split)]
    if settings.split_mode != "layer":
        found += ["-sm", settings.split_mode]
    return found + ([] if settings.mmap else ["--no-mmap"])


def _contexts(case: Case, settings: Settings) -> list[PlanOption]:
    """The largest context as it is, and with smaller cache types."""
    found = []
    trained = case.model.context_train or 0
    context = fits.largest_context(case, settings)
    if context and context != settings.shape.context:
        most = " (all it was trained for)" if context >= trained > 0 else ""
        text = f"a context of {context} tokens{most}"
        found.append(_option(case, settings.with_context(context), "context", text, context))
    kind = settings.shape.type_k
    while context < trained and (kind := _SMALLER.get(kind, "")):
        smaller = settings.with_cache(kind)
        try:
            more = fits.largest_context(case, smaller)
        except ValueError:  # rows that are not whole blocks of this type
            break
        if more > context:
            text = f"a {kind} cache: a context of {more} tokens"
            found.append(_option(case, smaller.with_context(more), "kv_type", text, kind))
        context = max(context, more)
    return found


def _placements(case: Case, settings: Settings, now: bool) -> list[PlanOption]:
    """Where layers and experts go."""
    if not case.target.devices:
        return []
    found, whole = [], settings.gpu_layers is None or settings.gpu_layers >= case.all_layers
    if not now or not whole:
        split = fits.best_tensor_split(case, replace(settings, cpu_moe=0))
        if split is not None:
            changed = replace(settings, gpu_layers=case.all_layers, tensor_split=split, cpu_moe=0)
            if case.fits(changed):
                text = f"all layers on the devices, split {','.join(f'{part:g}' for part in split)}"
                found.append(_option(case, changed, "tensor_split", text, list(split)))
    if not now or settings.cpu_moe or not whole:
        count = fits.smallest_cpu_moe(case, replace(settings, cpu_moe=0))
        if count is not None:
            changed = replace(settings, gpu_layers=case.all_layers, cpu_moe=count)
            text = f"all layers on the devices, the experts of the first {count} in host memory"
            found.append(_option(case, changed, "cpu_moe", text, count))
    layers = fits.largest_gpu_layers(case, replace(settings, cpu_moe=0))
    if layers is not None and (not now or layers != settings.gpu_layers or settings.cpu_moe):
        changed = replace(settings, gpu_layers=layers, cpu_moe=0)
        text = f"{layers} of {case.all_layers} layers on the devices"
        found.append(_option(case, changed, "gpu_layers", text, layers))
    return found


def _slots(case: Case, settings: Settings) -> list[PlanOption]:
    count = fits.largest_slots(case, settings)
    shape = settings.shape
    each = shape.context if shape.unified else shape.context // shape.slots
    if count <= 1 or not each:
        return []
    changed = replace(
        settings, shape=replace(shape, slots=count, unified=False, context=count * each), slots_asked=True
    )
    most = "at least " if count >= fits.MAX_SLOTS else ""
    return [_option(case, changed, "slots", f"{most}{count} parallel slots of {each} tokens each", count)]


def _quants(case: Case, settings: Settings, bits: float | None) -> list[PlanOption]:
    found = []
    for name, size in fits.quants_that_fit(case, replace(settings, cpu_moe=0), bits)[:_MOST_QUANTS]:
        text = f"the same model as {name}, about {format_size(size)}, all layers on the devices"
        if not case.target.devices:
            text = f"the same model as {name}, about {format_size(size)}"
        found.append(PlanOption(what="quant", text=text, value=name))
    return found


def _option(case: Case, settings: Settings, what: str, text: str, value: object) -> PlanOption:
    return PlanOption(what=what, text=text, value=value, flags=flags_of(case, settings), fits=case.fits(settings))
