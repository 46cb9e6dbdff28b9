from __future__ import annotations

import pytest

from tests.facts.config.support import limits, one, read_files, variables

GIB = 1024**3


def test_a_command_as_a_folded_string_with_a_variable_from_the_dotenv_file() -> None:
    workload = one(
        read_files(
            {
                "srv/docker-compose.yml": """\
                    services:
                      llm:
                        image: ghcr.io/ggml-org/llama.cpp:server-cuda
                        command: >
                          -m /models/m.gguf -c ${CTX:-65536}
                          --port ${PORT:-8080}
                    """,
                "srv/.env": "CTX=131072\n",
            }
        )
    )
    assert workload.texts == ["llama-server", "-m", "/models/m.gguf", "-c", "131072", "--port", "8080"]
    places = {word.text: word.place and (word.place.path, word.place.line) for word in workload.words}
    assert places["131072"] == ("srv/.env", 1)
    assert places["8080"] == ("srv/docker-compose.yml", 6)
    assert variables(workload) == {}  # the dotenv file beside the project reaches no container by itself


@pytest.mark.parametrize(
    "command",
    [
        'command: ["--model", "x/y", "--max-model-len", "8192"]',
        "command: --model x/y --max-model-len 8192",
        "command:\n          - --model\n          - 'x/y'\n          - --max-model-len\n          - \"8192\"",
        "entrypoint: vllm serve\n        command: --model x/y --max-model-len 8192",
        "entrypoint: []\n        command: sh -c 'ulimit -l 9; exec vllm serve --model x/y --max-model-len 8192'",
    ],
)
def test_commands_in_all_their_forms(command: str) -> None:
    text = f"services:\n    v:\n        image: vllm/vllm-openai:v0.8.5\n        {command}\n"
    parsed = one(read_files({"compose.yaml": text})).command()
    assert parsed is not None
    assert (parsed.program, parsed.value("--model"), parsed.value("--max-model-len")) == ("vllm", "x/y", "8192")


def test_a_doubled_dollar_is_none_of_compose() -> None:
    text = "services:\n  v:\n    image: vllm/vllm-openai\n    command: sh -c 'vllm serve $$MODEL'\n"
    assert one(read_files({"compose.yaml": text})).texts == ["vllm", "serve", "$MODEL"]


def test_variables_as_a_list_a_mapping_and_a_file_in_their_order() -> None:
    declared = read_files(
        {
            "docker-compose.yml": """\
                x-env: &env {A: "from anchor", C: 3}
                services:
                  a:
                    image: ollama/ollama
                    env_file: [gpu.env, {path: missing.env}]
                    environment:
                      <<: *env
                      B: "two"
                  b:
                    image: ollama/ollama
                    environment:
                      - A=1
                      - "B=x y"
                      - PASSED
                """,
            "gpu.env": "export A='file'\nD=\"4\" # four\n",
        }
    )
    first, second = declared.workloads
    assert variables(first) == {"A": "from anchor", "C": "3", "B": "two", "D": "4"}
    assert [(v.name, v.path, v.line) for v in first.variables if v.name in {"B", "D"}] == [
        ("D", "gpu.env", 2),
        ("B", "docker-compose.yml", 8),
    ]
    assert variables(second) == {"A": "1", "B": "x y"}
    assert [(t.line, t.message) for t in declared.troubles] == [
        (5, "env_file missing.env of service a is not among the input: its variables are not known")
    ]
    assert declared.loose == []


def test_limits() -> None:
    workload = one(
        read_files(
            {
                "docker-compose.yml": """\
                    x-small: &small
                      shm_size: "2gb"
                    services:
                      llm:
                        <<: *small
                        image: vllm/vllm-openai
                        ulimits:
                          memlock: {soft: -1, hard: -1}
                        mem_limit: 8g
                        deploy:
                          resources:
                            limits: {memory: 16G}
                            reservations:
                              devices:
                                - {driver: nvidia, count: 2, capabilities: [gpu]}
                    """
            }
        )
    )
    assert limits(workload) == {
        "host.cgroup_limit": (8 * GIB, 9),
        "host.memlock_limit": (-1, 8),
        "host.shm_size": (2 * GIB, 2),
        "setting.gpu_request": ("2", 15),
    }


@pytest.mark.parametrize(("more", "size"), [("", 64 * 1024**2), ("ipc: host", None), ("shm_size: 512m", 512 * 1024**2)])
def test_shared_memory_of_a_container(more: str, size: int | None) -> None:
    workload = one(read_files({"compose.yml": f"services:\n  a:\n    image: vllm/vllm-openai\n    {more}\n"}))
    assert limits(workload).get("host.shm_size", (None,))[0] == size


def test_an_override_file_completes_the_service() -> None:
    workload = one(
        read_files(
            {
                "docker-compose.override.yml": "services:\n  a:\n    command: -c 4096\n    environment: {B: 2}\n",
                "docker-compose.yml": """\
                    services:
                      a:
                        image: ghcr.io/ggml-org/llama.cpp:server
                        command: -c 8192
                        environment: {A: 1, B: 1}
                    """,
            }
        )
    )
    assert workload.texts == ["llama-server", "-c", "4096"]
    assert variables(workload) == {"A": "1", "B": "2"}


def test_a_broken_file_is_one_trouble_and_the_other_goes_on() -> None:
    declared = read_files(
        {
            "a/docker-compose.yml": "services:\n  a:\n    image: x: y\n    command: z\n",
            "b/docker-compose.yml": "services:\n  b:\n    image: ollama/ollama\n",
        }
    )
    assert [workload.name for workload in declared.workloads] == ["service b"]
    (trouble,) = declared.troubles
    assert (trouble.path, trouble.line) == ("a/docker-compose.yml", 3)
    assert trouble.message.startswith("not valid YAML: ")
    assert trouble.hint == "put the value with the colon in it between quotes"


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [
        BOMB + "services:\n  a:\n    image: ollama/ollama\n    environment: *a39\n    command: *a39\n",
        "services: &s\n  a: &a\n    image: x\n    <<: *a\n    extends: {service: a}\n    environment: *s\n",
        "services:\n  a:\n    image: " + "[" * 100_000 + "\n",
        "services:\n  a: {image: x, command: *nowhere}\n",
        "services:\n" + "  a: {image: x}\n" * 60_000,
        "services:\n  - a\n  - b\n    image:\n",
        "services:\n  a:\n    image: [1, {b: c}]\n    command: {a: b}\n    environment: 7\n    deploy: []\n",
        "services:\n  a:\n    image: !!python/object:os.system x\n    command: \x00\n",
        "services:\n  a:\n    image: x\n    mem_limit: 99999999999999999999g\n    shm_size: -1\n",
    ],
)
def test_hostile_files_are_bounded(text: str) -> None:
    declared = read_files({"docker-compose.yml": text})
    assert len(declared.troubles) <= 1


def test_what_is_wrong_in_files_of_variables_is_told_once_with_its_line() -> None:
    declared = read_files(
        {
            "docker-compose.yml": """\
                services:
                  a: {image: ollama/ollama, env_file: gpu.env}
                  b: {image: ollama/ollama, env_file: gpu.env}
                """,
            "gpu.env": 'OLLAMA_DEBUG=1\nthis is no line\nHF_HOME="open\n',
            ".env": "PORT 8080\n",
            "start.sh": "#!/bin/sh\ndocker run --env-file docker.env ollama/ollama\n",
            "docker.env": "OLLAMA_HOST = 0.0.0.0\n",
        }
    )
    assert sorted((trouble.path, trouble.line, trouble.message.split(":")[0]) for trouble in declared.troubles) == [
        (".env", 1, "not NAME=VALUE"),
        ("docker.env", 1, "docker takes no blanks before the = of a variable"),
        ("gpu.env", 2, "not NAME=VALUE"),
        ("gpu.env", 3, "the quote of HF_HOME is not closed"),
    ]
