"""Configuration files as text in, workloads out; and every place checked against what it says."""

from __future__ import annotations

import re
from textwrap import dedent

from doctor.facts.config.deployments import Declared, read_deployments
from doctor.facts.config.places import Text
from doctor.facts.config.workload import Workload
from doctor.vocabulary.facts import Fact

PROGRAMS = frozenset(
    {"llama-server", "rpc-server", "vllm", "vllm.entrypoints.openai.api_server", "ollama", "gpustack", "llama-box"}
)


def read_files(files: dict[str, str]) -> Declared:
    declared = read_deployments([Text(path, dedent(text)) for path, text in files.items()], PROGRAMS)
    for workload in declared.workloads:
        check_places(workload, declared)
    return declared


def one(declared: Declared) -> Workload:
    assert len(declared.workloads) == 1, [workload.name for workload in declared.workloads]
    return declared.workloads[0]


def variables(workload: Workload) -> dict[str, str]:
    return {variable.name: variable.value for variable in workload.variables}


def limits(workload: Workload) -> dict[str, tuple[object, int | None]]:
    """Value and line by the fact's name."""
    return {fact.name: (fact.value, fact.origin.line) for fact in workload.facts}


def at(fact: Fact) -> str:
    return f"{fact.origin} ({fact.origin.layer})"


def check_places(workload: Workload, declared: Declared) -> None:
    """What a place covers is what was read there, but for quotes and blanks; its line is where it begins."""
    keys = workload.kind == "presets"  # an .ini file has flags as keys, without dashes
    items = [(word.text, word.place) for word in workload.words if not (keys and word.text.startswith("-"))]
    for text, place in [*items, *((variable.value, variable.place) for variable in workload.variables)]:
        if place is not None:
            file = declared.files[place.path].text
            written = file[place.start : place.end]
            assert "$" in written or _bare(written) == _bare(text), (written, text)
            assert file.count("\n", 0, place.start) + 1 == place.line


def _bare(text: str) -> str:
    return re.sub(r"['\"\\\s]", "", text)
