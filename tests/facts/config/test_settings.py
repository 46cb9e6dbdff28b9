from __future__ import annotations

from typing import Any

import pytest

from doctor.facts.config.argv import parse_command, settings_of
from doctor.vocabulary.dialect import Option
from doctor.vocabulary.facts import Layer, Origin

OPTIONS = [
    Option(setting="setting.model_path", flags=["-m", "--model", "serve"], env=["LLAMA_ARG_MODEL"]),
    Option(
        setting="setting.context",
        flags=["-c", "--ctx-size", "--max-model-len"],
        env=["LLAMA_ARG_CTX_SIZE"],
        type="int",
        default=4096,
    ),
    Option(setting="setting.gpu_layers", flags=["-ngl"], type="int"),
    Option(setting="setting.mmap", flags=["--no-mmap"], type="switch_off", default=True),
    Option(setting="setting.mmap", flags=["--mmap"], type="switch_on"),
    Option(setting="setting.mlock", flags=["--mlock"], type="switch_on"),
    Option(setting="setting.rpc", flags=["--rpc"], type="list"),
    Option(setting="setting.cache_ram", flags=["--cache-ram"], type="MiB"),
    Option(setting="setting.reserve", flags=["--reserve"], type="size"),
    Option(setting="setting.memory_fraction", flags=["--gpu-memory-utilization"], type="float"),
    Option(setting="setting.trust_remote_code", flags=["--trust-remote-code"], type="bool"),
    Option(setting="setting.api_key", flags=["--api-key"], env=["LLAMA_API_KEY"], type="bool"),
    Option(setting="setting.flash_attention", flags=["-fa", "--flash-attn"], type="str"),
    Option(setting="setting.flash_attention", flags=["-fa", "--flash-attn"], type="switch_on"),
    Option(setting="setting.kv_offload", flags=["-nkvo"], type="switch_off", env=["LLAMA_ARG_NO_KV_OFFLOAD"]),
]


def read(line: str) -> tuple[dict[str, Any], list[str], set[str]]:
    command = parse_command(line)
    assert command is not None
    facts, unknown, absent = settings_of(command, OPTIONS, Origin("run.sh", 3))
    return {fact.name.removeprefix("setting."): fact.value for fact in facts}, unknown, absent


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ("-c 8192", {"context": 8192}),
        ("--ctx-size=8192", {"context": 8192}),
        ("--ctx_size 8192 -c 1024", {"context": 1024}),
        ("--max-model-len 32k", {"context": 32000}),
        ("--max-model-len 32K", {"context": 32768}),
        ("-ngl -1", {"gpu_layers": -1}),
        ("-ngl all", {"gpu_layers": "all"}),
        ("--no-mmap", {"mmap": False}),
        ("--no-mmap --mmap", {"mmap": True}),
        ("--no-mlock", {"mlock": False}),
        ("--rpc a:1,b:2 --rpc c:3", {"rpc": ["a:1", "b:2", "c:3"]}),
        ("--cache-ram 2048", {"cache_ram": 2048 * 1024**2}),
        ("--reserve 2GiB", {"reserve": 2 * 1024**3}),
        ("--gpu-memory-utilization 0.9", {"memory_fraction": 0.9}),
        ("--api-key sk-secret", {"api_key": True}),
        ("serve --api-key sk-secret Qwen/Q", {"api_key": True, "model_path": "Qwen/Q"}),
        ("serve --api-key=sk-secret -m x", {"api_key": True, "model_path": "x"}),
        ("-fa", {"flash_attention": "on"}),
        ("-fa on -c 1", {"flash_attention": "on", "context": 1}),
        ("-fa auto", {"flash_attention": "auto"}),
        ("-fa 0", {"flash_attention": "0"}),
        ("serve Qwen/Q --trust-remote-code", {"model_path": "Qwen/Q", "trust_remote_code": True}),
        ("serve --trust-remote-code Qwen/Q", {"model_path": "Qwen/Q", "trust_remote_code": True}),
        ("--trust-remote-code false", {"trust_remote_code": False}),
        ("--no-trust-remote-code", {"trust_remote_code": False}),
    ],
)
def test_flags(arguments: str, settings: dict[str, Any]) -> None:
    found, unknown, _ = read(f"./llama-server {arguments}")
    assert (found, unknown) == (settings, [])


def test_unknown_flags_and_known_absence() -> None:
    found, unknown, absent = read("llama-server -m x --made-up 3 -c 1 --other")
    assert found == {"model_path": "x", "context": 1}
    assert unknown == ["--made-up", "--other"]
    assert "setting.rpc" in absent  # has a flag, no default, and is not there
    assert not absent & {"setting.context", "setting.model_path", "setting.mmap"}


def test_layers_and_origins() -> None:
    command = parse_command("LLAMA_ARG_CTX_SIZE=2048 LLAMA_API_KEY=abc LLAMA_ARG_NO_KV_OFFLOAD=0 llama-server -c 1024")
    assert command is not None
    facts, _, absent = settings_of(command, OPTIONS, Origin("run.sh", 3))
    found = [(fact.name, fact.value, fact.origin) for fact in facts]
    assert found == [
        ("setting.context", 2048, Origin("run.sh", 3, Layer.ENVIRONMENT)),
        ("setting.api_key", True, Origin("run.sh", 3, Layer.ENVIRONMENT)),
        ("setting.context", 1024, Origin("run.sh", 3, Layer.COMMAND_LINE)),
    ]
    assert "setting.api_key" not in absent
    assert "setting.kv_offload" in absent


@pytest.mark.parametrize(
    ("line", "numactl", "taskset"),
    [
        ("numactl --interleave=all ./llama-server", "--interleave=all", None),
        ("sudo numactl -N 0 -m 0 env A=1 python3 -m vllm.entrypoints.openai.api_server", "-N 0 -m 0", None),
        ("taskset -c 0-3 numactl -i all ./llama-server", "-i all", "-c 0-3"),
        ("docker run img numactl -m 1 ./llama-server", "-m 1", None),
    ],
)
def test_placement_in_front_of_the_program(line: str, numactl: str, taskset: str | None) -> None:
    found, _, _ = read(line)
    assert (found.get("numactl"), found.get("taskset")) == (numactl, taskset)
