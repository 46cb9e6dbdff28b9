"""Settings that fit: the same plan again with one setting changed, until nothing is short of memory.

Every figure is the largest one: one step more does not fit. Searches are by halves over a cost that never falls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from doctor.memory.fit import largest_multiple
from doctor.memory.kv import pad
from doctor.memory.model import HyperParameters
from doctor.memory.places import Part, Place
from doctor.memory.weights import BITS_PER_WEIGHT, LADDER
from doctor.planning.layout import Layout, Piece, chosen_devices, lay_out
from doctor.planning.settings import Settings
from doctor.planning.target import Target

MAX_SLOTS = 256
LEAST_CONTEXT = 4096
"""A context that is still of use; llama.cpp's own ``--fit`` goes no lower."""


@dataclass(frozen=True, slots=True)
class Case:
    """One model on one machine; ``layout`` gives what settings make of it.

    Attributes:
        projector: bytes of a vision projector's weights, which lie on the first device.
        draft: a draft model, which has the same context and goes to the devices whole.
    """

    pieces: Sequence[Piece]
    model: HyperParameters
    target: Target
    projector: int = 0
    draft: Case | None = None

    def layout(self, settings: Settings) -> Layout:
        """Raises as ``lay_out``."""
        found = lay_out(self.pieces, self.model, settings, self.target)
        if self.projector:
            found.places[0].parts.append(Part("vision", self.projector, "estimate"))
        if self.draft is not None:
            own = replace(settings, gpu_layers=self.draft.all_layers, cpu_moe=0, overrides=(), tensor_split=())
            for place, beside in zip(found.places, self.draft.layout(own).places, strict=True):
                size = beside.need - beside.part("runtime") - beside.part("held by the GPU")
                place.parts.append(Part("draft", size, "estimate"))
        return found

    def fits(self, settings: Settings) -> bool:
        """Whether no place is short; one whose memory is not known counts as large enough."""
        return shortage(self.layout(settings)) <= 0

    @property
    def all_layers(self) -> int:
        return (self.model.layers or 0) + self.model.layers_drafting + 1


def left_in(place: Place) -> int | None:
    """What remains of a place below its reserve, negative if it is short; None if its memory is not known.

    Mapped weights count: a model that does not stay in memory is read from disk again for every token.
    """
    if place.free is None:
        return None
    return place.free - place.reserve - place.need - place.part("mapped weights")


def shortage(layout: Layout) -> int:
    """What the shortest place lacks; negative where all have room left."""
    known = [-left for place in layout.places if (left := left_in(place)) is not None]
    return max(known, default=-1)


def largest_context(case: Case, settings: Settings) -> int:
    """Tokens over all slots: a multiple of the padding, at most what the model was trained for; 0 if none fits."""
    shape = settings.shape
    trained = case.model.context_train or shape.context
    limit = pad(max(trained * (1 if shape.unified else shape.slots), shape.step), shape.step)
    return _largest(shape.step, lambda count: case.fits(settings.with_context(count)), limit)


def largest_slots(case: Case, settings: Settings) -> int:
    """Parallel sequences with the present context each; 0 if not even one fits."""
    shape = settings.shape
    each = shape.context if shape.unified else max(shape.context // shape.slots, 1)

    def with_slots(count: int) -> Settings:
        return replace(settings, shape=replace(shape, slots=count, unified=False, context=count * each))

    return _largest(1, lambda count: case.fits(with_slots(count)), MAX_SLOTS)


def largest_gpu_layers(case: Case, settings: Settings) -> int | None:
    """The largest ``--n-gpu-layers``; None if none fits, or there is no device."""
    if not chosen_devices(settings, case.target):
        return None
    counts = range(case.all_layers, -1, -1)
    return next((count for count in counts if case.fits(replace(settings, gpu_layers=count))), None)


def smallest_cpu_moe(case: Case, settings: Settings) -> int | None:
    """The smallest ``--n-cpu-moe`` with all layers on devices; None if none fits, or the model is no mixture."""
    if not any(piece.expert for piece in case.pieces) or not chosen_devices(settings, case.target):
        return None
    whole = replace(settings, gpu_layers=case.all_layers)
    layers = case.model.layers or 0
    return next((count for count in range(1, layers + 1) if case.fits(replace(whole, cpu_moe=count))), None)


def best_tensor_split(case: Case, settings: Settings) -> tuple[float, ...] | None:
    """Layers for each device, so that all is on devices and the tightest has most left; None if nothing better is
    found than the engine's split by free memory."""
    count = len(chosen_devices(settings, case.target))
    if count < 2 or settings.split_mode != "layer":
        return None
    whole = replace(settings, gpu_layers=case.all_layers)
    split = _layers_of(case, whole)
    best, least = None, shortage(case.layout(whole))
    for _ in range(2 * case.all_layers):
        trial = _shifted(case, whole, split)
        if trial is None:
            break
        short = shortage(case.layout(replace(whole, tensor_split=trial)))
        if short >= least:
            break
        best, least, split = trial, short, list(trial)
    return best


def _layers_of(case: Case, settings: Settings) -> list[float]:
    """Layers, the output counted as one, that each device has now."""
    layout = case.layout(settings)
    return [float(layout.layer_place.count(index)) for index in range(len(layout.devices))]


def _shifted(case: Case, settings: Settings, split: Sequence[float]) -> tuple[float, ...] | None:
    """One layer moved from the tightest device to the one with most left."""
    layout = case.layout(replace(settings, tensor_split=tuple(split)))
    left = [left_in(place) or 0 for place in layout.devices]
    tight, roomy = left.index(min(left)), left.index(max(left))
    if tight == roomy or split[tight] < 1:
        return None
    return tuple(part - (index == tight) + (index == roomy) for index, part in enumerate(split))


def quants_that_fit(case: Case, settings: Settings, bits: float | None) -> list[tuple[str, int]]:
    """Smaller quantisations of the same model that fit with these settings and all layers on devices, largest first,
    with the bytes of all weights then; sizes are scaled by the bits a weight of the file types."""
    weights = sum(piece.bytes for piece in case.pieces if not piece.twice)
    if not bits or not weights:
        return []
    found = []
    for name in LADDER:
        ratio = BITS_PER_WEIGHT[name] / bits
        if ratio > 0.98:
            continue
        scaled = Case([replace(p, bytes=round(p.bytes * ratio)) for p in case.pieces], case.model, case.target)
        if scaled.fits(replace(settings, gpu_layers=case.all_layers if case.target.devices else 0)):
            found.append((name, round(weights * ratio)))
    return found


def _largest(step: int, good: Callable[[int], bool], limit: int) -> int:
    return largest_multiple(step, lambda count: 0 if good(count) else 1, 0, limit)
