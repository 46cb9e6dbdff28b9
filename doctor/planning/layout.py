"""Where llama.cpp puts things: weights tensor by tensor, caches layer by layer, buffers device by device.

Source: ``load_tensors`` in src/llama-model.cpp (layers over devices, the input layer on the CPU, output first since
pull request 18148), ``create_tensor`` in src/llama-model-loader.cpp (overrides, tied embeddings), the repacked types
in ggml/src/ggml-cpu/repack.cpp, ``llama_kv_cache`` for where a layer's cache goes (commit 0c1e57098).
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import regex

from doctor.errors import UsageProblem
from doctor.memory.compute import compute_bytes, host_compute_bytes
from doctor.memory.kv import kv_bytes_by_cache_layer
from doctor.memory.model import HyperParameters
from doctor.memory.places import DEVICE_RESERVE, HOST_RESERVE, HOST_RESERVE_SHARE, Part, Place
from doctor.model.document import Tensor
from doctor.planning.settings import Settings
from doctor.planning.target import Device, Target

HOST = "host"
_LAYER = regex.compile(r"(?:^blk|\.layers|\.h|\.block)\.(\d{1,5})\.")
_EXPERTS = regex.compile(r"ffn_(?:up|down|gate|gate_up)_(?:ch)?exps|\.experts?\.")
_INPUT = ("token_embd.", "token_embd_norm.", "position_embd.", "token_types.", "per_layer_token_embd.")
_FIRST_LAYER = ("per_layer_model_proj.", "per_layer_proj_norm.")
_AVX2 = {"q4_0", "q4_k", "iq4_nl", "mxfp4"}
_NEON = {"q4_0", "q4_k", "q5_k", "q6_k", "iq4_nl", "mxfp4", "q8_0"}
_PATTERN_SECONDS = 1.0
_COPYING = {"cuda", "rocm", "vulkan", "sycl", "cann"}
COPIED_MATRICES = 2
"""These back ends compute large batches with matrices that lie in host memory, and copy them to the device for it
(``offload_op``); how many copies there are at once was not measured. llama.cpp's tools/fit-params/README.md shows 898
MiB on an RTX 4090, a copied output matrix and its logits: more than two matrices of experts were not there."""
PIPELINE_COPIES = 4
"""Copies of a batch's inputs where devices work on several batches at once (``GGML_SCHED_MAX_COPIES``)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor as far as its place matters.

    Attributes:
        layer: its layer; -1 for the input, ``layers`` of the model for the output.
        expert: one of the routed experts' tensors.
        matrix: rows that ``--split-mode row`` spreads and that can be repacked.
        twice: also there as the input: the token embedding where it is the output as well.
    """

    name: str
    type: str
    bytes: int
    layer: int
    expert: bool = False
    matrix: bool = False
    twice: bool = False


@dataclass(slots=True)
class Layout:
    """What lies where. ``places``: the devices in the engine's order, then the host.

    Attributes:
        layer_place: index of the place of each layer, and of the output behind them.
        weights: bytes by place and tensor type.
        experts: bytes of routed experts by place.
        embedding: bytes of host memory of which a token reads one row only.
        mapped: names of the tensors that are read through the mapped file.
        largest_on_host: bytes of the largest matrix of a layer that stays in host memory.
    """

    places: list[Place]
    layer_place: list[int]
    weights: list[dict[str, int]] = field(default_factory=list)
    experts: list[int] = field(default_factory=list)
    embedding: int = 0
    mapped: list[str] = field(default_factory=list)
    largest_on_host: int = 0

    @property
    def devices(self) -> list[Place]:
        return self.places[:-1]

    @property
    def host(self) -> Place:
        return self.places[-1]


def pieces_of(tensors: Sequence[Tensor], model: HyperParameters) -> list[Piece]:
    """The tensors that are loaded, with their layers; those of drafting layers are not."""
    layers = model.layers or 0
    found = []
    tied = not any(tensor.name in {"output.weight", "lm_head.weight"} for tensor in tensors)
    for tensor in tensors:
        layer = layers
        if match := _LAYER.search(tensor.name):
            layer = int(match[1])
            if layer >= layers:
                continue
        elif tensor.name.startswith(_INPUT) or "embed_tokens" in tensor.name:
            layer = -1
        elif tensor.name.startswith(_FIRST_LAYER):
            layer = 0
        piece = Piece(
            tensor.name, tensor.type, tensor.bytes, layer, bool(_EXPERTS.search(tensor.name)), _is_matrix(tensor)
        )
        found.append(piece)
        if tied and tensor.name in {"token_embd.weight", "model.embed_tokens.weight"}:
            found.append(replace(piece, layer=layers, twice=True))
    return found


def lay_out(pieces: Sequence[Piece], model: HyperParameters, settings: Settings, target: Target) -> Layout:
    """What each device and the host hold with these settings.

    Raises:
        ValueError: the size of the KV cache can't be computed; says why.
        UsageProblem: an override's pattern can't be used.
    """
    devices = chosen_devices(settings, target)
    places = [_empty(device, settings) for device in devices]
    places.append(Place(HOST, [], target.ram, target.host_free))
    budget = target.host_free or target.ram or 0
    places[-1].reserve = max(HOST_RESERVE, budget // HOST_RESERVE_SHARE) if budget else 0
    layout = Layout(places, _layer_places(model, settings, devices))
    _weights(layout, pieces, model, settings, target)
    add_context(layout, model, settings, devices)
    return layout


def chosen_devices(settings: Settings, target: Target) -> list[Device]:
    """The devices that the engine uses."""
    if settings.devices is None:
        return list(target.devices)
    if settings.devices == ("none",):
        return []
    return [device for device in target.devices if device.name in settings.devices]


def add_context(layout: Layout, model: HyperParameters, settings: Settings, devices: Sequence[Device]) -> None:
    """Adds the caches, the compute buffers and the outputs to a layout of weights. Raises as ``lay_out``."""
    shape, host = settings.shape, len(layout.devices)
    kv, state = [0] * (host + 1), [0] * (host + 1)
    for layer, size in kv_bytes_by_cache_layer(model, shape):
        kv[layout.layer_place[layer] if settings.kv_offload else host] += size
    for layer, keeps in enumerate(model.recurrent_layers or ()):
        if keeps and layer < len(layout.layer_place):
            state[layout.layer_place[layer] if settings.kv_offload else host] += model.state_layer * shape.slots
    for index, place in enumerate(layout.places):
        _add(place, "kv", kv[index])
        _add(place, "state", state[index])
    outputs, last = shape.slots, layout.layer_place[-1]
    used = {index for index in layout.layer_place if index != host}
    pipeline = len(used) > 1 and host not in layout.layer_place and not layout.experts[host]
    copies = PIPELINE_COPIES if pipeline and settings.split_mode == "layer" and settings.kv_offload else 1
    handed = host_compute_bytes(model, shape, copies) or 0
    for index, place in enumerate(layout.devices):
        if index in layout.layer_place:
            compute = compute_bytes(model, shape, outputs if index == last else 0) or 0
            if index not in layout.layer_place[:-1]:
                compute = 4 * outputs * ((model.vocab or 0) + (model.embd or 0))  # the output alone
            if index == min(used):
                compute += handed // 2 if copies > 1 else 0
                compute += COPIED_MATRICES * layout.largest_on_host if devices[index].backend in _COPYING else 0
            _add(place, "compute", compute)
            _add(place, "runtime", devices[index].runtime)
    if host in layout.layer_place or layout.experts[host]:
        _add(layout.host, "compute", compute_bytes(model, shape, outputs if last == host else 0) or 0)
    else:
        _add(layout.host, "compute", handed)
    _add(layout.host, "output", 4 * (model.vocab or 0) * shape.slots)
    shared = sum(place.need for place, device in zip(layout.devices, devices, strict=True) if device.shared)
    _add(layout.host, "held by the GPU", shared)


def _empty(device: Device, settings: Settings) -> Place:
    place = Place(device.name, [], device.total, device.free)
    reserve = settings.reserve if settings.reserve is not None else min(DEVICE_RESERVE, device.free // 8)
    place.reserve = max(reserve, device.reserve)
    return place


def _layer_places(model: HyperParameters, settings: Settings, devices: Sequence[Device]) -> list[int]:
    """The place of each layer and of the output, as ``get_layer_buft_list`` finds it."""
    layers, host = model.layers or 0, len(devices)
    every = layers + model.layers_drafting
    offloaded = min(settings.gpu_layers if settings.gpu_layers is not None else every + 1, every + 1)
    if not devices:
        return [host] * (layers + 1)
    start = max(every + 1 - offloaded, 0)
    splits = _split_points(settings, devices)

    def place(layer: int) -> int:
        if layer < start or not offloaded:
            return host
        if settings.split_mode == "none":
            return min(settings.main_gpu, len(devices) - 1)
        return min(bisect_right(splits, (layer - start) / offloaded), len(devices) - 1)

    return [*(place(layer) for layer in range(layers)), place(every)]


def _split_points(settings: Settings, devices: Sequence[Device]) -> list[float]:
    parts = [*settings.tensor_split[: len(devices)], *[0.0] * (len(devices) - len(settings.tensor_split))]
    if not any(parts):
        parts = [float(device.free) for device in devices]
    total, points, at = sum(parts), [], 0.0
    for part in parts:
        at += part
        points.append(at / total if total else 1.0)
    return points


def _weights(
    layout: Layout, pieces: Sequence[Piece], model: HyperParameters, settings: Settings, target: Target
) -> None:
    host = len(layout.devices)
    layout.weights = [{} for _ in layout.places]
    layout.experts = [0] * len(layout.places)
    mapped = copied = repacked = 0
    rows = _row_shares(settings, layout)
    overridden = _overridden(pieces, settings, layout)
    repacks = _repacked_types(target)
    # Where a GPU has pinned host memory, weights that stay on the host go there (or stay mapped), not repacked.
    pinned = any(device.backend in {"cuda", "rocm", "sycl", "cann", "vulkan"} for device in target.devices)
    read_whole = {piece.name for piece in pieces if piece.twice and layout.layer_place[-1] == host}
    for piece in pieces:
        if piece.layer < 0 and piece.name not in read_whole:
            layout.embedding += piece.bytes
        place = overridden.get(piece.name, host if piece.layer < 0 else layout.layer_place[piece.layer])
        if place == host and 0 <= piece.layer < (model.layers or 0) and piece.matrix:
            layout.largest_on_host = max(layout.largest_on_host, piece.bytes)
        if piece.twice and place == host:
            if piece.type in repacks and not pinned:
                repacked += piece.bytes
            continue
        if place == host:
            if piece.matrix and piece.layer >= 0 and piece.type in repacks and not pinned:
                repacked += piece.bytes  # from the file into memory of its own; the mapped pages are not needed again
            elif settings.mmap:
                mapped += piece.bytes
                layout.mapped.append(piece.name)
            else:
                copied += piece.bytes
            _count(layout, host, piece, 1.0)
        elif rows and piece.matrix:
            for index, share in enumerate(rows):
                _count(layout, index, piece, share)
        else:
            _count(layout, place, piece, 1.0)
    if settings.copies > 1:
        mapped, copied = 0, (mapped + copied) * settings.copies
    for index, place_ in enumerate(layout.devices):
        _add(place_, "weights", sum(layout.weights[index].values()))
    _add(layout.host, "mapped weights", 0 if settings.mlock else mapped)
    _add(layout.host, "weights", copied + (mapped if settings.mlock else 0))
    _add(layout.host, "repack", repacked)


def _count(layout: Layout, place: int, piece: Piece, share: float) -> None:
    size = round(piece.bytes * share)
    layout.weights[place][piece.type] = layout.weights[place].get(piece.type, 0) + size
    layout.experts[place] += size if piece.expert else 0


def _row_shares(settings: Settings, layout: Layout) -> list[float] | None:
    """With ``--split-mode row`` each device holds its share of the rows of every matrix on devices."""
    if settings.split_mode != "row" or len(layout.devices) < 2:
        return None
    parts = [*settings.tensor_split[: len(layout.devices)]] or [1.0] * len(layout.devices)
    parts += [0.0] * (len(layout.devices) - len(parts))
    return [part / sum(parts) for part in parts]


def _overridden(pieces: Sequence[Piece], settings: Settings, layout: Layout) -> dict[str, int]:
    """Tensors that settings place by name; the first pattern that matches counts."""
    host = len(layout.devices)
    found: dict[str, int] = {}
    for piece in pieces:
        if piece.expert and 0 <= piece.layer < settings.cpu_moe:
            found[piece.name] = host
    names = {place.name: index for index, place in enumerate(layout.devices)}
    for text, buffer in reversed(settings.overrides):
        try:
            pattern, end = regex.compile(text), time.monotonic() + _PATTERN_SECONDS
            for piece in pieces:
                if pattern.search(piece.name, timeout=max(end - time.monotonic(), 1e-3)):
                    found[piece.name] = names.get(buffer, host)
        except (regex.error, TimeoutError) as error:
            raise UsageProblem(
                f"the pattern {text[:80]!r} can't be used: {error}", subject="--override-tensor"
            ) from None
    return found


def _repacked_types(target: Target) -> set[str]:
    """Types that are rewritten for the CPU's instructions: a second copy in memory."""
    if "avx2" in target.cpu_flags:
        return _AVX2 | ({"q2_k"} if any(flag.startswith("avx512") for flag in target.cpu_flags) else set())
    if target.cpu_flags & {"asimddp", "i8mm", "neon"}:
        return _NEON
    return set()


def _is_matrix(tensor: Tensor) -> bool:
    return len(tensor.shape) >= 2 and tensor.name.endswith(".weight") and tensor.shape[1] % 8 == 0


def _add(place: Place, kind: str, size: int) -> None:
    if size > 0:
        place.parts.append(Part(kind, size, "estimate"))
