from __future__ import annotations

from .support import MIB, records


def test_a_recorded_process_whose_model_lies_on_the_other_node() -> None:
    name = "numa/numa-maps-recorded.txt"
    anonymous, model = records(name, "mapping")
    assert model == {
        "path": "/models/tiny-longctx-f16.gguf",
        "pages": {1: 10506},
        "main_node": 1,
        "bytes": 10506 * 4096,
        "bytes_by_node": {1: 10506 * 4096},
        "bytes_by_page_size": {4096: 10506 * 4096},
        "main": True,
    }
    assert (anonymous["path"], anonymous["main_node"]) == ("anonymous", 0)
    # the lines of heap and unnamed memory: 248 + 7 + 7 + 14561 + 13 + 130 + 3
    assert sum(anonymous["pages"].values()) == 14969


def test_two_page_sizes_and_a_blank_in_the_name() -> None:
    model, anonymous, huge = records("numa/numa-maps-huge.txt", "mapping")
    assert model["path"] == "/srv/llm/models/big model-00001-of-00002.gguf"
    assert model["pages"] == {0: 16384, 1: 4096 + 4}
    assert model["bytes_by_node"] == {0: 64 * MIB, 1: 16 * MIB + 8 * MIB}
    assert model["bytes_by_page_size"] == {4096: 80 * MIB, 2 * MIB: 8 * MIB}
    assert (model["main"], model["main_node"], huge["main"], huge["bytes"]) == (True, 0, False, 128 * MIB)
    assert anonymous["bytes"] == (8192 + 8) * 4096
