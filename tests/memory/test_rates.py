from __future__ import annotations

from typing import Any

import pytest

from .support import GB, GIB, MIB, buffers, devices, figures, files, run

V3 = {
    "engine.name": "llama.cpp", "model.arch": "deepseek2", "model.layers": 61, "model.embd": 7168,
    "model.vocab": 129280,
    "model.experts": 256, "model.experts_used": 8, "model.ff_expert": 2048, "model.layers_dense": 3,
    "model.params": 671.03e9,
}  # fmt: skip
Q8 = {**V3, "model.file_size": 713 * GB, "model.bpw": 8.5}
IQ1 = {
    **V3, "model.file_size": round(130.6 * GIB), "model.bpw": 1.67, "setting.override_tensor": "exps=CPU",
    "setting.ubatch": 512, "setting.context": 1024, "speed.generation": 1.5,
}  # fmt: skip
MAC = devices({"name": "Metal", "backend": "metal", "description": "Apple M3 Ultra", "total": 412 * GB})
ARC = devices({"name": "SYCL0", "backend": "sycl", "description": "Intel(R) Arc(TM) A770 Graphics", "free": 15 * GIB})
ON_CPU = buffers(
    ("CPU_Mapped", "weights", 46000.0), ("CPU_Mapped", "weights", 47000.0), ("CPU_Mapped", "weights", 40700.0),
    ("SYCL0", "weights", 10240.0),
)  # fmt: skip


def test_an_m3_ultra_reads_deepseek_v3_at_most_21_times_a_second() -> None:
    # 36.6B of the parameters are used a token, without the embedding: 38.9 GB at 8.5 bits
    known = figures(run(Q8, device=MAC, buffer=buffers(("Metal_Mapped", "weights", 713 * GB / MIB))))
    assert known["bandwidth"] == 819 and 20 < known["speed_bound"] < 22
    assert 38 * GB < known["token_bytes"] < 40 * GB
    assert "host_read_rate" not in known


def test_the_active_share_is_read_off_a_name() -> None:
    shard = "/m/deepseek-v3-0324-Q8_0-0000{}-of-00002.gguf"
    listing = files((shard.format(1), 400 * GB), (shard.format(2), 313 * GB))
    known = figures(run({"host.cpu_model": "Apple M3 Ultra"}, file=listing))
    assert known["speed_bound"] == round(819 / (713 * 37 / 671), 1)


def test_workers_have_their_own_memory() -> None:
    two = [*MAC, *devices({"name": "RPC[10.0.0.2:50052]", "free": 400 * GB})]
    assert "speed_bound" not in figures(run(Q8, device=two))


def test_experts_in_host_memory() -> None:
    known = figures(run(IQ1, device=ARC, buffer=ON_CPU))
    # the mapped buffers span the whole file; what the GPU holds needs no room in host memory
    assert known["host_resident"] == round(130.6 * GIB) - 10240 * MIB
    assert known["host_token_bytes"] < known["host_resident"] / 31
    assert known["host_read_rate"] == round(1.5 * known["host_token_bytes"] / GB, 2)
    assert 5 < known["host_read_rate"] < 7
    # a batch of 512 tokens meets all experts
    assert known["host_batch_bytes"] > 0.99 * known["host_resident"] - GIB


def test_experts_in_host_memory_show_in_the_buffers_too() -> None:
    told = {name: value for name, value in IQ1.items() if name != "setting.override_tensor"}
    told |= {"setting.layers_offloaded": 62, "setting.layers_total": 62}
    known = figures(run(told, device=ARC, buffer=ON_CPU))
    assert known["host_token_bytes"] == figures(run(IQ1, device=ARC, buffer=ON_CPU))["host_token_bytes"]


def test_experts_are_known_by_the_name_of_the_model() -> None:
    named = {name: value for name, value in IQ1.items() if not name.startswith("model.") or name == "model.file_size"}
    named["setting.model_path"] = "/m/DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf"
    known = figures(run(named, device=ARC, buffer=ON_CPU))
    assert known["host_read_rate"] == pytest.approx(1.5 * known["host_resident"] / 32 / GB, abs=0.02)


def test_a_mixture_of_unknown_make_gives_no_rate() -> None:
    unknown: dict[str, Any] = {
        "model.file_size": 100 * GIB,
        "setting.override_tensor": "exps=CPU",
        "speed.generation": 2.0,
    }
    known = figures(run(unknown, device=ARC, buffer=ON_CPU))
    assert "host_token_bytes" not in known and "host_read_rate" not in known


def test_a_dense_model_on_the_cpu_reads_all_of_it() -> None:
    known = figures(run({"model.file_size": 4 * GB, "speed.generation": 8.0}))
    assert known["host_resident"] == known["token_bytes"] == 4 * GB
    assert known["host_read_rate"] == 32


def test_a_model_on_the_gpu_has_no_share_in_host_memory() -> None:
    known = figures(run({"engine.name": "vllm", "model.file_size": 16 * GIB, "speed.generation": 40.0}))
    assert "host_resident" not in known and "host_read_rate" not in known


def test_data_parallel_ranks_hold_copies_of_which_a_token_reads_one() -> None:
    ranks = buffers(*((f"DP{copy}_TP{rank}", "weights", 8.0 * 1024) for copy in range(2) for rank in range(2)))
    known = figures(run({"engine.name": "vllm"}, buffer=ranks))
    assert (known["weights"], known["token_bytes"]) == (32 * GIB, 16 * GIB)
