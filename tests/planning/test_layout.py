from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.errors import UsageProblem
from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.planning.fits import Case
from doctor.planning.layout import pieces_of
from tests.planning.support import GIB, MIB, SPECS, case, machine, of_spec, settings


def weights(name: str, target: object, **given: object) -> list[int]:
    """MiB of weights by place, the host last."""
    one = case(name, target)  # type: ignore[arg-type]
    layout = one.layout(settings(one, **given))
    return [round(sum(found.values()) / MIB) for found in layout.weights]


def test_the_input_layer_stays_on_the_host_and_the_output_goes_first() -> None:
    everything = weights("llama-8b", machine(24), gpu_layers=99)
    assert everything == [750, 282]
    only_output = weights("llama-8b", machine(24), gpu_layers=1)
    assert only_output[0] == 282
    assert sum(everything) == sum(only_output) == sum(weights("llama-8b", machine(24), gpu_layers=0))


def test_a_tied_embedding_is_there_twice_once_the_output_is_on_a_device() -> None:
    on_device, on_host = (
        weights("llama-tied", machine(24), gpu_layers=99),
        weights("llama-tied", machine(), gpu_layers=0),
    )
    assert sum(on_device) - sum(on_host) == pytest.approx(266, abs=1)


def test_layers_are_split_by_free_memory_or_as_asked() -> None:
    one = case("gemma3-12b", machine(8, 24))
    assert one.layout(settings(one)).layer_place == [0] * 4 + [1] * 9
    assert one.layout(settings(one, tensor_split=["1", "0"])).layer_place == [0] * 13
    assert one.layout(settings(one, split_mode="none", main_gpu=1)).layer_place == [1] * 13


def test_rows_of_matrices_are_split_but_not_the_cache() -> None:
    one = case("llama-8b", machine(24, 24))
    layout = one.layout(settings(one, split_mode="row", tensor_split=["3", "1"]))
    first, second = (sum(found.values()) for found in layout.weights[:2])
    assert first / second == pytest.approx(3, rel=0.01)


def test_experts_can_stay_on_the_host_by_number_or_by_pattern() -> None:
    whole = weights("qwen3moe-30b", machine(24))
    one_layer = weights("qwen3moe-30b", machine(24), n_cpu_moe=1)
    both = weights("qwen3moe-30b", machine(24), override_tensor="exps=CPU")
    assert whole[0] - one_layer[0] == pytest.approx(324, abs=1)
    assert both == weights("qwen3moe-30b", machine(24), n_cpu_moe=99)
    assert weights("qwen3moe-30b", machine(24), override_tensor=r"blk\.0\..*exps=CPU") == one_layer


def test_figures_of_a_public_log() -> None:
    """llama.cpp's tools/fit-params/README.md: Qwen3-30B-A3B in 16 bits on an RTX 4090, all 48 layers but not the output
    (its build put that one last), experts of 34 layers on the host, 4096 tokens: 17904 MiB of weights, 384 of context,
    898 of compute buffer, which are the output matrix that was copied (593.5), the logits (296.75) and 8."""
    spec = replace(SPECS["qwen3moe-30b"], layers=48, type="F16")
    known = of_spec(spec)
    hyper = HyperParameters.from_facts(Values(known.resolve))
    one = Case(pieces_of(known.tensors, hyper), hyper, machine(24, backend="cuda"))
    device = one.layout(settings(one, gpu_layers=99, n_cpu_moe=34)).places[0]
    output = next(tensor.bytes for tensor in known.tensors if tensor.name == "output.weight")
    assert (device.part("weights") - output) / MIB == pytest.approx(17904, abs=1)
    assert device.part("kv") == 384 * MIB
    assert output / MIB + 8 + 296.75 == pytest.approx(898, abs=1)
    assert 2 * 384 < device.part("compute") / MIB < 898  # two matrices of experts are copied, the output is not


def test_a_pattern_that_cannot_be_used_is_named() -> None:
    with pytest.raises(UsageProblem, match="can't be used"):
        weights("llama-8b", machine(24), override_tensor="(=CPU")
    with pytest.raises(UsageProblem, match="can't be used"):
        weights("qwen3moe-30b", machine(24), override_tensor=r"^(?:[\w.]|[\w.][\w.]|[\w.]{3})*[^\w.]=CPU")


def test_the_cache_follows_its_layer_or_stays_on_the_host() -> None:
    one = case("llama-8b", machine(24))
    half = one.layout(settings(one, gpu_layers=3))
    assert half.places[0].part("kv") == half.host.part("kv") == 32 * MIB
    stays = one.layout(settings(one, gpu_layers=99, kv_offload=False))
    assert (stays.places[0].part("kv"), stays.host.part("kv")) == (0, 64 * MIB)


def test_weights_are_mapped_copied_locked_or_repacked() -> None:
    def host(target: object, **given: object) -> dict[str, int]:
        one = case("llama-8b", target)  # type: ignore[arg-type]
        return {part.kind: round(part.bytes / MIB) for part in one.layout(settings(one, **given)).host.parts}

    assert host(machine())["mapped weights"] == 1032
    assert host(machine(), mmap=False)["weights"] == 1032
    assert host(machine(), mlock=True)["weights"] == 1032
    avx2 = host(machine(cpu_flags=frozenset({"avx2"})))
    assert (avx2["mapped weights"], avx2["repack"]) == (282, 750)


def test_memory_that_is_shared_counts_on_the_host_too() -> None:
    one = case("llama-8b", machine(24))
    shared = replace(one.target, devices=tuple(replace(device, shared=True) for device in one.target.devices))
    layout = replace(one, target=shared).layout(settings(one, gpu_layers=99))
    assert layout.host.part("held by the GPU") == layout.places[0].need


def test_named_devices_only_are_used() -> None:
    one = case("llama-8b", machine(24, 24))
    assert [place.name for place in one.layout(settings(one, devices=["GPU1"])).places] == ["GPU1", "host"]
    assert [place.name for place in one.layout(settings(one, devices=["none"])).places] == ["host"]


def test_a_reserve_is_an_eighth_of_a_small_device_at_most() -> None:
    one = case("llama-8b", machine(24, 4))
    assert [place.reserve for place in one.layout(settings(one)).devices] == [GIB, GIB // 2]
    assert [place.reserve for place in one.layout(settings(one, reserve=0)).devices] == [0, 0]
