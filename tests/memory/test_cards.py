from __future__ import annotations

from typing import Any

from doctor.memory.cards import card
from doctor.memory.values import Values
from doctor.vocabulary.facts import Origin, Record

from .support import GIB, devices, values


def smi(*names: str) -> list[Record]:
    return [
        Record("card", {"index": i, "description": name, "used": GIB}, Origin("smi")) for i, name in enumerate(names)
    ]


def engine(*names: str) -> list[Record]:
    return devices(*({"name": f"CUDA{i}", "backend": "cuda", "description": name} for i, name in enumerate(names)))


def index(name: str, found: Values) -> Any:
    record = card(name, found)
    return record.get("index") if record else None


def test_cuda_counts_the_fastest_card_first() -> None:
    found = values({}, device=engine("RTX 4090", "RTX 4070"), card=smi("RTX 4070", "RTX 4090"))
    assert (index("CUDA0", found), index("CUDA1", found)) == (1, 0)


def test_equal_cards_keep_their_order() -> None:
    found = values({}, device=engine("L4", "L4"), card=smi("L4", "L4"))
    assert (index("CUDA0", found), index("CUDA1", found), index("CUDA2", found)) == (0, 1, None)


def test_a_chosen_card() -> None:
    found = values({"env.CUDA_VISIBLE_DEVICES": "1"}, device=engine("L4"), card=smi("L4", "L4"))
    assert index("CUDA0", found) == 1
    other = values({"env.CUDA_VISIBLE_DEVICES": "1"}, device=engine("L4"), card=smi("L4", "T4"))
    assert index("CUDA0", other) is None
    by_uuid = values({"env.CUDA_VISIBLE_DEVICES": "GPU-1f"}, device=engine("L4"), card=smi("T4", "L4"))
    assert index("CUDA0", by_uuid) == 1


def test_a_long_name_is_cut_by_the_monitor() -> None:
    found = values({}, device=engine("NVIDIA A100-SXM4-80GB"), card=smi("NVIDIA A100-SXM4-80"))
    assert index("CUDA0", found) == 0


def test_without_a_product_name_the_number_counts() -> None:
    found = values({}, card=smi("T4", "L4"))
    assert (index("CUDA1", found), index("Metal", found), index("CUDA7", found)) == (1, None, None)
