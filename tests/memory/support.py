"""Facts of recorded runs for these tests: names are those of the runs, figures those that the engine printed."""

from __future__ import annotations

from typing import Any

from doctor.memory.plan import Assessment, assess
from doctor.memory.values import Values
from doctor.vocabulary.facts import Origin, Record, Unknown

MIB, GIB, GB = 1024**2, 1024**3, 1000**3

TINY = {
    "model.arch": "llama",
    "model.layers": 2,
    "model.embd": 256,
    "model.ff": 512,
    "model.heads": 4,
    "model.heads_kv": 4,
    "model.head_dim_k": 64,
    "model.head_dim_v": 64,
    "model.embd_k_gqa": 256,
    "model.embd_v_gqa": 256,
    "model.vocab": 512,
    "model.context_train": 512,
}
MEDIUM = {**TINY, "model.layers": 8, "model.embd": 512, "model.ff": 1024, "model.heads": 8, "model.heads_kv": 8}
MEDIUM |= {"model.embd_k_gqa": 512, "model.embd_v_gqa": 512}
BIG = {
    **TINY,
    "model.layers": 16,
    "model.embd": 2048,
    "model.ff": 5504,
    "model.heads": 16,
    "model.heads_kv": 16,
    "model.head_dim_k": 128,
    "model.head_dim_v": 128,
    "model.embd_k_gqa": 2048,
    "model.embd_v_gqa": 2048,
    "model.vocab": 32000,
    "model.context_train": 2048,
    "model.file_size": round(966.07 * MIB),
    "model.bpw": 8.5,
    "model.quant": "Q8_0",
}


def resolver(facts: dict[str, Any]) -> Any:
    return lambda name: facts.get(name, Unknown(frozenset({name})))


def values(facts: dict[str, Any], **records: list[Record]) -> Values:
    return Values(resolver(facts), records)


def settings(context: int | None = None, ubatch: int = 64, **more: Any) -> dict[str, Any]:
    """What the engine echoes of one context."""
    found = {"setting.ubatch": ubatch, "setting.batch": max(ubatch, 64), "setting.slots": 1}
    if context is not None:
        found |= {"setting.context": context, "setting.slot_context": context}
    return found | {f"setting.{name}": value for name, value in more.items()}


def buffers(*found: tuple[str, str, float]) -> list[Record]:
    """``("CPU", "kv", 0.5)``: device, kind, MiB as printed; the lines come in this order."""
    return [
        Record("buffer", {"device": device, "kind": kind, "bytes": round(mib * MIB)}, Origin("log.txt", line))
        for line, (device, kind, mib) in enumerate(found, 1)
    ]


def devices(*found: dict[str, Any]) -> list[Record]:
    return [Record("device", fields, Origin("log.txt", line)) for line, fields in enumerate(found, 1)]


def files(*found: tuple[str, int]) -> list[Record]:
    return [Record("file", {"path": path, "bytes": size}, Origin("ls.txt", 1)) for path, size in found]


def nodes(*sizes: int) -> list[Record]:
    return [Record("numa_node", {"index": i, "size": size}, Origin("numactl.txt", i)) for i, size in enumerate(sizes)]


def run(facts: dict[str, Any], **records: list[Record]) -> Assessment:
    return assess(resolver(facts), records)


def figures(assessment: Assessment) -> dict[str, Any]:
    """Name without ``memory.`` -> value."""
    return {derivation.name.removeprefix("memory."): derivation.value for derivation in assessment.derivations}


def printed(count: int, decimals: int = 2) -> str:
    """Bytes as the engine prints them, in MiB."""
    return f"{count / MIB:.{decimals}f}"
