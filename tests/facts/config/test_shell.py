from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts.config.deployments import read_deployments
from doctor.facts.config.places import Text
from tests.facts.config.support import PROGRAMS, limits, one, read_files, variables

SCRIPT = """\
#!/usr/bin/env bash
set -euo pipefail
# one model, two cards
MODEL=/models/m.gguf
CTX=${CTX:-65536}
EXTRA=(--port 8080 "--alias=my model")
export CUDA_VISIBLE_DEVICES="0,1"
ulimit -l 1024
cd /srv/llm
exec numactl --interleave=all ./llama-server \\
    -m "$MODEL" \\
    -c "$CTX" \\
    "${EXTRA[@]}" "$@" >>/var/log/llm.log 2>&1
"""


def test_a_script_with_constants_exports_and_continued_lines() -> None:
    workload = one(read_files({"run.sh": SCRIPT}))
    assert workload.texts[:3] == ["exec", "numactl", "--interleave=all"]
    assert workload.texts[3:] == [
        *("./llama-server", "-m", "/models/m.gguf", "-c", "65536", "--port", "8080", "--alias=my model", "$@")
    ]
    lines = {word.text: word.place and word.place.line for word in workload.words}
    assert (lines["/models/m.gguf"], lines["65536"], lines["8080"], lines["-c"]) == (4, 5, 6, 12)
    assert variables(workload) == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert limits(workload) == {"host.memlock_limit": (1024 * 1024, 8)}


def test_docker_run() -> None:
    workload = one(
        read_files(
            {
                "start.sh": """\
                    docker rm -f llm || true
                    docker run -d --name llm --gpus '"device=0,1"' -m 16g --shm-size=2g \\
                      --ulimit memlock=-1 -e A="x y" --env B --env-file gpu.env \\
                      -v /models:/m vllm/vllm-openai:v0.8.5 \\
                      --model /m/x --max-model-len 8192
                    """,
                "gpu.env": 'Q="quoted"\nR=plain # all of it\n',
            }
        )
    )
    command = workload.command()
    assert command is not None
    assert (command.program, command.value("--max-model-len")) == ("vllm", "8192")
    assert variables(workload) == {"A": "x y", "Q": '"quoted"', "R": "plain # all of it"}
    assert limits(workload) == {
        "setting.gpu_request": ("0,1", 2),
        "host.cgroup_limit": (16 * 1024**3, 2),
        "host.shm_size": (2 * 1024**3, 2),
        "host.memlock_limit": (-1, 3),
    }
    assert workload.mounts == [("/models", "/m")]


def test_podman_with_the_memory_of_the_host() -> None:
    workload = one(
        read_files({"s.sh": "podman run --ipc=host --device nvidia.com/gpu=all vllm/vllm-openai --model m\n"})
    )
    assert limits(workload) == {"setting.gpu_request": ("nvidia.com/gpu=all", 1)}


@pytest.mark.parametrize(
    ("script", "context"),
    [
        ('if [ -n "$A" ]; then C=1; else C=2; fi\nllama-server -c $C\n', "$C"),
        ("C=1\nC=2\nllama-server -c $C\n", "2"),
        ("C=$(nproc)\nllama-server -c $C\n", "$(nproc)"),
        ("llama-server -c ${C:-7}\n", "7"),
        ("A='-c 9'\nllama-server $A\n", "9"),
        ("source vars.env\nllama-server -c $CTX\n", "11"),
        ("cat <<EOF >x.conf\nllama-server -c 1\nEOF\nllama-server -c 2\n", "2"),
        ("for i in 1 2; do C=$i; done; nohup llama-server -c 3 &\n", "3"),
        ("# llama-server -c 1\nCTX=5 llama-server -c 4 | tee log\n", "4"),
        ("bash -c 'llama-server -c 6'\n", "6"),
    ],
)
def test_what_a_script_starts(script: str, context: str) -> None:
    declared = read_files({"run.sh": script, "vars.env": "CTX=11\n"})
    command = declared.workloads[-1].command()
    assert command is not None
    assert command.value("-c") == context


def test_an_open_quote_is_a_trouble() -> None:
    (trouble,) = read_files({"run.sh": "llama-server -c '1\n"}).troubles
    assert trouble.message == "the script could not be read to its end: a quote is not closed"


def test_a_script_that_starts_no_engine_says_nothing() -> None:
    declared = read_files({"backup.sh": "#!/bin/sh\ntar czf x.tgz /srv && rsync -a x.tgz host:\n"})
    assert declared.workloads == []
    assert declared.troubles == []


PIECES = [
    *SCRIPT.split("\n"),
    "docker run -e",
    "fi",
    "done",
    "((",
    "$((",
    "${",
    "`",
    "'",
    '"',
    "<<E",
    "export",
    "case x in",
    "a=(",
    "\\",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)))
def test_nothing_raises(lines: list[str]) -> None:
    declared = read_deployments([Text("x.sh", "\n".join(lines))], PROGRAMS)
    assert not [trouble for trouble in declared.troubles if "defect" in trouble.hint]
