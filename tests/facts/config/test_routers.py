"""Files that list many models for one server: llama-swap's configuration, llama-server's presets."""

from __future__ import annotations

from doctor.facts.config.sniff import classify, form_of
from doctor.facts.options import KnownOption
from doctor.remedy.deployment import Deployment
from tests.facts.config.support import PROGRAMS, read_files, variables

SWAP = """\
healthCheckTimeout: 300
macros:
  base: llama-server --port ${PORT} -ngl 99
models:
  qwen:
    cmd: |
      # the big one
      ${base}
      -m /models/qwen.gguf -c 65536
    env: ["CUDA_VISIBLE_DEVICES=0"]
  "vl:7b":
    cmd: docker run --rm --gpus all vllm/vllm-openai:v0.9.2 --model x
  empty: {ttl: 3}
"""
PRESETS = """\
version = 1
; for all
[*]
c = 8192
n-gpu-layers = 8

[ggml-org/MY-MODEL-GGUF:Q8_0]
jinja = true
c = 4096
LLAMA_ARG_CACHE_RAM = 0
load-on-startup = true

[own]
model = /models/a b.gguf
mmap = false
what is this
"""
OPTIONS = [
    KnownOption("setting.context", flags=["-c", "--ctx-size"], type="int"),
    KnownOption("setting.slots", flags=["-np", "--parallel"], type="int"),
    KnownOption("setting.mmap", flags=["--no-mmap"], type="switch_off"),
]


def test_models_of_llama_swap() -> None:
    declared = read_files({"config.yaml": SWAP})
    qwen, vl = declared.workloads
    assert qwen.texts == ["llama-server", "--port", "${PORT}", "-ngl", "99", "-m", "/models/qwen.gguf", "-c", "65536"]
    assert (qwen.name, qwen.line, variables(qwen)) == ("model qwen", 5, {"CUDA_VISIBLE_DEVICES": "0"})
    assert qwen.words[-1].place is not None
    assert qwen.words[-1].place.line == 9
    assert (vl.names, vl.image) == (("vl:7b",), "vllm/vllm-openai:v0.9.2")
    assert [(trouble.line, trouble.message) for trouble in declared.troubles] == [(13, "the model empty has no cmd")]
    assert (classify("/config.yaml", SWAP.encode()), form_of("config.yaml", SWAP)) == ("config", "llama-swap")


def test_presets_of_llama_server() -> None:
    declared = read_files({"my.ini": PRESETS})
    first, own = declared.workloads
    assert first.texts == ["llama-server", "-c", "4096", "--n-gpu-layers", "8", "--jinja"]
    assert variables(first) == {"LLAMA_ARG_CACHE_RAM": "0"}
    assert own.texts == [
        "llama-server",
        "-c",
        "8192",
        "--n-gpu-layers",
        "8",
        "--model",
        "/models/a b.gguf",
        "--no-mmap",
    ]
    places = {word.text: word.place.line for word in own.words if word.place}
    assert (places["8192"], places["/models/a b.gguf"]) == (4, 14)
    assert [(trouble.line, trouble.message) for trouble in declared.troubles] == [
        (16, "neither [section] nor key = value")
    ]
    assert (classify("/my.ini", PRESETS.encode()), form_of("my.ini", PRESETS)) == ("config", "presets")
    assert classify("/php.ini", b"[PHP]\nengine = On\n") != "config"


def changed(files: dict[str, str], index: int = 0, **action: str) -> list[str]:
    declared = read_files(files)
    deployment = Deployment((), declared.workloads[index], declared.files, [], OPTIONS, PROGRAMS)
    diff = deployment.diff(deployment.apply([action])) or ""
    return [line for line in diff.split("\n") if line.startswith(("+", "-")) and line[:3] not in {"+++", "---"}]


def test_remedies_change_them_in_their_own_words() -> None:
    to = {"kind": "set_flag", "flag": "-c", "value": "2048"}
    assert changed({"config.yaml": SWAP}, **to) == [
        "-      -m /models/qwen.gguf -c 65536",
        "+      -m /models/qwen.gguf -c 2048",
    ]
    assert changed({"my.ini": PRESETS}, **to) == ["-c = 4096", "+c = 2048"]
    assert changed({"my.ini": PRESETS}, kind="set_flag", flag="-np", value="1") == ["+np = 1"]
    assert changed({"my.ini": PRESETS}, 1, kind="remove_flag", flag="--no-mmap") == ["-mmap = false"]
