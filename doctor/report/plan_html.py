"""A plan as one self-contained page: a picture of each device and the host, and what fits."""

from __future__ import annotations

from doctor.planning.document import PlanDocument, PlanPlace
from doctor.report import pictures
from doctor.report.html import Verbatim, asset, environment, policy
from doctor.report.plan import NAMES
from doctor.vocabulary.document import MemoryEntry, MemoryPart

_LOOKS = {"fits": "healthy", "does_not_fit": "failing", "unknown": "unknown"}
_OURS = {"weights", "mapped weights", "kv", "compute"}  # parts that the pictures have a look for


def render_plan(document: PlanDocument) -> str:
    """The page, as text of one file. It runs no script."""
    about = document.model
    words = [about.get("name") or about.get("path"), about.get("arch"), about.get("quant")]
    style = asset("style.css")
    return (
        environment()
        .get_template("plan.html")
        .render(
            document=document,
            title=" · ".join(str(word) for word in words if word),
            badge=document.verdict.replace("_", " ").upper(),
            look=_LOOKS[document.verdict],
            devices=[pictures.waterfall(_entry(place)) for place in document.places if place.parts or place.total],
            fitting=[option for option in document.options if option.fits],
            style=Verbatim(style),
            policy=policy(style, ""),
        )
    )


def _entry(place: PlanPlace) -> MemoryEntry:
    """What is held and what is kept free are bars too: memory ends at the dashed line."""
    rows = [("held by others", place.held, True)] if place.held else []
    rows += [
        (part.kind if part.kind in _OURS else NAMES.get(part.kind, part.kind), part.bytes, part.exact)
        for part in place.parts
    ]
    rows += [("kept free", place.reserve, True)] if place.reserve and place.total else []
    return MemoryEntry(
        device=f"{place.name}  {place.description}".strip(),
        parts=[MemoryPart(kind=kind, bytes=size, source="log" if exact else "estimate") for kind, size, exact in rows],
        total=place.total,
        free=place.total,
        missing=max(-place.left, 0) if place.left is not None else None,
    )
