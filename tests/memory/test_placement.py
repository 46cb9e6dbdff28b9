from __future__ import annotations

from typing import Any

import pytest

from doctor.memory.model import HyperParameters
from doctor.memory.placement import Placement, is_host, placement, share_layers
from doctor.vocabulary.facts import Record

from .support import GIB, MIB, TINY, buffers, devices, values

MODEL = HyperParameters.from_facts(values(TINY))


def placed(facts: dict[str, Any], kv: int | None = None, **records: list[Record]) -> Placement:
    known = values({**TINY, **facts}, **records)
    found = placement(known, HyperParameters.from_facts(known))
    share_layers(found, known, kv)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CPU", True),
        ("CPU_Mapped", True),
        ("CPU_REPACK", True),
        ("CUDA_Host", True),
        ("Vulkan_Host", True),
        ("CUDA0", False),
        ("RPC0[127.0.0.1:50201]", False),
        ("MTL0_Mapped", False),
        ("Metal", False),
        ("BLAS", True),
    ],
)
def test_host_memory_by_name(name: str, expected: bool) -> None:
    assert is_host(name) is expected


def test_two_workers_with_the_same_number() -> None:
    # rpc-healthy-two-servers: both buffers are called RPC0, the devices RPC0 and RPC1
    found = placed(
        {},
        device=devices(
            {"name": "RPC0", "description": "127.0.0.1:50201", "free": 24105 * MIB},
            {"name": "RPC1", "description": "127.0.0.1:50202", "free": 24105 * MIB},
        ),
        buffer=buffers(
            ("CPU_Mapped", "weights", 0.25),
            ("RPC0[127.0.0.1:50201]", "weights", 2.5),
            ("RPC0[127.0.0.1:50202]", "weights", 0.25),
            ("RPC0[127.0.0.1:50201]", "kv", 0.5),
        ),
    )
    assert [device.name for device in found.devices] == ["RPC[127.0.0.1:50201]", "RPC[127.0.0.1:50202]"]
    assert [device.buffers["weights"] for device in found.devices] == [2.5 * MIB, 0.25 * MIB]
    assert [device.share for device in found.devices] == [1.0, 0.0]  # the second holds the output layer only
    assert found.printed_weights == 3 * MIB and found.exact


def test_a_worker_of_january_2025_is_its_own_name() -> None:
    found = placed(
        {},
        device=devices({"name": "RPC[127.0.0.1:50301]", "free": 2048 * MIB}),
        buffer=buffers(("RPC[127.0.0.1:50301]", "kv", 1.0)),
    )
    (device,) = found.devices
    assert device.free == 2048 * MIB and device.share == 1.0


def test_no_device_at_all_although_layers_were_offloaded() -> None:
    # llamabench-ngl99-no-gpu: "offloaded 3/3 layers to GPU" without any GPU
    found = placed(
        {"setting.layers_offloaded": 3, "setting.layers_total": 3},
        buffer=buffers(("CPU_Mapped", "weights", 3.0), ("CPU", "kv", 0.5)),
    )
    assert found.devices == [] and found.host == {"weights": 3 * MIB, "kv": MIB // 2} and found.mapped == 3 * MIB


def test_a_context_made_again_counts_once_and_shards_add_up() -> None:
    found = placed(
        {},
        buffer=buffers(
            ("CPU", "weights", 5.0),
            ("CPU", "weights", 3.0),
            ("CPU", "kv", 0.5),
            ("CPU", "kv", 2.0),
            ("CPU", "compute", 1.0),
        ),
    )
    assert found.host == {"weights": 8 * MIB, "kv": 2 * MIB, "compute": MIB}


def test_both_caches_of_a_model_with_windows_count() -> None:
    found = placed(
        {"model.arch": "gpt-oss", "model.swa": 128}, buffer=buffers(("CUDA0", "kv", 3.0), ("CUDA0", "kv", 1.0))
    )
    assert found.devices[0].buffers == {"kv": 4 * MIB}


CARDS = devices({"name": "CUDA0", "free": 8 * GIB}, {"name": "CUDA1", "free": 24 * GIB})
LLAMA = {"engine.name": "llama.cpp", "setting.gpu_layers": 99}


def test_layers_are_split_by_free_memory_unless_told_otherwise() -> None:
    assert [device.share for device in placed(LLAMA, device=CARDS).devices] == [0.25, 0.75]
    told = placed({**LLAMA, "setting.tensor_split": ["3", "1"]}, device=CARDS)
    assert [device.share for device in told.devices] == [0.75, 0.25]


@pytest.mark.parametrize(
    ("facts", "share"),
    [
        ({"setting.layers_offloaded": 16, "setting.layers_total": 33}, 0.5),
        ({"setting.layers_offloaded": 33, "setting.layers_total": 33}, 1.0),
        ({"setting.layers_offloaded": 0, "setting.layers_total": 33}, 0.0),
        ({"setting.gpu_layers": -1}, 1.0),
        ({"setting.gpu_layers": 1}, 0.5),
    ],
)
def test_partly_offloaded(facts: dict[str, Any], share: float) -> None:
    (device,) = placed({"engine.name": "llama.cpp", **facts}, device=devices({"name": "CUDA0", "free": GIB})).devices
    assert device.share == share


def test_printed_weights_tell_the_shares_when_there_is_no_cache_yet() -> None:
    found = placed(LLAMA, device=CARDS, buffer=buffers(("CUDA0", "weights", 100), ("CUDA1", "weights", 300)))
    assert [device.share for device in found.devices] == [0.25, 0.75]


def test_a_part_of_the_cache_does_not_tell_the_shares() -> None:
    found = placed(
        LLAMA,
        kv=400 * MIB,
        device=CARDS,
        buffer=buffers(("CUDA0", "weights", 100), ("CUDA1", "weights", 100), ("CUDA0", "kv", 200)),
    )
    assert [device.share for device in found.devices] == [0.5, 0.5] and not found.exact


def test_experts_kept_elsewhere_leave_the_layers_on_the_device() -> None:
    found = placed({**LLAMA, "setting.override_tensor": "exps=CPU"}, device=CARDS)
    assert not found.by_layer and sum(device.share for device in found.devices) == 1.0


def test_engines_that_place_otherwise_get_no_share() -> None:
    found = placed({"engine.name": "ktransformers"}, device=devices({"name": "NVIDIA GeForce RTX 4090", "free": GIB}))
    assert [device.share for device in found.devices] == [0.0] and not found.by_layer


def test_cards_named_twice_are_one() -> None:
    found = placed(
        LLAMA, device=devices({"name": "CUDA0", "free": GIB}, {"name": "NVIDIA GeForce RTX 4090", "free": GIB})
    )
    assert [device.name for device in found.devices] == ["CUDA0"]


def test_cards_listed_by_number_have_the_engine_s_name() -> None:
    cards = devices({"backend": "cuda", "index": 1, "total": GIB}, {"backend": "cpu", "index": 0}, {"description": "?"})
    found = placed(LLAMA, device=cards, buffer=buffers(("CUDA1", "weights", 10)))
    assert [(device.name, device.total) for device in found.devices] == [("CUDA1", GIB)]


def test_mapped_buffers_of_metal_belong_to_the_gpu() -> None:
    found = placed({}, buffer=buffers(("MTL0_Mapped", "weights", 10), ("CPU_Mapped", "weights", 1), ("MTL0", "kv", 2)))
    (device,) = found.devices
    assert device.name == "MTL0" and device.buffers == {"weights": 10 * MIB, "kv": 2 * MIB} and found.mapped == MIB


def test_cards_of_rocm_that_an_old_build_counts_like_cuda_s_are_no_others() -> None:
    listed = devices(
        {"index": 0, "backend": "cuda", "description": "AMD Radeon RX 7900 XTX", "capability": "11.0"},
        {"name": "ROCm0", "index": 0, "backend": "rocm", "description": "AMD Radeon RX 7900 XTX", "free": GIB},
    )
    assert [device.name for device in placement(values({}, device=listed), HyperParameters()).devices] == ["ROCm0"]
