"""A plan on a terminal: a waterfall a place, what fits, the flags, and how fast it can be at most."""

from __future__ import annotations

from doctor.planning.document import PlanDocument, PlanOption, PlanPlace, PlanSpeed
from doctor.report.page import Page
from doctor.units import format_size

NAMES = {
    "weights": "weights",
    "mapped weights": "weights, mapped file",
    "repack": "weights, repacked",
    "kv": "KV cache",
    "state": "recurrent state",
    "compute": "compute buffer",
    "output": "outputs",
    "runtime": "driver and runtime",
    "graphs": "CUDA graphs",
    "activations": "activations at peak",
    "held by the GPU": "held by the GPU",
    "vision": "vision projector",
    "draft": "draft model",
}
_STYLES = {"kv": "magenta", "state": "magenta", "compute": "yellow", "runtime": "yellow", "activations": "yellow"}
_VERDICT = {"fits": "bold green", "does_not_fit": "bold red", "unknown": "bold yellow"}
_LABEL, _FIGURE = 22, 11


def print_plan(document: PlanDocument, page: Page | None = None) -> None:
    """The whole page."""
    page = page or Page()
    about, target = document.model, document.target
    words = [about.get("name") or about.get("path"), about.get("arch"), about.get("quant")]
    size = format_size(about["weights"]) if about.get("weights") else ""
    page.say((" · ".join(str(word) for word in [*words, size] if word), "bold"))
    page.say(f"on {target.get('name')}, by {document.engine}", style="dim")
    page.gap()
    page.say((document.summary, _VERDICT[document.verdict]))
    for problem in document.problems:
        page.say(("! ", "red"), problem, hang=2)
    for place in document.places:
        if place.parts or place.total:
            page.gap()
            _waterfall(page, place)
    _options(page, document)
    if document.verdict != "does_not_fit":
        _speed(page, document.speed)
    if document.notes:
        page.gap()
        for note in document.notes:
            page.say(note, style="dim")


def _waterfall(page: Page, place: PlanPlace) -> None:
    """A bar a part, each beginning where the one before ended."""
    whole = place.total or 0
    mapped = sum(part.bytes for part in place.parts if part.kind == "mapped weights")
    scale = max(whole, place.held + place.need + mapped + place.reserve, 1)
    room = max(page.width - _LABEL - _FIGURE - 4, 8)
    layers = f", {place.layers} layers" if place.layers else ""
    has = f"{format_size(whole)}{layers}" if whole else f"size not known{layers}"
    page.say((place.name, "bold"), f"  {place.description}  " if place.description else "  ", (has, "dim"))
    at = 0
    rows = [("held by others", place.held, True, "dim")] if place.held else []
    rows += [
        (NAMES.get(part.kind, part.kind), part.bytes, part.exact, _STYLES.get(part.kind, "cyan"))
        for part in place.parts
    ]
    rows += [("kept free", place.reserve, True, "dim")] if place.reserve and whole else []
    for name, size, exact, style in rows:
        _bar(page, name if exact else f"{name} ~", format_size(size), at, size, scale, room, style)
        at += size
        if name == NAMES["weights"] and place.weights:
            page.say(_types(place.weights), indent=4, hang=4, style="dim")
    if place.left is not None:
        if place.left < 0:
            page.say((f"  {'missing'.ljust(_LABEL)}{format_size(-place.left).rjust(_FIGURE)}", "bold red"))
        else:
            page.say((f"  {'left'.ljust(_LABEL)}{format_size(place.left).rjust(_FIGURE)}", "green"))


def _bar(page: Page, name: str, figure: str, at: int, size: int, scale: int, room: int, style: str) -> None:
    start, end = round(at / scale * room), round((at + size) / scale * room)
    bar = "█" * max(end - start, 1)
    page.say(f"  {name.ljust(_LABEL)}{figure.rjust(_FIGURE)}  ", (" " * min(start, room - 1) + bar, style))


def _types(weights: dict[str, int]) -> str:
    shown = list(weights.items())[:4]
    rest = sum(weights.values()) - sum(size for _, size in shown)
    words = [f"{kind} {format_size(size)}" for kind, size in shown]
    return ", ".join([*words, f"others {format_size(rest)}"] if rest else words)


def _options(page: Page, document: PlanDocument) -> None:
    if document.flags:
        page.gap()
        page.labelled(("Counted with", "bold"), " ".join(document.flags), column=16)
    fitting = [option for option in document.options if option.fits]
    if fitting:
        page.gap()
        page.say(("What fits" if document.verdict != "fits" else "What else fits", "bold"))
        for option in fitting:
            _option(page, option)


def _option(page: Page, option: PlanOption) -> None:
    page.say(("  • ", "green"), option.text, hang=4)
    if option.flags:
        page.say((" ".join(option.flags), "cyan"), indent=6, hang=6)


def _speed(page: Page, speed: PlanSpeed) -> None:
    if not speed.token_bytes:
        return
    page.gap()
    read = f"a token reads {format_size(speed.token_bytes)} of weights"
    if speed.bound is None:
        unknown = [name for name, (_, bandwidth) in speed.by_place.items() if not bandwidth]
        page.labelled(("Speed", "bold"), f"{read}; the bandwidth of {', '.join(unknown)} is not known", column=16)
        return
    full = f", {speed.bound_full:g} with a full cache" if speed.bound_full else ""
    text = (
        f"at most {speed.bound:g} tokens/s for one sequence{full}: {read}. A bound from memory bandwidth, no forecast."
    )
    page.labelled(("Speed", "bold"), text, column=16)
