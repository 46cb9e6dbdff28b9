"""Remedies as changes of real files: patched, read again, and compared with what was wanted."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts.config.deployments import read_deployments, settings_in
from doctor.facts.config.places import Text
from doctor.facts.options import KnownOption
from doctor.remedy.deployment import Deployment, is_diff
from tests.facts.config.support import PROGRAMS

OPTIONS = [
    KnownOption("setting.model_path", ["-m", "--model"], ["LLAMA_ARG_MODEL"]),
    KnownOption("setting.context", ["-c", "--ctx-size", "--max-model-len"], ["LLAMA_ARG_CTX_SIZE"], "int"),
    KnownOption("setting.flash_attention", ["-fa", "--flash-attn"], ["LLAMA_ARG_FLASH_ATTN"]),
    KnownOption("setting.flash_attention", ["-fa", "--flash-attn"], ["LLAMA_ARG_FLASH_ATTN"], "switch_on"),
    KnownOption("setting.mmap", ["--mmap"], type="switch_on"),
    KnownOption("setting.mmap", ["--no-mmap"], type="switch_off"),
    KnownOption("setting.tensor_parallel", ["-tp", "--tensor-parallel-size"], type="int"),
]


def deployment(files: dict[str, str], index: int = 0) -> Deployment:
    texts = [Text(path, dedent(text)) for path, text in files.items()]
    declared = read_deployments(texts, PROGRAMS)
    workload = declared.workloads[index] if declared.workloads else None
    loose = [file.path for file in declared.loose]
    return Deployment((), workload, declared.files, loose, OPTIONS, PROGRAMS)


def on_line(*words: str) -> Deployment:
    return Deployment(words, None, {}, (), OPTIONS, PROGRAMS)


def changes(before: Deployment, *actions: dict[str, Any]) -> list[str]:
    """The lines that go and come."""
    difference = before.diff(before.apply(actions))
    lines = (difference or "").splitlines()
    return [line for line in lines if line[:1] in {"+", "-"} and not line.startswith(("--- ", "+++ "))]


def state(deployed: Deployment) -> dict[str, Any]:
    if deployed.workload is None:
        return {}
    facts, _ = settings_in(deployed.workload, OPTIONS)
    return {fact.name: fact.value for fact in facts}


def flag(name: str, value: str | None = None) -> dict[str, Any]:
    return {"kind": "set_flag", "flag": name, "value": value}


def no_flag(name: str) -> dict[str, Any]:
    return {"kind": "remove_flag", "flag": name}


def env(name: str, value: str) -> dict[str, Any]:
    return {"kind": "set_env", "variable": name, "value": value}


def no_env(name: str) -> dict[str, Any]:
    return {"kind": "unset_env", "variable": name}


def size(resource: str, to: int) -> dict[str, Any]:
    return {"kind": "resize", "resource": resource, "to": to}


FOLDED = {
    "docker-compose.yml": """\
        # the server
        services:
          llm:
            image: ghcr.io/ggml-org/llama.cpp:server-cuda   # pinned later
            command: >
              -m /m.gguf -c 65536
              -ctv q8_0
            environment:
              - GGML_CUDA_ENABLE_UNIFIED_MEMORY=1  # why not
              - "LLAMA_ARG_FLASH_ATTN=off"
            mem_limit: 16g
          web:
            image: ghcr.io/open-webui/open-webui
        """
}
BLOCK = {
    "docker-compose.yml": """\
        services:
          v:
            image: vllm/vllm-openai:v0.8.5
            command:
              - --model
              - 'x/y'   # the model
              - --max-model-len
              - "32768"
            environment:
              A: 1
              B: "two"
        """
}
FLOW = {
    "compose.yaml": """\
        services:
          v: {image: vllm/vllm-openai, command: ["--model", "x/y", "--max-model-len", "32768"], environment: {A: 1}}
        """
}
POD = {
    "pod.yaml": """\
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: llm}
        spec:
          template:
            spec:
              containers:
              - name: vllm
                image: vllm/vllm-openai:v0.8.5
                args: ["--model", "x/y", "--max-model-len", "32768"]
                env:
                - name: HF_HUB_OFFLINE
                  value: "1"
                resources:
                  limits:
                    memory: 64Gi
              # sidecars come here
              volumes:
              - name: models
                persistentVolumeClaim: {claimName: models}
        """
}
UNIT = {
    "llm.service": """\
        [Unit]
        Description=LLM
        [Service]
        Environment="CUDA_VISIBLE_DEVICES=0,1" A=1
        Environment=B=2
        ExecStart=/usr/bin/numactl -m 0 /usr/bin/llama-server \\
            -m /m.gguf \\
            --no-mmap \\
            -c 8192
        MemoryMax=48G
        """
}
SCRIPT = {
    "run.sh": """\
        #!/bin/sh
        CTX=65536  # tokens
        export A="1"
        exec ./llama-server -m /m.gguf --no-mmap \\
            -c "$CTX" >>log 2>&1
        """
}
DOCKER = {
    "start.sh": """\
        docker run -d --gpus all -m 16g \\
          -e A="x y" -e B=1 \\
          vllm/vllm-openai:v0.8.5 --model x/y --max-model-len 32768
        """
}
ENVIRONMENT = {"/etc/default/gpustack": "# keep\nexport GGML_METAL_NO_RESIDENCY=1\nA='b'\n"}
GIB = 1024**3

MEMLOCK = {"kind": "host_setting", "name": "RLIMIT_MEMLOCK", "value": "unlimited"}
GPUS = [
    (4, "deploy:"),
    (6, "resources:"),
    (8, "reservations:"),
    (10, "devices:"),
    (12, "- driver: nvidia"),
    (14, "count: all"),
    (14, "capabilities: [gpu]"),
]

CASES = [
    (FOLDED, [flag("-c", "8192")], ["-      -m /m.gguf -c 65536", "+      -m /m.gguf -c 8192"]),
    (FOLDED, [flag("--no-mmap")], ["-      -ctv q8_0", "+      -ctv q8_0 --no-mmap"]),
    (FOLDED, [no_flag("--ctx-size")], ["-      -m /m.gguf -c 65536", "+      -m /m.gguf"]),
    (FOLDED, [flag("-fa", "on")], ['-      - "LLAMA_ARG_FLASH_ATTN=off"', '+      - "LLAMA_ARG_FLASH_ATTN=on"']),
    (FOLDED, [env("C", "3")], ["+      - C=3"]),
    (
        FOLDED,
        [no_env("GGML_CUDA_ENABLE_UNIFIED_MEMORY")],
        ["-      - GGML_CUDA_ENABLE_UNIFIED_MEMORY=1  # why not"],
    ),
    (FOLDED, [size("container memory limit", 24 * GIB)], ["-    mem_limit: 16g", "+    mem_limit: 24gb"]),
    (FOLDED, [size("/dev/shm", 10 * GIB)], ["+    shm_size: 10gb"]),
    (BLOCK, [flag("--max-model-len", "8192")], ['-      - "32768"', '+      - "8192"']),
    (BLOCK, [flag("-tp", "2")], ['+      - "-tp"', '+      - "2"']),
    (BLOCK, [no_flag("--max-model-len")], ["-      - --max-model-len", '-      - "32768"']),
    (BLOCK, [env("A", "0"), env("C", "x: y")], ["-      A: 1", "+      A: 0", '+      C: "x: y"']),
    (BLOCK, [no_env("B")], ['-      B: "two"']),
    (
        FLOW,
        [flag("-tp", "2"), env("A", "2"), env("B", "x"), no_flag("--max-model-len"), size("/dev/shm", GIB)],
        [
            '-  v: {image: vllm/vllm-openai, command: ["--model", "x/y", "--max-model-len", "32768"], '
            "environment: {A: 1}}",
            '+  v: {image: vllm/vllm-openai, command: ["--model", "x/y", "-tp", "2"], '
            "environment: {A: 2, B: x}, shm_size: 1gb}",
        ],
    ),
    (
        POD,
        [flag("-tp", "2")],
        [
            '-        args: ["--model", "x/y", "--max-model-len", "32768"]',
            '+        args: ["--model", "x/y", "--max-model-len", "32768", "-tp", "2"]',
        ],
    ),
    (POD, [env("HF_HUB_OFFLINE", "0")], ['-          value: "1"', '+          value: "0"']),
    (POD, [env("B", "8")], ["+        - name: B", '+          value: "8"']),
    (POD, [no_env("HF_HUB_OFFLINE")], ["-        env:", "-        - name: HF_HUB_OFFLINE", '-          value: "1"']),
    (POD, [size("container memory limit", 96 * GIB)], ["-            memory: 64Gi", "+            memory: 96Gi"]),
    (
        POD,
        [size("/dev/shm", 10 * GIB)],
        [
            "+        volumeMounts:",
            "+          - name: dshm",
            "+            mountPath: /dev/shm",
            "+      - name: dshm",
            "+        emptyDir:",
            "+          medium: Memory",
            "+          sizeLimit: 10Gi",
        ],
    ),
    (
        POD,
        [{"kind": "edit_config", "file": "pod specification", "key": "spec.enableServiceLinks", "value": "false"}],
        ["+      enableServiceLinks: false"],
    ),
    (UNIT, [flag("-c", "4096")], ["-    -c 8192", "+    -c 4096"]),
    (UNIT, [flag("-fa", "on")], ["-    -c 8192", "+    -c 8192 -fa on"]),
    (UNIT, [no_flag("--no-mmap")], ["-    --no-mmap \\"]),
    (UNIT, [flag("-m", "/n.gguf")], ["-    -m /m.gguf \\", "+    -m /n.gguf \\"]),
    (
        UNIT,
        [env("B", "x y"), no_env("A")],
        [
            '-Environment="CUDA_VISIBLE_DEVICES=0,1" A=1',
            "-Environment=B=2",
            '+Environment="CUDA_VISIBLE_DEVICES=0,1"',
            '+Environment="B=x y"',
        ],
    ),
    (UNIT, [no_env("B")], ["-Environment=B=2"]),
    (UNIT, [env("C", "x y")], ['+Environment="C=x y"']),
    (UNIT, [size("container memory limit", 96 * GIB)], ["-MemoryMax=48G", "+MemoryMax=96G"]),
    (SCRIPT, [flag("-c", "8192")], ["-CTX=65536  # tokens", "+CTX=8192  # tokens"]),
    (
        SCRIPT,
        [flag("-fa", "on")],
        ["-exec ./llama-server -m /m.gguf --no-mmap \\", "+exec ./llama-server -fa on -m /m.gguf --no-mmap \\"],
    ),
    (
        SCRIPT,
        [flag("--mmap")],
        ["-exec ./llama-server -m /m.gguf --no-mmap \\", "+exec ./llama-server --mmap -m /m.gguf \\"],
    ),
    (SCRIPT, [env("A", "2"), env("B", "3")], ['-export A="1"', '+export A="2"', "+export B=3"]),
    (SCRIPT, [no_env("A")], ['-export A="1"']),
    (
        DOCKER,
        [size("/dev/shm", 10 * GIB), size("container memory limit", 32 * GIB)],
        ["-docker run -d --gpus all -m 16g \\", "+docker run --shm-size=10g -d --gpus all -m 32g \\"],
    ),
    (DOCKER, [env("B", "2"), no_env("A")], ['-  -e A="x y" -e B=1 \\', "+  -e B=2 \\"]),
    (DOCKER, [env("A", "z z")], ['-  -e A="x y" -e B=1 \\', "+  -e A='z z' -e B=1 \\"]),
    (FOLDED, [flag("--ipc", "host")], ["+    ipc: host"]),
    (BLOCK, [flag("--gpus", "all")], [f"+{' ' * n}{text}" for n, text in GPUS]),
    (POD, [flag("--ipc", "host")], ["+      hostIPC: true"]),
    (
        DOCKER,
        [flag("--ipc", "host"), flag("--gpus", "2")],
        ["-docker run -d --gpus all -m 16g \\", "+docker run --ipc=host -d --gpus 2 -m 16g \\"],
    ),
    (FOLDED, [MEMLOCK], ["+    ulimits:", "+      memlock: -1"]),
    (UNIT, [MEMLOCK], ["+LimitMEMLOCK=infinity"]),
    (
        {"x.service": "[Service]\nExecStart=ollama serve\nLimitMEMLOCK=8M\n"},
        [MEMLOCK],
        ["-LimitMEMLOCK=8M", "+LimitMEMLOCK=infinity"],
    ),
    (
        DOCKER,
        [MEMLOCK],
        ["-docker run -d --gpus all -m 16g \\", "+docker run --ulimit memlock=-1 -d --gpus all -m 16g \\"],
    ),
    (
        ENVIRONMENT,
        [no_env("GGML_METAL_NO_RESIDENCY"), env("A", "c"), env("N", "1")],
        ["-export GGML_METAL_NO_RESIDENCY=1", "-A='b'", "+A='c'", "+N=1"],
    ),
]


@pytest.mark.parametrize(("files", "actions", "expected"), CASES, ids=range(len(CASES)))
def test_a_remedy_is_a_patch_of_the_file_where_the_value_stands(
    files: dict[str, str], actions: list[dict[str, Any]], expected: list[str], tmp_path: Path
) -> None:
    before = deployment(files)
    after = before.apply(actions)
    difference = before.diff(after)
    assert difference is not None
    assert is_diff(difference)
    assert changes(before, *actions) == expected
    assert patched(difference, before, tmp_path) == {path: file.text for path, file in after.files.items()}


def patched(difference: str, before: Deployment, folder: Path) -> dict[str, str]:
    """The files after ``patch`` has had the difference."""
    tool = shutil.which("patch")
    if tool is None:
        pytest.skip("needs patch")
    for path, file in before.files.items():
        (folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (folder / path.lstrip("/")).write_bytes(file.text.replace("\n", file.newline).encode())
    strip = "-p1" if any(path.startswith("/") for path in before.files) else "-p0"
    done = subprocess.run(
        [tool, "--binary", "--fuzz=0", strip],
        input=f"{difference}\n".encode(),
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return {
        path: (folder / path.lstrip("/")).read_bytes().decode().replace(file.newline, "\n")
        for path, file in before.files.items()
    }


@pytest.mark.parametrize(
    ("files", "actions", "changed"),
    [
        (FOLDED, [flag("-c", "8192")], {"setting.context": 8192}),
        (FOLDED, [flag("-fa", "on")], {"setting.flash_attention": "on", "env.LLAMA_ARG_FLASH_ATTN": "on"}),
        (FOLDED, [size("/dev/shm", 10 * GIB)], {"host.shm_size": 10 * GIB}),
        (POD, [size("/dev/shm", 10 * GIB)], {"host.shm_size": 10 * GIB}),
        (UNIT, [no_flag("--no-mmap")], {"setting.mmap": None}),
        (SCRIPT, [flag("--mmap")], {"setting.mmap": True}),
        (DOCKER, [env("B", "7")], {"env.B": "7"}),
    ],
)
def test_nothing_else_changes(files: dict[str, str], actions: list[dict[str, Any]], changed: dict[str, Any]) -> None:
    before = deployment(files)
    old, new = state(before), state(before.apply(actions))
    assert {name: new.get(name) for name in old | new if old.get(name) != new.get(name)} == changed


def test_a_value_in_the_dotenv_file_or_a_default_is_changed_there() -> None:
    compose = (
        "services:\n  a:\n    image: ghcr.io/ggml-org/llama.cpp:server\n    command: -c ${CTX:-1} -m ${M:-x.gguf}\n"
    )
    before = deployment({"docker-compose.yml": compose, ".env": "# mine\nCTX=2\n"})
    assert changes(before, flag("-c", "3")) == ["-CTX=2", "+CTX=3"]
    assert changes(before, flag("-m", "y.gguf")) == [
        "-    command: -c ${CTX:-1} -m ${M:-x.gguf}",
        "+    command: -c ${CTX:-1} -m ${M:-y.gguf}",
    ]


def test_an_image_without_arguments_gets_a_variable_or_a_command() -> None:
    llama = deployment({"compose.yml": "services:\n  a:\n    image: ghcr.io/ggml-org/llama.cpp:server\n"})
    assert changes(llama, flag("-c", "8192")) == ["+    environment:", '+      LLAMA_ARG_CTX_SIZE: "8192"']
    vllm = deployment({"compose.yml": "services:\n  a:\n    image: vllm/vllm-openai\n\n# end\n"})
    assert changes(vllm, flag("-tp", "2")) == ['+    command: ["-tp", "2"]']


def test_a_drop_in_of_a_unit_is_where_its_variable_is_changed() -> None:
    before = deployment(
        {
            "ollama.service": "[Service]\nExecStart=/usr/bin/ollama serve\nEnvironment=A=1\n",
            "ollama.service.d/override.conf": '[Service]\nEnvironment="OLLAMA_NUM_PARALLEL=4"\n',
        }
    )
    difference = before.diff(before.apply([env("OLLAMA_NUM_PARALLEL", "1")]))
    assert difference is not None
    assert difference.startswith("--- ollama.service.d/override.conf\n")
    assert '+Environment="OLLAMA_NUM_PARALLEL=1"' in difference


@pytest.mark.parametrize(
    ("files", "action"),
    [
        ({"run.sh": 'llama-server $(cat args) "$@"\n'}, no_env("A")),
        (FOLDED, flag("-m", "/my models/x.gguf")),  # would need quotes inside of a folded text
        (FOLDED, size("ram", GIB)),
        (UNIT, size("/dev/shm", GIB)),  # a unit has that of the machine
        (POD, {"kind": "edit_config", "file": "/etc/docker/daemon.json", "key": "exec-opts", "value": "x"}),
        (ENVIRONMENT, flag("-c", "1")),
        (UNIT, flag("--ipc", "host")),
        (UNIT, flag("-H", "10.0.0.1")),  # of the RPC worker, not of this server
    ],
)
def test_where_no_change_is_surely_right_there_is_no_diff(files: dict[str, str], action: dict[str, Any]) -> None:
    before = deployment(files)
    assert before.diff(before.apply([action])) is None


def test_half_a_remedy_is_not_shown() -> None:
    before = deployment(FOLDED)
    assert before.diff(before.apply([flag("-c", "1"), flag("-m", "/my models/x.gguf")])) is None


def test_a_secret_near_a_change_is_kept_out_of_the_diff(tmp_path: Path) -> None:
    text = "A=1\nHF_TOKEN=hf_abcdefghijklmnopqrstuvwx\nB=2\nC=3\n"
    before = deployment({"gpu.env": text})
    after = before.apply([env("C", "4")])
    difference = before.diff(after)
    assert difference is not None
    assert "hf_abc" not in difference
    assert patched(difference, before, tmp_path)["gpu.env"] == text.replace("C=3", "C=4")


def test_files_with_other_ends_of_lines_and_without_a_last_one(tmp_path: Path) -> None:
    for text in (Text("a.env", "A=1\nB=2\n", "\r\n"), Text("a.env", "A=1\nB=2")):
        before = Deployment((), None, {text.path: text}, [text.path], OPTIONS, PROGRAMS)
        difference = before.diff(before.apply([env("B", "3")]))
        assert difference is not None
        assert patched(difference, before, tmp_path)["a.env"] == text.text.replace("B=2", "B=3")


def test_a_flag_of_a_bare_command_line_replaces_its_other_spelling_in_place() -> None:
    before = on_line("llama-server", "-c", "65536", "-m", "m.gguf")
    after = before.apply([flag("--ctx-size", "8192")])
    assert after.words == ("llama-server", "--ctx-size", "8192", "-m", "m.gguf")
    assert before.diff(after) == "- llama-server -c 65536 -m m.gguf\n+ llama-server --ctx-size 8192 -m m.gguf"


@pytest.mark.parametrize(
    ("words", "action", "expected"),
    [
        (["llama-server", "--ctx-size=65536", "-v"], flag("-c", "512"), ["llama-server", "-c", "512", "-v"]),
        (["llama-server", "--no-mmap", "m.gguf"], no_flag("--no-mmap"), ["llama-server", "m.gguf"]),
        (["x", "--mmap"], no_flag("--no-mmap"), ["x", "--mmap"]),
        (["x", "-c", "-1", "-v"], no_flag("-c"), ["x", "-v"]),
        (["numactl", "-m", "0", "x", "-m", "a"], no_flag("-m"), ["numactl", "-m", "0", "x"]),
        (["x", "-fa", "-c", "1"], flag("-fa", "on"), ["x", "-fa", "on", "-c", "1"]),
        (["x"], flag("-c", "1"), ["x", "-c", "1"]),
    ],
)
def test_bare_command_lines(words: list[str], action: dict[str, Any], expected: list[str]) -> None:
    assert on_line(*words).apply([action]).words == tuple(expected)


def test_without_a_command_line_there_is_no_diff() -> None:
    before = on_line()
    assert before.diff(before.apply([flag("-c", "1")])) is None


ACTIONS = st.lists(
    st.one_of(
        st.sampled_from(
            [flag(name, value) for name in ("-c", "-fa", "-tp", "--new") for value in ("1", "a b", "x:y", "'")]
        ),
        st.sampled_from([flag("--no-mmap"), flag("--mmap"), no_flag("-c"), no_flag("-m"), no_flag("--no-mmap")]),
        st.sampled_from([env(name, value) for name in ("A", "B", "NEW") for value in ("1", "x y", "$Z", 'q"', "#")]),
        st.sampled_from([no_env("A"), no_env("B"), no_env("LLAMA_ARG_FLASH_ATTN"), no_env("HF_HUB_OFFLINE"), MEMLOCK]),
        st.sampled_from([size("/dev/shm", GIB), size("container memory limit", 3 * 1024**2), flag("--ipc", "host")]),
    ),
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([FOLDED, BLOCK, FLOW, POD, UNIT, SCRIPT, DOCKER, ENVIRONMENT]), ACTIONS)
def test_whatever_is_asked_what_is_shown_holds(files: dict[str, str], actions: list[dict[str, Any]]) -> None:
    before = deployment(files)
    after = before.apply(actions)
    if before.diff(after) is None:
        return
    last = {action.get("variable") or action.get("flag"): action for action in actions}
    variables = {} if after.workload is None else {each.name: each.value for each in after.workload.variables}
    for name, action in last.items():
        if action["kind"] == "set_env" and after.workload is not None:
            assert variables[name] == action["value"]
        elif (
            action["kind"] == "unset_env"
            and flag("-fa", variables.get(name, "")) not in actions[actions.index(action) :]
        ):
            assert name not in variables  # where no command line is left, a flag becomes its variable again
    declared = read_deployments(after.files.values(), PROGRAMS)
    assert declared.troubles == []
    assert len(declared.workloads) == len(read_deployments(before.files.values(), PROGRAMS).workloads)


def test_a_flag_whose_value_stands_in_a_variable_before_it_is_not_taken_out_by_halves() -> None:
    before = deployment(SCRIPT)
    assert before.diff(before.apply([{"kind": "remove_flag", "flag": "-c"}])) is None


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: llm}
spec:
  containers:
    - name: llm
      image: vllm/vllm-openai:v0.9.2
      args: ["--model", "x"]
"""


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ("", ["+      resources:", "+        limits:", "+          nvidia.com/gpu: 2"]),
        ("      resources:\n        limits:\n          memory: 16Gi  # ours\n", ["+          nvidia.com/gpu: 2"]),
    ],
)
def test_a_pod_asks_for_gpus(more: str, lines: list[str]) -> None:
    before = deployment({"pod.yaml": POD + more})
    assert changes(before, {"kind": "set_flag", "flag": "--gpus", "value": "2"}) == lines


def manifest(number: int, *, padding: int = 0) -> str:
    filler = "".join(f"    note-{i}: x\n" for i in range(padding))
    return f"""\
apiVersion: v1
kind: Pod
metadata:
  name: llm-{number}
  annotations:
    of: test
{filler}spec:
  containers:
    - name: vllm
      image: vllm/vllm-openai:v0.9.2
      args: [--model=/m/{number}]
      envFrom: [{{configMapRef: {{name: shared}}}}]
"""


def many(padding: int = 0) -> str:
    shared = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata:\n  VLLM_USE_V1: '1'\n"
    return "---\n".join([*(manifest(number, padding=padding) for number in range(5)), shared, manifest(5)])


def test_one_of_many_manifests_of_a_file_is_changed_and_the_others_stay() -> None:
    before = deployment({"all.yaml": many()}, index=3)
    after = before.apply([flag("--max-model-len", "4096"), env("VLLM_USE_V1", "0")])
    assert changes(before, flag("--max-model-len", "4096"), env("VLLM_USE_V1", "0")) == [
        "-      args: [--model=/m/3]",
        "+      args: [--model=/m/3, --max-model-len=4096]",
        "-  VLLM_USE_V1: '1'",
        "+  VLLM_USE_V1: '0'",
    ]
    assert after.workload is not None
    assert after.workload.words[-1].text == "--max-model-len=4096"
    assert after.files["all.yaml"].text.count("kind: Pod") == 6


def test_a_change_in_a_file_of_thousands_of_lines_is_shown_and_applies(tmp_path: Path) -> None:
    before = deployment({"all.yaml": many(padding=700)}, index=4)
    after = before.apply([flag("--max-model-len", "4096")])
    difference = before.diff(after)
    assert difference is not None
    assert patched(difference, before, tmp_path) == {"all.yaml": after.files["all.yaml"].text}


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=12), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_difference_is_what_the_whole_texts_give(old: list[str], new: list[str], ends: bool) -> None:
    if not old or not new:
        return
    one, other = ("\n".join(lines) + "\n" * ends for lines in (old, new))
    with tempfile.TemporaryDirectory() as folder:
        before = Deployment(files={"f": Text("f", one)})
        difference = before.diff(Deployment(files={"f": Text("f", other)}))
        if one == other:
            assert difference is None
        else:
            assert difference is not None
            assert patched(difference, before, Path(folder)) == {"f": other}
