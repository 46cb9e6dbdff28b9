"""Compares the plan with what llama.cpp printed in the runs of ``memory_runs.py``, buffer kind by buffer kind.

python benchmarks/bench_memory.py            # the table
python benchmarks/bench_memory.py --write    # and into docs/memory.md
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelgen import SPECS, model

from doctor.facts.config.argv import parse_command
from doctor.facts.config.argv import settings_of as options_in
from doctor.facts.options import KnownOption
from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.model.document import Model
from doctor.planning.fits import Case
from doctor.planning.layout import Layout, pieces_of
from doctor.planning.settings import settings_of
from doctor.planning.target import Device, Target
from doctor.rulebook.book import load_book
from doctor.units import GIB, MIB
from doctor.vocabulary.facts import ABSENT, Origin

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "tests/planning/recorded.json"
DOCS = ROOT / "docs/memory.md"
KINDS = {"model": "weights", "KV": "kv", "RS": "state", "compute": "compute", "output": "output"}
MARK = "memory accuracy"


@dataclass(frozen=True)
class Comparison:
    """One run: bytes by place and kind, as the engine printed them and as the plan has them."""

    name: str
    arguments: str
    printed: dict[tuple[str, str], float]
    planned: dict[tuple[str, str], float]

    def total(self, kind: str | None = None, *, printed: bool) -> float:
        side = self.printed if printed else self.planned
        return sum(size for (_, own), size in side.items() if kind in {None, own})

    def error(self, kind: str | None = None) -> float:
        """Bytes by which the plan is too high."""
        return self.total(kind, printed=False) - self.total(kind, printed=True)

    @property
    def weights_error(self) -> float:
        """The largest error of the weights of any place, as a share."""
        places = {place for place, kind in self.printed if kind == "weights"}
        pairs = [(self.planned.get((p, "weights"), 0.0), self.printed[p, "weights"]) for p in places]
        return max((abs(planned - printed) / printed for planned, printed in pairs if printed), default=0.0)


def compare(entry: dict[str, Any]) -> Comparison:
    """One recorded run."""
    spec = SPECS[entry["model"]]
    known = model(spec)
    printed: dict[tuple[str, str], float] = {}
    for device, kind, mib in entry["buffers"]:
        place = device if device.startswith("RPC") else "host"
        key = (place, KINDS[kind])
        printed[key] = printed.get(key, 0.0) + mib * MIB
    return Comparison(spec.like, " ".join(entry["arguments"]), printed, planned(known, entry))


def planned(known: Model, entry: dict[str, Any]) -> dict[tuple[str, str], float]:
    """What the plan has for it, in the engine's own terms: what is mapped counts from the first to the last tensor."""
    hyper = HyperParameters.from_facts(Values(known.resolve))
    devices = tuple(Device(name, 24 * GIB, 24 * GIB, backend="rpc") for name in entry["devices"])
    target = Target("test", devices, ram=24 * GIB, cpu_flags=frozenset({"avx2"}))
    book = load_book()
    options = [KnownOption(**option) for option in book.dialects["llama.cpp"]["options"]]
    command = parse_command(" ".join(["llama-server", *entry["arguments"]]))
    assert command is not None
    facts, _, _ = options_in(command, options, Origin("--command"))
    settings = settings_of({fact.name: fact.value for fact in facts if fact.value is not ABSENT}, hyper)
    layout = Case(pieces_of(known.tensors, hyper), hyper, target).layout(settings)
    found: dict[tuple[str, str], float] = {}
    for place in layout.places:
        for part in place.parts:
            kind = "weights" if part.kind in {"weights", "repack"} else part.kind
            if kind in KINDS.values():
                found[place.name, kind] = found.get((place.name, kind), 0.0) + part.bytes
    if span := _mapped(known, layout):
        found["host", "weights"] = found.get(("host", "weights"), 0.0) + span
    return found


def _mapped(known: Model, layout: Layout) -> int:
    names = set(layout.mapped)
    tensors = [tensor for tensor in known.tensors if tensor.name in names]
    if not tensors:
        return 0
    return max(t.offset + t.bytes for t in tensors) - min(t.offset for t in tensors)


def table(record: dict[str, Any]) -> str:
    """As Markdown: a row a run."""
    rows = [
        "| widths of | settings | weights MiB | error | KV + state MiB | error | compute MiB | error "
        "| total MiB | error |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    worst = {"weights": 0.0, "kv": 0.0, "total": 0.0}
    within = count = 0
    for entry in record["runs"]:
        if not any(kind in {"KV", "RS"} for _, kind, _ in entry["buffers"]):
            continue
        found = compare(entry)
        kv = found.error("kv") + found.error("state")
        total = found.total(printed=True)
        share = abs(found.error()) / total
        good = share <= 0.03 or abs(found.error()) <= 64 * MIB
        within, count = within + good, count + 1
        worst["weights"] = max(worst["weights"], found.weights_error)
        worst["kv"] = max(worst["kv"], abs(kv))
        worst["total"] = max(worst["total"], abs(found.error()) if share > 0.03 else 0.0)
        where = f" ({len(entry['devices'])} RPC)" if entry["devices"] else ""
        cache = found.total("kv", printed=True) + found.total("state", printed=True)
        cells = [
            found.name,
            f"`{found.arguments}`{where}",
            f"{found.total('weights', printed=True) / MIB:.1f}",
            f"{100 * found.weights_error:.2f} %",
            f"{cache / MIB:.2f}",
            f"{kv / MIB:+.2f}",
            f"{found.total('compute', printed=True) / MIB:.1f}",
            f"{found.error('compute') / MIB:+.1f}",
            f"{total / MIB:.0f}",
            f"{found.error() / MIB:+.1f} ({100 * found.error() / total:+.1f} %){'' if good else ' **missed**'}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    summary = (
        f"{record['engine']}: {count} runs. Largest error of the weights of a place {100 * worst['weights']:.2f} %, of "
        f"the caches {worst['kv'] / MIB:.2f} MiB; total within 3 % or 64 MiB in {within} of {count}."
    )
    return summary + "\n\n" + "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--write", action="store_true", help=f"into {DOCS.relative_to(ROOT)}")
    given = parser.parse_args()
    text = table(json.loads(given.record.read_text()))
    print(text)
    if given.write:
        before, _, rest = DOCS.read_text().partition(f"<!-- {MARK} -->\n")
        _, _, after = rest.partition(f"<!-- /{MARK} -->")
        DOCS.write_text(f"{before}<!-- {MARK} -->\n{text}<!-- /{MARK} -->{after}")


if __name__ == "__main__":
    main()
