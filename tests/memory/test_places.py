"""Who needs what where: the parts of devices and host."""

from __future__ import annotations

from doctor.memory.places import Part, Place

from .support import BIG, GIB, MIB, TINY, buffers, devices, run, settings

VULKAN = devices({"name": "Vulkan0", "description": "llvmpipe", "free": 2048 * MIB})


def test_the_engine_s_figures_win() -> None:
    # vk-healthy-full-offload
    found = run(
        {**TINY, **settings(256, flash_attention="auto"), "model.file_size": 3 * MIB},
        device=VULKAN,
        buffer=buffers(
            ("CPU_Mapped", "weights", 0.25),
            ("Vulkan0", "weights", 2.75),
            ("Vulkan_Host", "output", 0.0),
            ("Vulkan0", "kv", 0.5),
            ("Vulkan0", "compute", 0.53),
            ("Vulkan_Host", "compute", 0.16),
        ),
    )
    device, host = found.entries("run-1")
    assert [(part.kind, part.source) for part in device.parts] == [
        ("weights", "log"),
        ("kv", "log"),
        ("compute", "log"),
    ]
    assert device.free == 2048 * MIB and device.missing == 0 and device.run == "run-1"
    assert {part.kind for part in host.parts} == {"mapped weights", "output", "compute"}
    assert found.problems == []


def test_weights_that_could_not_be_allocated_are_estimated() -> None:
    # rpc-server-oom: the worker was asked for 943366144 bytes of a model of 966.07 MiB; nothing else was printed
    facts = {**BIG, "engine.name": "llama.cpp", "setting.gpu_layers": 99}
    worker = devices({"name": "RPC0", "description": "127.0.0.1:50201", "free": 24105 * MIB})
    device, host = run(facts, device=worker).entries()
    assert [part.source for part in device.parts] == ["estimate"]
    assert abs(device.parts[0].bytes - 943366144) < 1000
    assert f"{sum(part.bytes for part in host.parts) / MIB:.2f}" == "66.41"


def test_the_output_layer_is_counted_once() -> None:
    facts = {**BIG, "engine.name": "llama.cpp", "setting.gpu_layers": 99}
    two = devices({"name": "CUDA0", "free": GIB}, {"name": "CUDA1", "free": GIB})
    plan = run(facts, device=two).plan
    assert abs(sum(device.part("weights") for device in plan.devices) - 943366144) < 1000


def test_engines_that_live_on_gpus_have_no_weights_in_host_memory() -> None:
    facts = {**BIG, "host.ram_total": 64 * GIB}
    assert run({**facts, "engine.name": "vllm"}).entries() == []
    assert [entry.device for entry in run({**facts, "engine.name": "llama.cpp"}).entries()] == ["host"]


def test_what_is_missing_on_a_card() -> None:
    # vk-kv-tensor-over-storage-range: 899.66 MiB of weights and a cache of 4 GiB on a device with 2 GiB
    found = run(
        {**BIG, **settings(32768, 512, flash_attention="disabled"), "engine.name": "llama.cpp"},
        device=VULKAN,
        buffer=buffers(("CPU_Mapped", "weights", 66.41), ("Vulkan0", "weights", 899.66), ("Vulkan0", "kv", 4096.0)),
    )
    (device, _) = found.entries()
    sizes = {part.kind: part.bytes for part in device.parts}
    assert sizes["kv"] == 4096 * MIB
    assert device.missing == sum(sizes.values()) - 2048 * MIB > 2048 * MIB


def test_mapped_weights_are_not_needed_unless_locked() -> None:
    records = buffers(("CPU_Mapped", "weights", 966.07), ("CPU", "kv", 32), ("CPU", "compute", 8.81))
    facts = {**BIG, **settings(256)}
    assert run(facts, buffer=records).plan.host.need == records[1].get("bytes") + records[2].get("bytes")
    locked = run({**facts, "setting.mlock": True}, buffer=records).plan.host
    assert locked.need == sum(record.get("bytes") for record in records) and locked.part("mapped weights") == 0


def test_repacked_weights_come_on_top() -> None:
    # llamacpp-healthy-cpu-tiny-q4km: 0.93 MiB of weights, 0.86 MiB mapped and 0.60 MiB rewritten for AVX2
    found = run(
        {**TINY, **settings(256), "model.file_size": round(0.93 * MIB)},
        buffer=buffers(("CPU_Mapped", "weights", 0.86), ("CPU_REPACK", "repack", 0.6), ("CPU", "kv", 0.5)),
    )
    assert found.plan.weights == Part("weights", round(0.93 * MIB), "log")
    assert found.plan.host.part("repack") == round(0.6 * MIB)


def test_the_cache_stays_in_host_memory_when_told_so() -> None:
    facts = {**BIG, **settings(2048, 512), "setting.kv_offload": False, "engine.name": "llama.cpp"}
    plan = run(facts, device=devices({"name": "CUDA0", "free": 8 * GIB})).plan
    assert plan.devices[0].part("kv") == 0 and plan.host.part("kv") == 256 * MIB


def test_a_cache_that_could_only_be_allocated_in_part() -> None:
    found = run(
        {**BIG, **settings(2048, 512), "engine.name": "llama.cpp"},
        device=devices({"name": "CUDA0", "free": GIB}, {"name": "CUDA1", "free": GIB}),
        buffer=buffers(("CUDA0", "weights", 450), ("CUDA1", "weights", 450), ("CUDA0", "kv", 128)),
    )
    assert found.plan.kv == Part("kv", 256 * MIB, "estimate")
    assert [device.part("kv") for device in found.plan.devices] == [128 * MIB, 128 * MIB]


def test_layouts_that_the_log_does_not_name_are_told_by_the_figure() -> None:
    deepseek = {
        "model.arch": "deepseek2", "model.layers": 61, "model.kv_lora_rank": 512, "model.embd_k_gqa": 576,
        "model.embd_v_gqa": 512, **settings(4096),
    }  # fmt: skip
    row, mib = 61 * 4096 * 2, 1 / MIB
    without_v = run(deepseek, buffer=buffers(("CUDA0", "kv", row * 576 * mib)))
    with_v = run(deepseek, buffer=buffers(("CUDA0", "kv", row * (576 + 512) * mib)))
    assert without_v.plan.kv_computed == row * 576 and with_v.plan.kv_computed == row * 1088
    assert without_v.problems == with_v.problems == []


def test_a_disagreement_is_told_and_the_arithmetic_not_used() -> None:
    found = run({**TINY, **settings(256)}, buffer=buffers(("CPU", "kv", 7.0)))
    assert len(found.problems) == 1 and str(7 * MIB) in found.problems[0]
    names = {derivation.name for derivation in found.derivations}
    assert "memory.kv" in names and "memory.kv_per_token" not in names


def test_need_and_missing() -> None:
    place = Place(
        "CUDA0", [Part("weights", 5, "log"), Part("mapped weights", 7, "log"), Part("kv", 3, "estimate")], free=6
    )
    assert (place.need, place.missing, place.headroom) == (8, 2, -2)
    assert Place("CUDA0").missing is None


def test_the_tightest_device_lacks_most() -> None:
    found = run(
        {**BIG, **settings(2048, 512), "engine.name": "llama.cpp"},
        device=devices({"name": "CUDA0", "free": GIB}, {"name": "CUDA1", "free": GIB // 4}, {"name": "CUDA2"}),
        buffer=buffers(("CUDA0", "weights", 450), ("CUDA1", "weights", 450)),
    )
    assert found.plan.tightest is not None and found.plan.tightest.name == "CUDA1"
