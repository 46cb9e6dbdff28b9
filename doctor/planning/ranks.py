"""vLLM and SGLang: a share of each card is taken, and what the weights and the peak leave of it is the KV cache.

Source: ``determine_available_memory`` in vLLM's vllm/v1/worker/gpu_worker.py (budget = share x total; cache = budget -
weights - activation peak - what is not torch's), ``profile_max_num_token`` in SGLang's model_executor/model_runner.py
(cache = share x total - weights; activations and graphs live in the rest). The peak and the graphs are estimates: the
engines measure them at the start, and print what they found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from doctor.errors import UsageProblem
from doctor.memory.model import HyperParameters, largest
from doctor.memory.speed import active_bytes
from doctor.memory.values import Values
from doctor.model.document import Model
from doctor.planning.document import PlanDocument, PlanOption, PlanPart, PlanPlace
from doctor.planning.layout import HOST
from doctor.planning.target import Target
from doctor.units import GIB, MIB, format_size
from doctor.vocabulary.facts import Unknown

BLOCK = 16
"""Tokens of a block of vLLM's cache."""
SHARE = {"vllm": 0.92, "sglang": 0.88}
"""Default share of the newest releases; SGLang lowers its own by the size of the card."""
BATCH, LARGE_BATCH = 2048, 8192
SEQUENCES = 256
GRAPHS = 512 * MIB
NOT_TORCH = 300 * MIB
_LARGE_CARD = 70 * GIB
_CACHE_BYTES = {"auto": 2.0, "f16": 2.0, "bf16": 2.0, "bfloat16": 2.0, "float16": 2.0, "q8_0": 1.0}
SGLANG_OPTIONS = (
    {"setting": "setting.model_path", "flags": ["--model-path", "--model"], "type": "str"},
    {"setting": "setting.context", "flags": ["--context-length"], "type": "int"},
    {"setting": "setting.memory_fraction", "flags": ["--mem-fraction-static"], "type": "float"},
    {"setting": "setting.tensor_parallel", "flags": ["--tp", "--tp-size", "--tensor-parallel-size"], "type": "int"},
    {"setting": "setting.pipeline_parallel", "flags": ["--pp-size", "--pipeline-parallel-size"], "type": "int"},
    {"setting": "setting.slots", "flags": ["--max-running-requests"], "type": "int"},
    {"setting": "setting.kv_type_k", "flags": ["--kv-cache-dtype"], "type": "str"},
    {"setting": "setting.batch", "flags": ["--chunked-prefill-size"], "type": "int"},
    {"setting": "setting.cpu_offload", "flags": ["--cpu-offload-gb"], "type": "GiB"},
)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Settings of an engine that takes a share of each card; ``offload``: bytes of weights that each rank keeps in host
    memory."""

    context: int
    share: float
    tensor: int
    pipeline: int
    sequences: int
    batch: int
    cache_bytes: float
    graphs: bool
    offload: int = 0

    @property
    def count(self) -> int:
        return self.tensor * self.pipeline


@dataclass(frozen=True, slots=True)
class Rank:
    """Bytes on the tightest rank; ``cache``: what is left for KV, negative if nothing is."""

    budget: int
    weights: int
    peak: int
    graphs: int
    cache: int


def plan_ranks(
    document: PlanDocument, model: Model, hyper: HyperParameters, given: Mapping[str, Any], target: Target
) -> PlanDocument:
    """Fills the document.

    Raises:
        UsageProblem: a parallel size that the engine would refuse.
    """
    engine, settings = document.engine, _settings(given, hyper, target, document.engine)
    devices = target.devices[: settings.count]
    if len(devices) < settings.count:
        document.verdict = "unknown" if not target.devices else "does_not_fit"
        document.summary = f"{settings.count} devices are asked for, and {len(target.devices)} are there."
        return document
    heads = largest(hyper.heads)
    if heads and heads % settings.tensor:
        good = [size for size in (1, 2, 4, 8, 16) if heads % size == 0 and size <= len(target.devices)]
        hint = f"sizes that divide the {heads} heads: {', '.join(map(str, good))}"
        raise UsageProblem(f"{heads} heads can't be split over {settings.tensor} ranks", subject="--command", hint=hint)
    total = min(device.total for device in devices)
    weights = model.weights or 0
    rank = _rank(hyper, settings, weights, total, engine)
    each = token_bytes(hyper, settings)
    tokens = max(rank.cache, 0) // each // BLOCK * BLOCK if each else 0
    document.kv_tokens = tokens
    document.places = [_place(device.name, device.description, device.total, device.free, rank) for device in devices]
    if settings.offload:
        document.places.append(_host(settings, target, -(-weights // settings.count)))
    document.settings = {
        "setting.context": settings.context,
        "setting.memory_fraction": settings.share,
        "setting.tensor_parallel": settings.tensor,
        "setting.pipeline_parallel": settings.pipeline,
        "setting.slots": settings.sequences,
        "setting.batch": settings.batch,
    }
    document.flags = _flags(settings, engine)
    short = max((rank.budget - device.free + device.reserve for device in devices), default=0)
    concurrency = tokens / settings.context if settings.context else 0.0
    if short > 0:
        document.verdict = "does_not_fit"
        document.summary = f"Does not start: a share of {settings.share:g} is {format_size(short)} more than is free."
    elif tokens < settings.context:
        document.verdict = "does_not_fit"
        document.summary = (
            f"Does not fit: the KV cache holds {tokens} tokens, a context of {settings.context} is asked for."
        )
    else:
        document.verdict = "fits"
        document.summary = (
            f"Fits: {tokens} tokens of KV cache, {concurrency:.1f} requests of {settings.context} tokens at once."
        )
    document.options = _options(hyper, settings, weights, target, total, engine)
    _speed(document, hyper, settings, weights, target)
    document.notes.append("The activation peak and the CUDA graphs are estimates; the engine prints what it measured.")
    if hyper.window:
        document.notes.append("Layers with a sliding window are counted with all of the context.")
    return document


def _settings(given: Mapping[str, Any], hyper: HyperParameters, target: Target, engine: str) -> Ranks:
    values = Values(lambda name: given.get(name, Unknown(frozenset({name}))))
    share = values.number("setting.memory_fraction")
    tensor = values.integer("setting.tensor_parallel") or 1
    large = bool(target.devices) and target.devices[0].total >= _LARGE_CARD
    kind = (values.text("setting.kv_type_k") or "auto").lower()
    return Ranks(
        context=values.integer("setting.context") or hyper.context_train or 4096,
        share=share if share and 0 < share <= 1 else SHARE[engine],
        tensor=tensor,
        pipeline=values.integer("setting.pipeline_parallel") or 1,
        sequences=values.integer("setting.slots") or SEQUENCES,
        batch=values.integer("setting.batch") or (LARGE_BATCH if large else BATCH),
        cache_bytes=1.0 if kind.startswith("fp8") else _CACHE_BYTES.get(kind, 2.0),
        graphs=not values.flag("setting.enforce_eager"),
        offload=max(values.integer("setting.cpu_offload") or 0, 0),
    )


def token_bytes(model: HyperParameters, settings: Ranks) -> int:
    """Bytes that a token takes in the cache of one rank; KV heads are split, a compressed cache is kept whole.

    Raises:
        ValueError: facts of the model are missing.
    """
    layers = model.cache_layers()
    heads = largest(model.heads_kv) or 1
    parts = 1 if model.compressed else min(settings.tensor, heads)
    width = sum(layer.k + layer.v for layer in layers)
    return max(round(width / parts / settings.pipeline * settings.cache_bytes), 1)


def _rank(model: HyperParameters, settings: Ranks, weights: int, total: int, engine: str) -> Rank:
    budget = round(settings.share * total)
    own = max(-(-weights // settings.count) - settings.offload, 0)
    ff = max(largest(model.ff), (model.experts_used or 0) * largest(model.expert_ff))
    hidden = settings.batch * 2 * (2 * ff // settings.tensor + 4 * (model.embd or 0))
    logits = settings.sequences * (model.vocab or 0) * 10  # 16 bits, then twice as 32 bits in the sampler
    peak = max(hidden, logits) + NOT_TORCH
    graphs = GRAPHS if settings.graphs else 0
    taken = own if engine == "sglang" else own + peak + graphs
    return Rank(budget, own, peak, graphs, budget - taken)


def _place(name: str, description: str, total: int, free: int, rank: Rank) -> PlanPlace:
    parts = [PlanPart(kind="weights", bytes=rank.weights, exact=True)]
    parts += [PlanPart(kind="activations", bytes=rank.peak, exact=False)]
    parts += [PlanPart(kind="graphs", bytes=rank.graphs, exact=False)] if rank.graphs else []
    parts += [PlanPart(kind="kv", bytes=rank.cache, exact=False)] if rank.cache > 0 else []
    need = sum(part.bytes for part in parts)
    short = min(rank.cache, 0)
    left = min(free - need, short) if short else free - need
    return PlanPlace(
        name=name, description=description, total=total, held=total - free, parts=parts, need=need, left=left
    )


def _host(settings: Ranks, target: Target, own: int) -> PlanPlace:
    """Host memory, as far as a setting asks for it: pinned, so it can't be dropped. What the processes themselves take
    (some GiB each) is not counted."""
    need = min(settings.offload, own) * settings.count
    free = target.host_free
    return PlanPlace(
        name=HOST,
        total=target.ram,
        held=target.ram - free if target.ram is not None and free is not None else 0,
        parts=[PlanPart(kind="offloaded weights", bytes=need, exact=True)],
        need=need,
        left=free - need if free is not None else None,
    )


def _options(
    model: HyperParameters, settings: Ranks, weights: int, target: Target, total: int, engine: str
) -> list[PlanOption]:
    found = []

    def tokens(trial: Ranks) -> int:
        size = min(device.total for device in target.devices[: trial.count])
        rank = _rank(model, trial, weights, size, engine)
        return max(rank.cache, 0) // token_bytes(model, trial) // BLOCK * BLOCK

    def offer(what: str, text: str, value: object, trial: Ranks) -> None:
        fits = tokens(trial) >= trial.context
        found.append(PlanOption(what=what, text=text, value=value, flags=_flags(trial, engine), fits=fits))

    most = min(tokens(settings), model.context_train or 2**31)
    if 0 < most != settings.context:
        offer("context", f"a context of {most} tokens", most, replace(settings, context=most))
    if settings.cache_bytes > 1:
        trial = replace(settings, cache_bytes=1.0)
        text = f"an fp8 cache: {tokens(trial)} tokens in all"
        offer("kv_type", text, "fp8", trial)
    for size in (2, 4, 8):
        wanted = size * settings.pipeline
        if settings.tensor < size and wanted <= len(target.devices) and largest(model.heads) % size == 0:
            trial = replace(settings, tensor=size)
            offer("tensor_parallel", f"{size} ranks: {tokens(trial)} tokens of KV cache", size, trial)
    return sorted(found, key=lambda option: not option.fits)


def _flags(settings: Ranks, engine: str) -> list[str]:
    names = ("--context-length", "--mem-fraction-static", "--tp-size")
    if engine == "vllm":
        names = ("--max-model-len", "--gpu-memory-utilization", "--tensor-parallel-size")
    found = [names[0], str(settings.context), names[1], f"{settings.share:g}"]
    found += [names[2], str(settings.tensor)] if settings.tensor > 1 else []
    found += ["--cpu-offload-gb", f"{settings.offload / GIB:g}"] if settings.offload else []
    return found + (["--kv-cache-dtype", "fp8"] if settings.cache_bytes == 1 else [])


def _speed(document: PlanDocument, model: HyperParameters, settings: Ranks, weights: int, target: Target) -> None:
    """Ranks of a tensor-parallel group read at the same time, stages of a pipeline one after the other."""
    token = active_bytes(model, weights)
    rate = target.devices[0].bandwidth if target.devices else None
    if token is None:
        return
    document.speed.token_bytes = token
    document.speed.by_place = {target.devices[0].name: [round(token / settings.tensor), rate]}
    document.speed.bound = round(rate * settings.tensor / token, 1) if rate else None
