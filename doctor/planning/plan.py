"""The door: a model's facts, settings and a machine -> the plan document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from doctor import __version__
from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.memory.weights import current_bits
from doctor.model.document import Model
from doctor.planning import fits
from doctor.planning.document import PlanDocument, PlanPart, PlanPlace
from doctor.planning.fits import Case, left_in
from doctor.planning.layout import Layout, chosen_devices, pieces_of
from doctor.planning.measure import Measured, apply
from doctor.planning.options import flags_of, options
from doctor.planning.settings import Settings, settings_of
from doctor.planning.speed import speed_bound
from doctor.planning.stand_ins import stand_ins
from doctor.planning.target import Target
from doctor.units import format_size

EXACT = {"weights", "mapped weights", "kv", "state", "output", "repack"}
"""What follows from the model and the settings; the rest is estimated."""
RANK_ENGINES = {"vllm", "sglang"}


def plan(
    model: Model,
    settings: Mapping[str, Any],
    target: Target,
    engine: str = "llama.cpp",
    *,
    projector: Model | None = None,
    draft: Model | None = None,
    ask_engine: Callable[[Settings], Measured | None] | None = None,
) -> PlanDocument:
    """What lies where, whether it fits, and what would.

    Args:
        settings: ``setting.*`` facts; what is missing is the engine's default, or chosen so that it fits.
        engine: ``llama.cpp`` and what is built on it, ``vllm`` or ``sglang``.
        projector, draft: what is loaded beside it (``--mmproj``, ``--model-draft``), for llama.cpp.
        ask_engine: measures the compute buffers with the settings that were chosen, on the machine at hand.

    Raises:
        UsageProblem: a setting that the engine would refuse.
    """
    hyper = HyperParameters.from_facts(Values(model.resolve))
    document = PlanDocument(
        llmdoctor=__version__,
        engine=engine,
        model=_about_model(model, hyper),
        target=_about_target(target),
        problems=list(model.problems),
        notes=list(target.assumed),
    )
    if not model.weights or not hyper.layers:
        missing = [name for name, value in (("weights", model.weights), ("layers", hyper.layers)) if not value]
        document.problems.append(f"nothing can be counted: the {' and the '.join(missing)} are not known")
        document.summary = "Not known: " + document.problems[-1]
        return document
    if engine in RANK_ENGINES:
        from doctor.planning.ranks import plan_ranks

        try:
            return plan_ranks(document, model, hyper, settings, target)
        except ValueError as error:
            document.problems.append(f"the KV cache can't be computed: {error}")
            document.summary = f"Not known: {error}."
            return document
    given = settings_of(settings, hyper)
    if engine == "ktransformers":
        given = _ktransformers(given, settings, hyper, target)
    if not model.tensors:
        document.notes.append("No header lists the tensors: layers are taken as equal, within a few per cent.")
    case = _case(model, target)
    if projector is not None:
        case = replace(case, projector=projector.weights or 0)
        document.notes.append(
            "Of the vision projector the weights are counted, not what an image takes while it is read."
        )
    if draft is not None and draft.weights:
        case = replace(case, draft=_case(draft, target))
    try:
        chosen = _choose(case, given, document)
        layout = case.layout(chosen)
    except ValueError as error:
        document.problems.append(f"the KV cache can't be computed: {error}")
        document.summary = f"Not known: {error}."
        return document
    if ask_engine is not None:
        _measure(ask_engine(chosen), layout, document)
    devices = chosen_devices(chosen, target)
    described = {device.name: device.description for device in devices}
    document.places = [
        _place(layout, index, described.get(place.name, target.name if target.others else ""))
        for index, place in enumerate(layout.places)
    ]
    document.settings, document.flags = _settings(chosen, case), flags_of(case, chosen, given)
    document.options = options(case, chosen, current_bits(hyper))
    if engine == "ktransformers":  # its flags are others
        document.flags, document.options = [], [option for option in document.options if not option.flags]
    document.speed = speed_bound(layout, hyper, target, devices)
    document.verdict, document.summary = _verdict(document, layout, chosen)
    return document


def _measure(measured: Measured | None, layout: Layout, document: PlanDocument) -> None:
    """The engine's figures instead of the estimates; why there are none is a note."""
    if measured is None:
        return
    if measured.failed:
        document.notes.append(f"llama.cpp's own measure is not to be had: {measured.failed}")
        return
    if compared := apply(layout, measured):
        document.measured = {"by": measured.by, "compute": compared}
        words = ", ".join(
            f"{name} {format_size(pair['measured'])} (estimate {format_size(pair['estimate'])})"
            for name, pair in compared.items()
        )
        document.notes.append(f"The compute buffer was measured by {measured.by}: {words}.")


def _ktransformers(given: Settings, settings: Mapping[str, Any], hyper: HyperParameters, target: Target) -> Settings:
    """Experts in host memory, copied once a NUMA node if asked; all else on the device (see doctor/memory/numa.py)."""
    values = Values(settings.get)
    wanted = values.flag("setting.use_numa") or values.flag("env.USE_NUMA")
    copies = target.numa_nodes or 1 if wanted else 1
    return replace(given, cpu_moe=hyper.layers or 0, gpu_layers=(hyper.layers or 0) + 1, mmap=False, copies=copies)


def _case(model: Model, target: Target) -> Case:
    hyper = HyperParameters.from_facts(Values(model.resolve))
    return Case(pieces_of(model.tensors or stand_ins(hyper, model.weights or 0), hyper), hyper, target)


def _choose(case: Case, given: Settings, document: PlanDocument) -> Settings:
    """Fills in what the user leaves to the engine: layers on devices, and the context."""
    chosen = given
    whole = case.all_layers if chosen_devices(given, case.target) else 0
    if given.gpu_layers is None:
        chosen = replace(chosen, gpu_layers=whole)
    if not given.context_asked:
        context = fits.largest_context(case, chosen)
        if given.gpu_layers is None and whole and context < fits.LEAST_CONTEXT:
            least = min(fits.LEAST_CONTEXT, case.model.context_train or fits.LEAST_CONTEXT)
            chosen = _layers_down(case, chosen.with_context(least))
            context = max(fits.largest_context(case, chosen), least)
        elif not context:
            context = min(fits.LEAST_CONTEXT, case.model.context_train or fits.LEAST_CONTEXT)
        document.notes.append("No context was given: the largest that fits, up to that of training, is counted with.")
        return chosen.with_context(context)
    if given.gpu_layers is None and whole and not case.fits(chosen):
        chosen = _layers_down(case, chosen)
    return chosen


def _layers_down(case: Case, settings: Settings) -> Settings:
    """What keeps most on devices: of a mixture the experts of some layers stay in host memory, else whole layers."""
    experts = fits.smallest_cpu_moe(case, settings)
    if experts is not None:
        return replace(settings, cpu_moe=experts)
    layers = fits.largest_gpu_layers(case, settings)
    return settings if layers is None else replace(settings, gpu_layers=layers)


def _place(layout: Layout, index: int, description: str) -> PlanPlace:
    place = layout.places[index]
    held = place.total - place.free if place.total is not None and place.free is not None else 0
    repeating = layout.layer_place[:-1]
    return PlanPlace(
        name=place.name,
        description=description,
        total=place.total if place.total is not None else place.free,
        held=max(held, 0),
        parts=[
            PlanPart(kind=part.kind, bytes=part.bytes, exact=part.kind in EXACT or part.source == "measured")
            for part in place.parts
        ],
        need=place.need,
        reserve=place.reserve,
        left=left_in(place),
        weights=dict(sorted(layout.weights[index].items(), key=lambda item: -item[1])),
        layers=repeating.count(index),
    )


def _verdict(document: PlanDocument, layout: Layout, settings: Settings) -> tuple[Any, str]:
    """Whether it fits, in a word and in a sentence."""
    known = [(left, place) for place in layout.places if (left := left_in(place)) is not None]
    if not known:
        return "unknown", "Not known: nothing tells how much memory there is."
    context = f"a context of {settings.shape.context} tokens"
    left, tightest = min(known, key=lambda pair: pair[0])
    if left >= 0:
        return "fits", f"Fits with {context}: {tightest.name} is the tightest, with {format_size(left)} to spare."
    short = [f"{place.name} lacks {format_size(-left)}" for left, place in known if left < 0]
    better = next((option for option in document.options if option.fits), None)
    hint = f" What fits: {better.text}." if better else f" {_hopeless(layout)}"
    return "does_not_fit", f"Does not fit with {context}: {', '.join(short)}.{hint}"


def _hopeless(layout: Layout) -> str:
    """What is wanted and what is there, where no change helps."""
    need = sum(place.need + place.part("mapped weights") - place.part("held by the GPU") for place in layout.places)
    held = any(place.part("held by the GPU") for place in layout.places)
    free = sum(place.free or 0 for place in ([layout.host] if held else layout.places))
    return f"Nothing that was tried makes it fit: {format_size(need)} are wanted in all, {format_size(free)} are free."


def _about_model(model: Model, hyper: HyperParameters) -> dict[str, Any]:
    """Facts of the model that a reader wants to see; the per-layer lists stay out."""
    about: dict[str, Any] = {"path": model.path, "source": model.source, "weights": model.weights}
    about["weights_by_type"] = model.bytes_by_type
    about |= {
        name.removeprefix("model."): value
        for name, value in model.facts.items()
        if not (isinstance(value, list) and len(value) > 8)
    }
    return about | {"layers": hyper.layers}


def _about_target(target: Target) -> dict[str, Any]:
    return {
        "name": " + ".join([target.name, *target.others]),
        "ram": target.ram,
        "available": target.available,
        "limit": target.limit,
        "bandwidth": target.bandwidth,
        "devices": [
            {"name": d.name, "description": d.description, "total": d.total, "free": d.free, "bandwidth": d.bandwidth}
            for d in target.devices
        ],
    }


def _settings(settings: Settings, case: Case) -> dict[str, Any]:
    shape = settings.shape
    found: dict[str, Any] = {
        "setting.context": shape.context,
        "setting.slots": shape.slots,
        "setting.kv_unified": shape.unified,
        "setting.kv_type_k": shape.type_k,
        "setting.kv_type_v": shape.type_v,
        "setting.flash_attention": shape.flash_attention,
        "setting.ubatch": shape.ubatch,
        "setting.gpu_layers": settings.gpu_layers,
        "setting.layers_total": case.all_layers,
        "setting.mmap": settings.mmap,
    }
    if settings.cpu_moe:
        found["setting.n_cpu_moe"] = settings.cpu_moe
    if settings.tensor_split:
        found["setting.tensor_split"] = list(settings.tensor_split)
    if settings.split_mode != "layer":
        found["setting.split_mode"] = settings.split_mode
    return found
