from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from doctor.cli.plan import command
from doctor.errors import UsageProblem
from doctor.model.document import Model
from doctor.planning.document import PlanDocument, json_schema
from doctor.planning.plan import plan
from doctor.planning.request import plan_request, settings_from_command
from doctor.report.page import Page
from doctor.report.plan import print_plan
from tests.model.support import LLAMA, header, llama_70b, put, tensor
from tests.planning.support import GIB, machine, model


def planned(name: str, target: Any, line: str = "llama-server -c 8192 -np 1") -> PlanDocument:
    engine, settings, unknown = settings_from_command(line)
    assert not unknown
    found = plan(model(name), settings, target, engine)
    jsonschema.validate(found.to_dict(), json_schema())
    return found


def text(document: PlanDocument) -> str:
    out = io.StringIO()
    print_plan(document, Page(out))
    return out.getvalue()


def test_what_fits_says_how_much_is_left_where() -> None:
    found = planned("llama-8b", machine(24))
    assert found.verdict == "fits"
    assert found.places[0].left and found.places[0].left > 20 * GIB
    assert sum(found.places[0].weights.values()) + sum(found.places[1].weights.values()) == found.model["weights"]
    assert found.flags == ["-c", "8192", "-np", "1", "-ngl", "99"]


def test_what_does_not_fit_names_the_place_the_lack_and_a_change() -> None:
    found = planned("llama-mha", machine(1.5, ram=32), "llama-server -c 16384 -np 1 -ngl 99")
    assert found.verdict == "does_not_fit"
    assert "GPU0 lacks" in found.summary
    assert found.options[0].fits
    for option in found.options:
        if option.flags and option.what != "quant":
            again = planned("llama-mha", machine(1.5, ram=32), " ".join(["llama-server", *option.flags]))
            assert (again.verdict == "fits") is option.fits, option.text


def test_the_layers_are_chosen_where_the_user_leaves_it_open() -> None:
    found = planned("llama-mha", machine(1.5), "llama-server -c 16384 -np 1")
    assert found.verdict == "fits"
    assert 0 < found.settings["setting.gpu_layers"] < 5


def test_the_experts_of_a_mixture_leave_the_device_first() -> None:
    found = planned("qwen3moe-30b", machine(0.9), "llama-server -c 4096 -np 1")
    assert found.verdict == "fits"
    assert found.settings["setting.gpu_layers"] == 3
    assert found.settings["setting.n_cpu_moe"] == 1


def test_without_a_context_the_largest_that_fits_is_taken() -> None:
    found = planned("llama-mha", machine(3), "llama-server -np 1")
    assert found.verdict == "fits"
    assert found.settings["setting.context"] < 131072
    assert any("No context" in note for note in found.notes)
    more = f"llama-server -np 1 -ngl 99 -c {found.settings['setting.context'] + 256}"
    assert planned("llama-mha", machine(3), more).verdict == "does_not_fit"


def test_a_server_without_parallel_has_four_slots_in_one_pool() -> None:
    found = planned("llama-8b", machine(24), "llama-server -c 8192")
    assert (found.settings["setting.slots"], found.settings["setting.kv_unified"]) == (4, True)
    assert found.flags[:5] == ["-c", "8192", "-np", "4", "-kvu"]


def test_nothing_is_said_to_fit_where_no_memory_is_known() -> None:
    found = planned("llama-8b", replace(machine(), ram=None))
    assert found.verdict == "unknown"


def test_a_cache_that_cannot_be_computed_is_not_guessed() -> None:
    known = model("llama-8b")
    odd = Model(known.path, known.source, {**known.facts, "model.arch": "minimax-m3"}, known.tensors)
    found = plan(odd, {}, machine(24))
    assert found.verdict == "unknown"
    assert "further caches" in found.problems[0]
    assert "further caches" in text(found)


def test_a_bound_of_speed_counts_experts_in_use_and_every_place() -> None:
    target = replace(machine(24), bandwidth=1e11)
    dense, mixture = planned("llama-8b", target), planned("qwen3moe-30b", target)
    assert dense.speed.bound and mixture.speed.bound
    assert dense.speed.token_bytes == pytest.approx(750 * 1024**2, rel=0.01)  # without the embedding
    assert mixture.speed.token_bytes < 0.4 * mixture.model["weights"]
    half = planned("llama-8b", target, "llama-server -c 8192 -np 1 -ngl 3")
    assert half.speed.bound and half.speed.bound < dense.speed.bound
    assert planned("llama-8b", machine(24), "llama-server -c 8192 -ngl 0").speed.bound is None


def test_a_projector_and_a_draft_model_lie_beside_it() -> None:
    settings = {"setting.context": 8192, "setting.slots": 1}
    beside = {"projector": model("llama-tied"), "draft": model("llama-tied")}
    parts = {part.kind: part.bytes for part in plan(model("llama-8b"), settings, machine(24), **beside).places[0].parts}
    alone = plan(model("llama-tied"), settings, machine(24)).places[0]
    assert parts["vision"] == model("llama-tied").weights
    assert parts["draft"] == alone.need


def test_copies_a_numa_node_are_counted() -> None:
    """ktransformers with USE_NUMA keeps the experts once a node."""
    target = replace(machine(24, ram=64), numa_nodes=2)
    settings = {"setting.context": 4096, "setting.slots": 1}
    once = plan(model("qwen3moe-30b"), settings, target, "ktransformers").places[-1]
    twice = plan(model("qwen3moe-30b"), settings | {"env.USE_NUMA": "1"}, target, "ktransformers").places[-1]
    kinds = [{part.kind: part.bytes for part in place.parts} for place in (once, twice)]
    assert kinds[1]["weights"] == 2 * kinds[0]["weights"]
    small = replace(target, ram=1 << 30)
    tight = plan(model("qwen3moe-30b"), settings | {"env.USE_NUMA": "1"}, small, "ktransformers")
    assert tight.flags == []
    assert {option.what for option in tight.options} <= {"quant"}


def test_where_nothing_helps_the_sums_are_named() -> None:
    found = planned("llama-mha", machine(0.2, ram=0.2), "llama-server -c 4096 -np 1")
    assert found.verdict == "does_not_fit"
    assert "are wanted in all" in found.summary


def test_numbers_alone_are_enough_for_a_plan(tmp_path: Path) -> None:
    from doctor.model.read import read_model

    known = read_model(put(tmp_path, llama_70b().encode(), "m.yaml"))
    found = plan(known, {"setting.context": 8192, "setting.slots": 1}, machine(24, 24))
    assert found.verdict == "fits"
    assert sum(sum(place.weights.values()) for place in found.places) == known.weights
    assert plan(known, {"setting.context": 8192}, machine(24)).settings["setting.gpu_layers"] < 81


def test_the_page_shows_every_part_and_fits_its_width() -> None:
    found = planned("gemma3-12b", machine(4, 4), "llama-server -c 16384 -np 1")
    shown = text(found)
    for words in (
        "weights",
        "KV cache",
        "compute buffer ~",
        "kept free",
        "Counted with",
        "What else fits",
        "no forecast",
    ):
        assert words in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def run(*arguments: str) -> Any:
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


def test_the_command_line(tmp_path: Path) -> None:
    content = header(LLAMA, [tensor("token_embd.weight", (256, 3), kind=1)])
    path = put(tmp_path, content + b"\0" * 4096)
    done = run(str(path), "--target", "2x-rtx-4090", "--format", "json", "--command", "llama-server -c 512")
    assert done.return_value == 0
    assert json.loads(done.stdout)["verdict"] == "fits"
    named = run("--command", f"llama-server -m {path} --no-such-flag 3", "--target", "2x-rtx-4090")
    assert "no-such-flag" in named.stdout
    assert "2x-rtx-4090" in run("--list-targets").stdout
    assert isinstance(run(str(tmp_path / "none.gguf")).exception, UsageProblem)
    assert isinstance(run().exception, UsageProblem)


RANKS = "vllm serve x --max-model-len 32768"


def test_vllm_gets_a_share_of_each_card() -> None:
    found = planned("llama-8b-f16", machine(80, 80, backend="cuda"), f"{RANKS} -tp 2 --gpu-memory-utilization 0.8")
    assert found.verdict == "fits"
    place = found.places[0]
    assert sum(part.bytes for part in place.parts) == pytest.approx(0.8 * 80 * GIB, abs=2)
    each = 2 * 2 * 8 * 128 * 2 / 2  # layers, K and V, heads, head size, bytes, ranks
    kv = next(part.bytes for part in place.parts if part.kind == "kv")
    assert f"{int(kv / each) // 16 * 16} tokens" in found.summary


def test_weights_that_vllm_offloads_lie_in_host_memory() -> None:
    line = f"{RANKS} -tp 2 --gpu-memory-utilization 0.8"
    plain = planned("llama-8b-f16", machine(80, 80, backend="cuda"), line)
    less = planned("llama-8b-f16", machine(80, 80, backend="cuda"), f"{line} --cpu-offload-gb 0.01")
    offloaded = round(0.01 * GIB)
    of_rank = {
        kind: [part.bytes for part in plan.places[0].parts if part.kind == "weights"]
        for kind, plan in (("plain", plain), ("less", less))
    }
    assert of_rank["plain"][0] - of_rank["less"][0] == pytest.approx(offloaded, abs=1)
    host = less.places[-1]
    assert (host.name, host.need) == ("host", pytest.approx(2 * offloaded, abs=2))
    assert "--cpu-offload-gb 0.01" in " ".join(less.flags)
    assert plain.places[-1].name != "host"


def test_vllm_that_does_not_fit_says_why() -> None:
    small = planned("llama-8b-f16", machine(2, backend="cuda"), RANKS)
    assert small.verdict == "does_not_fit"
    assert "KV cache holds" in small.summary
    held = machine(24, backend="cuda")
    held = replace(held, devices=tuple(replace(device, free=10 * GIB) for device in held.devices))
    assert "more than is free" in planned("llama-8b-f16", held, RANKS).summary
    assert "2 devices" in planned("llama-8b-f16", machine(24), f"{RANKS} -tp 2").summary
    with pytest.raises(UsageProblem, match="can't be split over 3"):
        planned("llama-8b-f16", machine(24, 24, 24), f"{RANKS} -tp 3")


def test_sglang_has_flags_of_its_own() -> None:
    line = "python -m sglang.launch_server --model-path x --context-length 8192 --mem-fraction-static 0.7 --tp 2"
    found = planned("llama-8b-f16", machine(24, 24, backend="cuda"), line)
    assert found.engine == "sglang"
    assert (found.settings["setting.context"], found.settings["setting.tensor_parallel"]) == (8192, 2)
    assert "--mem-fraction-static" in found.flags


def hosts(folder: Path) -> list[str]:
    for name, count in (("desk", 1), ("attic", 2)):
        card = f"devices: [{{name: NVIDIA GeForce RTX 4090, memory: 24564 MiB, count: {count}}}]"
        (folder / f"{name}.yaml").write_text(f"name: {name}\nram: 64 GiB\n{card}\n")
    (folder / "m.yaml").write_text(llama_70b())
    return [str(folder / "desk.yaml"), str(folder / "attic.yaml")]


def test_the_devices_of_several_hosts_count_each_with_its_host(tmp_path: Path) -> None:
    targets, line = hosts(tmp_path), "llama-server -c 8192 -np 1 --rpc 10.0.0.2:50052"
    found = plan_request(tmp_path / "m.yaml", command=line, target=targets)
    assert [(place.name, place.description) for place in found.places] == [
        ("RPC[10.0.0.2:50052]", "attic: NVIDIA GeForce RTX 4090"),
        ("RPC[10.0.0.2:50052]#1", "attic: NVIDIA GeForce RTX 4090"),
        ("CUDA0", "desk: NVIDIA GeForce RTX 4090"),
        ("host", "desk"),
    ]
    assert found.verdict == "fits"
    assert plan_request(tmp_path / "m.yaml", command=f"{line} -ngl 99", target=targets[0]).verdict == "does_not_fit"
    assert found.flags[-2:] == ["--rpc", "10.0.0.2:50052"]
    assert found.target["name"] == "desk + attic"
    assert "attic: NVIDIA" in text(found)


def test_further_hosts_are_rpc_workers_where_the_command_names_none(tmp_path: Path) -> None:
    found = plan_request(tmp_path / "m.yaml", target=hosts(tmp_path))
    assert found.verdict == "fits"
    assert found.flags[-2:] == ["--rpc", "attic:50052"]
    assert any("taken as RPC workers" in note for note in found.notes)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("llama-server --rpc 10.0.0.2:50052,10.0.0.3:50052", "Nothing is known of the workers 10.0.0.3:50052"),
        ("vllm serve m --max-model-len 4096", "attic is not used"),
    ],
)
def test_hosts_and_workers_that_have_no_match_are_told(tmp_path: Path, line: str, words: str) -> None:
    found = plan_request(tmp_path / "m.yaml", command=line, target=hosts(tmp_path))
    assert any(words in note for note in found.notes)


def test_ranks_take_the_cards_of_the_next_host(tmp_path: Path) -> None:
    line = "vllm serve m -pp 3 --max-model-len 4096"
    found = plan_request(tmp_path / "m.yaml", command=line, target=hosts(tmp_path))
    assert [place.name for place in found.places] == ["CUDA0", "attic CUDA0", "attic CUDA1"]


def test_the_command_takes_a_target_once_a_host(tmp_path: Path) -> None:
    given = [word for target in hosts(tmp_path) for word in ("--target", target)]
    done = CliRunner().invoke(command, [str(tmp_path / "m.yaml"), *given, "--format", "json"], standalone_mode=False)
    assert done.return_value == 0
    assert json.loads(done.output)["target"]["name"] == "desk + attic"


def test_what_is_on_the_devices_already_is_no_option(tmp_path: Path) -> None:
    line = "llama-server -c 8192 -np 1 --rpc 10.0.0.2:50052 -ngl 99"
    found = plan_request(tmp_path / "m.yaml", command=line, target=hosts(tmp_path))
    assert found.verdict == "fits"
    assert not {option.what for option in found.options} & {"gpu_layers", "quant"}


def test_a_workers_driver_takes_memory_too(tmp_path: Path) -> None:
    line = "llama-server -c 8192 -np 1 --rpc 10.0.0.2:50052 -ngl 99"
    found = plan_request(tmp_path / "m.yaml", command=line, target=hosts(tmp_path))
    for place in found.places[:3]:
        assert (place.held, [part.bytes for part in place.parts if part.kind == "runtime"]) == (0, [500 * 1024**2])
