"""Runs, settings and the summary sentence as entries of the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.diagnose.findings import fact_origins, fact_values, plain
from doctor.diagnose.verdict import sentence
from doctor.vocabulary.document import EngineEntry, Event, RunEntry, SettingEntry
from doctor.vocabulary.facts import Layer

if TYPE_CHECKING:
    from doctor.facts.factset import FactSet
    from doctor.scan.runs import Run, Timeline
    from doctor.vocabulary.document import Diagnosis

MAX_EVENTS = 40
MAX_SENTENCES = 4


def run_entry(run: Run, facts: FactSet) -> RunEntry:
    return RunEntry(
        id=run.id,
        node=run.node,
        parent=run.parent.id if run.parent else None,
        incident=run.incident or None,
        engine=EngineEntry(
            name=run.engine,
            version=run.versions.get(run.engine or ""),
            product=run.product,
            lineage=[name for name in run.engines if name != run.engine],
        ),
        outcome=run.outcome,
        source=run.path,
        first_line=run.first_line,
        last_line=run.last_line,
        facts=fact_values(facts),
        origins=fact_origins(facts),
        events=[
            Event(line=marker.line, what=marker.means, text=marker.observation.line.text[:200])
            for marker in run.markers[:MAX_EVENTS]
        ],
    )


def setting_entries(run: Run, facts: FactSet) -> list[SettingEntry]:
    """Every setting of a run: what was declared, what is in effect, and which layer won."""
    found = []
    for name in sorted(facts.names()):
        family, _, rest = name.partition(".")
        if family not in {"setting", "env"}:
            continue
        layers = facts.layers(name)
        declared = [fact for fact in layers if fact.origin.layer not in {Layer.EFFECTIVE, Layer.DEFAULT}]
        winner = layers[-1]
        if winner.origin.layer is Layer.DEFAULT:
            continue
        found.append(
            SettingEntry(
                name=rest if family == "setting" else name,
                declared=plain(declared[-1].value) if declared else None,
                effective=plain(winner.value) if winner.origin.layer is Layer.EFFECTIVE else None,
                origin=f"{winner.origin} ({winner.origin.layer})",
                declared_at=f"{declared[-1].origin} ({declared[-1].origin.layer})" if declared else None,
                run=run.id,
            )
        )
    return found


def summarise(document: Diagnosis, timeline: Timeline) -> str:
    """What broke, in a sentence a machine: the root cause's, else how the service ended."""
    roots: dict[str | None, str] = {}
    for finding in document.findings:
        if finding.role == "root_cause":
            roots.setdefault(finding.node, finding.summary)
    if roots:
        return " ".join(list(roots.values())[:MAX_SENTENCES])
    judged = [run for run in timeline.runs if run.incident and not run.is_worker]
    if not judged:
        return "Nothing was recognised in the input."
    return sentence(judged[-1].engine, judged[-1].outcome) + "."
