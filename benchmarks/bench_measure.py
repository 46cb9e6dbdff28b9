"""llama.cpp's own measure of the compute buffer (doctor/planning/measure.py) beside what llama-server printed.

    python benchmarks/modelgen.py --dir bench-data/models
    python benchmarks/bench_measure.py --python VENV/bin/python --models bench-data/models [--write]

``VENV`` has llama-cpp-python 0.3.36 or newer; the runs on the CPU of ``tests/planning/recorded.json`` are compared.
"""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from bench_memory import DOCS, RECORD
from modelgen import SPECS

from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.model.read import read_model
from doctor.planning.measure import measure
from doctor.planning.plan import plan
from doctor.planning.request import settings_from_command
from doctor.planning.settings import settings_of
from doctor.planning.target import read_target
from doctor.units import MIB

MARK = "own measure"


def rows(python: str, models: Path) -> list[tuple[str, str, float, float, float]]:
    """Model, arguments, and MiB: printed, measured, estimated."""
    found = []
    machine = read_target("dual-epyc-1tb")
    for run in json.loads(RECORD.read_text(encoding="utf-8"))["runs"]:
        path = models / f"{run['model']}.gguf"
        printed = sum(mib for _device, kind, mib in run.get("buffers", []) if kind == "compute")
        if run["devices"] or not printed or not path.exists():
            continue
        engine, given, _ = settings_from_command(shlex.join(["llama-server", "-m", "x", *run["arguments"]]))
        model = read_model(path)
        document = plan(model, given, machine, engine)
        estimate = sum(part.bytes for place in document.places for part in place.parts if part.kind == "compute") / MIB
        told = measure(path, settings_of(given, HyperParameters.from_facts(Values(model.resolve))), python)
        if told is None or told.failed:
            raise SystemExit(f"{path}: {told.failed if told else 'not measured'}")
        measured = sum(told.compute.values()) / MIB
        found.append((SPECS[run["model"]].like, shlex.join(run["arguments"]), printed, measured, estimate))
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True)
    parser.add_argument("--models", type=Path, default=Path("bench-data/models"))
    parser.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    found = rows(wanted.python, wanted.models)
    worst = max(abs(measured - printed) for _, _, printed, measured, _ in found)
    guessed = max(abs(estimate - printed) for _, _, printed, _, estimate in found)
    lines = [
        f"{len(found)} runs: the measure is off by {worst:.2f} MiB at most, the estimate by {guessed:.1f} MiB.",
        "",
        "| widths of | settings | printed MiB | measured | estimate |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [f"| {m} | `{a}` | {p:.1f} | {o:.1f} | {e:.1f} |" for m, a, p, o, e in found]
    print("\n".join(lines))
    if wanted.write:
        text = DOCS.read_text(encoding="utf-8")
        head, _, rest = text.partition(f"<!-- {MARK} -->\n")
        _, end, tail = rest.partition(f"<!-- /{MARK} -->")
        DOCS.write_text(f"{head}<!-- {MARK} -->\n" + "\n".join(lines) + f"\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
