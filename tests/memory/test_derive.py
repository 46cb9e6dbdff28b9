from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import doctor.facts.catalogue as catalogue_module
from doctor.vocabulary.facts import Origin, Record

from .support import BIG, GIB, MIB, TINY, buffers, devices, figures, nodes, run, settings

CATALOGUE = yaml.safe_load((Path(catalogue_module.__file__).parent / "catalogue.yaml").read_text(encoding="utf-8"))
DECLARED = {name: entry for name, entry in CATALOGUE["scalars"].items() if name.startswith("memory.")}

CARD = {
    **BIG, **settings(32768, 512, flash_attention="on"), "engine.name": "llama.cpp", "host.ram_total": 32 * GIB,
    "host.ram_available": 30 * GIB, "setting.slots": 4, "setting.slot_context": 8192,
}  # fmt: skip


def card_run(free: int = 4 * GIB) -> dict[str, Any]:
    return figures(
        run(
            CARD,
            device=devices({"name": "CUDA0", "free": free, "total": 8 * GIB}),
            buffer=buffers(("CPU_Mapped", "weights", 66.41), ("CUDA0", "weights", 899.66)),
        )
    )


def test_a_card_that_is_too_small_for_the_cache() -> None:
    known = card_run()
    assert known["kv"] == 4096 * MIB and known["kv_per_token"] == 131072 and known["kv_cells"] == 32768
    assert known["device"] == "CUDA0" and known["device_free"] == 4 * GIB
    assert known["device_need"] == round(899.66 * MIB) + 4096 * MIB + known["compute"]
    assert known["device_missing"] == known["device_need"] - 4 * GIB
    assert known["context_that_fits_device"] == known["context_that_fits"] < 32768
    assert known["context_that_fits_q8_0"] > known["context_that_fits"]
    assert known["slots_that_fit"] == 2
    assert known["kv_q8_0"] == 4096 * MIB * 34 // 64
    assert 0 < known["layers_that_fit"] < 17
    assert known["host_missing"] == 0 and known["host_limit_kind"] == "RAM"


def test_every_figure_says_how_it_came_about() -> None:
    for derivation in run(CARD, device=devices({"name": "CUDA0", "free": GIB})).derivations:
        assert derivation.name.startswith("memory.") and derivation.expression
        assert None not in derivation.inputs.values()


def test_names_and_units_are_those_of_the_catalogue() -> None:
    found = run(CARD, device=devices({"name": "CUDA0", "free": 4 * GIB})).derivations
    found += run({**CARD, "setting.context": 2048}, device=devices({"name": "CUDA0", "free": 4 * GIB})).derivations
    numa = {
        "engine.name": "ktransformers", "env.USE_NUMA": "1", "host.numa_nodes": 2, "model.file_size": 700 * GIB,
        "model.quant": "Q8_0", "host.ram_total": 1024 * GIB, "host.swap_total": GIB,
    }  # fmt: skip
    found += run(numa, numa_node=nodes(512 * GIB, 512 * GIB)).derivations
    window = {**TINY, **settings(8192), "model.arch": "gpt-oss", "model.swa": 128, "host.ram_total": GIB}
    found += run(window).derivations
    found += run({"model.file_size": 14 * GIB, "model.quant": "F16", "host.ram_total": 8 * GIB}).derivations
    mac = {"model.file_size": 40 * GIB, "host.cpu_model": "Apple M3 Ultra"}
    found += run(mac).derivations
    moe = {
        **BIG, **settings(1024, 512), "setting.override_tensor": "exps=CPU", "speed.generation": 2.0,
        "model.experts": 64, "model.experts_used": 4,
    }  # fmt: skip
    disk = [Record("disk", {"name": "sda", "medium": "hard disk"}, Origin("lsblk.txt"))]
    found += run(moe, disk=disk).derivations
    smi = [Record("process", {"pid": 1, "name": "Xorg", "device": 0, "bytes": MIB}, Origin("smi.txt", 1))]
    cards = devices({"name": "CUDA0", "free": 4 * GIB, "total": 8 * GIB}, {"name": "CUDA1", "free": 6 * GIB})
    found += run(CARD, device=cards, process=smi).derivations
    # before the start: doctor.checking.room
    of_plans = {"memory.kv_tokens", "memory.kv_context", "memory.reserve_displaces"}
    assert {derivation.name for derivation in found} == set(DECLARED) - of_plans
    for derivation in found:
        entry = DECLARED[derivation.name]
        assert entry.get("unit", "") == derivation.unit
        assert isinstance(derivation.value, {"size": int, "int": int, "str": str, "float": float}[entry["type"]])


@pytest.mark.parametrize("facts", [{}, {"model.layers": 10**9}, {"setting.context": -5}, {"model.file_size": "huge"}])
def test_little_or_nonsense_gives_little(facts: dict[str, Any]) -> None:
    assert figures(run(facts)) == {}


def test_what_does_not_fit_at_all_is_not_offered() -> None:
    known = card_run(free=900 * MIB)
    assert "context_that_fits" not in known and "slots_that_fit" not in known
    assert known["layers_that_fit"] < 17


scalars = st.one_of(
    st.integers(-5, 2**40), st.floats(allow_nan=True), st.sampled_from(["", "[1, 2]", "auto", "q8_0", "x"])
)
names = st.sampled_from(
    [name for name in CATALOGUE["scalars"] if name.split(".")[0] in {"model", "setting", "host", "engine"}]
)
sizes = st.one_of(st.none(), st.integers(-1, 2**45), st.text(max_size=3))


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(names, scalars, max_size=40),
    st.lists(
        st.tuples(
            st.sampled_from(["CPU", "CUDA0", "RPC0[1.2.3.4:5]", ""]), st.sampled_from(["kv", "weights", "x"]), sizes
        ),
        max_size=6,
    ),
    st.lists(st.tuples(st.sampled_from(["CUDA0", "CUDA1", "RPC0", "CPU"]), sizes), max_size=4),
)
def test_any_input_gives_figures_that_are_not_negative(
    facts: dict[str, Any], parts: list[Any], cards: list[Any]
) -> None:
    records = buffers(*((device, kind, 0.0) for device, kind, _ in parts))
    for record, (_, _, size) in zip(records, parts, strict=True):
        record.fields["bytes"] = size
    found = run({**TINY, **facts}, buffer=records, device=devices(*({"name": n, "free": f} for n, f in cards)))
    for derivation in found.derivations:
        assert isinstance(derivation.value, str) or derivation.value >= 0
    for entry in found.entries():
        assert all(part.bytes >= 0 for part in entry.parts) and (entry.missing is None or entry.missing >= 0)
