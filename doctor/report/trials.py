"""What trials proved, in rows that every format writes: verdict, figures before and after, whether it took effect."""

from __future__ import annotations

from typing import Any

from doctor.units import format_size
from doctor.vocabulary.document import Confirmation, Measure

VERDICTS = {
    "confirmed": "Confirmed by a trial",
    "refuted": "Refuted by a trial",
    "inconclusive": "Not decided by a trial",
}
STYLES = {"confirmed": "bold green", "refuted": "bold red", "inconclusive": "bold yellow"}
_EFFECTS = {
    "seen": "In effect",
    "missing": "Not in effect",
    "not_seen": "The engine prints nothing of the change",
}
_CHANGES = {"better": "better", "worse": "worse", "noise": "within the noise", "": ""}


def rows(told: Confirmation) -> list[tuple[str, str, str, str]]:
    """Heading, before, after, and what is to be said of it."""
    found = []
    before = next((trial for trial in told.trials if trial.which == "before"), None)
    after = next((trial for trial in told.trials if trial.which == "after"), None)
    if before is not None:
        found.append(("outcome", _outcome(before.outcome), _outcome(after.outcome) if after else "-", ""))
    return found + [
        (entry.name, _side(entry, "before"), _side(entry, "after"), _CHANGES.get(entry.change, ""))
        for entry in told.measures
    ]


def medians(told: Confirmation) -> str:
    """How many repeats the figures are of; empty for one."""
    most = max((entry.repeats for entry in told.measures), default=1)
    return f"median of {most}, ± half the spread" if most > 1 else ""


def _outcome(name: str) -> str:
    return name.replace("_", " ")


def _side(entry: Measure, which: str) -> str:
    value, spread = getattr(entry, which), getattr(entry, f"{which}_spread")
    if value is None:
        return "-"
    told = figure(value, entry.unit)
    if entry.repeats < 2 or not spread or spread < 0.01 * abs(value):
        return told
    if entry.unit == "bytes":
        return f"{told} ±{figure(spread / 2, entry.unit)}"
    return f"{_digits(value)} ±{_digits(spread / 2)} {entry.unit}"


def figure(value: float, unit: str) -> str:
    """A figure with its unit, as short as its size allows."""
    if unit == "bytes":
        return format_size(value)
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def effect(told: Confirmation) -> str:
    """Whether the change is in effect, in one sentence; empty when there was no trial of it."""
    if not told.effect:
        return ""
    words = _EFFECTS.get(told.effect, told.effect)
    return f"{words}: {told.effect_text}" if told.effect_text and told.effect != "not_seen" else words


def as_json(told: Confirmation) -> str:
    """A comparison of two setups on its own, which no diagnosis stands around."""
    import json
    from dataclasses import asdict

    from doctor.redact import Redactor

    data = Redactor().data({"schema": "llmdoctor/comparison/1", **asdict(told)})
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def print_comparison(told: Confirmation, stream: Any = None) -> None:
    """A comparison of two setups for a person."""
    from doctor.redact import Redactor
    from doctor.report.page import Page

    redactor = Redactor()
    page = Page(stream)
    page.say(
        (f" {told.verdict.upper()} ", f"{STYLES[told.verdict]} reverse"), f"  {redactor.text(told.reason)}", hang=2
    )
    page.gap()
    for line in redactor.text(told.change).splitlines():
        page.say(line, style={"+": "green", "-": "red"}.get(line[:1], "dim"), hang=2)
    page.gap()
    print_table(told, page, 0)


def print_table(told: Confirmation, page: Any, indent: int) -> None:
    """Workload, effect, the figures before and after, and what else is to be said."""
    if told.workload and told.trials:
        page.say(f"Workload: {told.workload}", indent=indent, style="dim")
    if words := effect(told):
        page.say(words, indent=indent, hang=indent + 2, style="yellow" if told.effect == "missing" else "dim")
    table = rows(told) if any(trial.which == "after" for trial in told.trials) else []
    if table:
        widths = [max(len(row[column]) for row in (*table, ("", "before", "after"))) for column in range(3)]
        for name, before, after, note in (("", "before", "after", medians(told)), *table):
            line = f"{name:{widths[0]}}  {before:{widths[1]}}  {after:{widths[2]}}  {note}"
            page.line(" " * indent + line.rstrip(), "" if name else "dim")
    for note in told.notes:
        page.say(f"- {note}", indent=indent, hang=indent + 2)
    for written in told.applied:
        what, _, undo = written.partition("; undo: ")
        page.say(f"- {what}{'; this undoes it:' if undo else ''}", indent=indent, hang=indent + 2)
        if undo:
            page.line(" " * (indent + 2) + undo)  # on one line, to be copied
