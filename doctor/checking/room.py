"""The ``memory.*`` facts of a run that is yet to be: the arithmetic of ``doctor.memory``, and where the plan of
``doctor.planning`` counts each tensor, the plan's figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from doctor.memory.plan import Derivation
from doctor.vocabulary.document import MemoryEntry, MemoryPart
from doctor.vocabulary.facts import ABSENT, Layer

if TYPE_CHECKING:
    from doctor.checking.machine import Machine
    from doctor.checking.planned import Planned
    from doctor.model.document import Model
    from doctor.planning.document import PlanDocument, PlanPlace

_HOST = "host"
_LAYERED, _BY_RANK = "llama.cpp", {"vllm", "sglang"}
_NOT_COUNTED = {"memory.host_need", "memory.host_limit", "memory.host_missing", "memory.host_working_set"}


Rooms = dict[tuple[str, ...], tuple[dict[str, Derivation], "PlanDocument | None"]]
"""What was computed for the same settings before: of two hundred manifests most differ in their names alone."""


def add_room(planned: Planned, model: Model | None, hosts: Sequence[Machine], rooms: Rooms) -> None:
    """Adds the facts and keeps how they came about."""
    from doctor.api import add_derived

    facts = planned.facts
    told = sorted(f"{name}={facts.value(name)!r}" for name in facts.names() if not name.startswith("env."))
    key = (*planned.run.engines, *told)
    if key not in rooms:
        found = dict(add_derived(facts, by_rank=planned.run.engine in _BY_RANK))
        plan, displaced = _plan(planned, model, hosts)
        more = _of_plan(plan) if plan is not None else []
        if displaced is not None:
            words = "weights in host memory with this reserve - those without it"
            more.append(Derivation("memory.reserve_displaces", displaced, "bytes", words, {}))
        rooms[key] = found | {each.name: each for each in more}, plan
    planned.derivations, planned.plan = rooms[key]
    for derivation in planned.derivations.values():
        facts.put(derivation.name, derivation.value, "computed")
    if planned.run.engine in _BY_RANK and planned.plan is not None:  # their processes' own memory is not counted
        facts.absent |= _NOT_COUNTED - set(planned.derivations)


def _plan(planned: Planned, model: Model | None, hosts: Sequence[Machine]) -> tuple[PlanDocument | None, int | None]:
    """The plan, and the weights that only the reserve keeps in host memory, where the engine places layers by it.

    No plan for an engine that places layers in a way of its own, or if too little is known.
    """
    from dataclasses import replace

    from doctor.errors import UsageProblem
    from doctor.planning.nodes import together
    from doctor.planning.plan import plan

    engine = planned.run.engine or ""
    if model is None or not hosts or not (engine in _BY_RANK or _LAYERED in planned.run.engines):
        return None, None
    facts = planned.facts
    settings = {
        name: fact.value
        for name in facts.names()
        if name.startswith("setting.")
        and (fact := facts.fact(name)) is not None
        and fact.origin.layer is not Layer.DEFAULT
        and fact.value is not ABSENT
    }
    target = together([host.target for host in hosts], facts.value, by_rank=engine in _BY_RANK)
    limit = facts.value("host.cgroup_limit")
    if isinstance(limit, int) and limit > 0:
        target = replace(target, limit=limit)
    try:
        found = plan(model, settings, target, engine if engine in _BY_RANK else _LAYERED)
    except UsageProblem:
        return None, None  # a setting that the engine would refuse is for a rule to say
    displaced = None
    if settings.get("setting.reserve") and settings.get("setting.gpu_layers") is None and engine not in _BY_RANK:
        rest = {name: value for name, value in settings.items() if name != "setting.reserve"}
        displaced = max(_on_host(found) - _on_host(plan(model, rest, target, _LAYERED)), 0)
    return (found if found.places else None), displaced


def _on_host(plan: PlanDocument) -> int:
    return sum(sum(place.weights.values()) for place in plan.places if place.name == _HOST)


def _of_plan(plan: PlanDocument) -> list[Derivation]:
    found: list[Derivation] = []

    def add(name: str, value: Any, expression: str, unit: str = "bytes", **inputs: Any) -> None:
        if value is not None:
            found.append(Derivation(f"memory.{name}", value, unit, expression, inputs))

    devices = [place for place in plan.places if place.name != _HOST and place.total is not None]
    if devices:
        tight = min(devices, key=lambda place: _free(place) - place.need)
        parts: dict[str, Any] = {part.kind.replace(" ", "_"): part.bytes for part in tight.parts}
        free = _free(tight)
        add("device", tight.name, "the device that lacks most or has least left", "", free=free, need=tight.need)
        add("device_free", free, "total - what others hold", total=tight.total, held=tight.held)
        add("device_need", tight.need, " + ".join(parts), **parts)
        add("device_missing", max(tight.need - free, 0), "need - free, at least 0", need=tight.need, free=free)
        for kind in ("weights", "kv", "compute"):
            add(f"device_{kind}", parts.get(kind), f"{kind} on that device", device=tight.name)
        add("placement", _in_words(devices), "the parts of each device, and what is free there", "")
    host = next((place for place in plan.places if place.name == _HOST), None)
    if host is not None:
        parts = {part.kind.replace(" ", "_"): part.bytes for part in host.parts}
        mapped = parts.get("mapped_weights", 0)
        add("host_need", host.need, " + ".join(part for part in parts if part != "mapped_weights") or "0", **parts)
        add("host_working_set", host.need + mapped, " + ".join(parts) or "0", **parts)
        add("host_resident", (parts.get("weights", 0) + mapped) or None, "weights in host memory", **parts)
        if host.total is not None:
            free = _free(host)
            add("host_limit", free, "what is free of it", total=host.total, held=host.held)
            add("host_missing", max(host.need - free, 0), "need - limit, at least 0", need=host.need, limit=free)
    if plan.kv_tokens is not None:
        context = plan.settings["setting.context"]
        add("kv_tokens", plan.kv_tokens, "what the share leaves for the cache / bytes of a token", "tokens")
        add("kv_context", context, "the longest request", "tokens")
    for option in plan.options:
        if option.fits and option.what == "context" and isinstance(option.value, int):
            add("context_that_fits", option.value, "largest context that fits everywhere", "tokens")
        if option.fits and option.what == "gpu_layers" and isinstance(option.value, int):
            add("layers_that_fit", option.value, "largest --n-gpu-layers that fits", "layers")
    return found


def _free(place: PlanPlace) -> int:
    return (place.total or 0) - place.held


def _in_words(devices: Sequence[PlanPlace]) -> str:
    from doctor.units import format_size

    found = []
    for place in devices[:4]:
        parts = ", ".join(f"{format_size(part.bytes)} {part.kind}" for part in place.parts)
        found.append(f"{place.name} needs {format_size(place.need)} ({parts}) of {format_size(_free(place))}")
    return "; ".join(found)


def entries(plan: PlanDocument, run: str) -> list[MemoryEntry]:
    """The document's memory table."""
    return [
        MemoryEntry(
            device=place.name,
            parts=[MemoryPart(kind=part.kind, bytes=part.bytes, source="estimate") for part in place.parts],
            total=place.total,
            free=_free(place) if place.total is not None else None,
            missing=max(place.need - _free(place), 0) if place.total is not None else None,
            run=run,
        )
        for place in plan.places
        if place.parts
    ]
