from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts.config.deployments import read_deployments
from doctor.facts.config.places import Text
from tests.facts.config.support import PROGRAMS, limits, one, read_files, variables

UNIT = """\
# /etc/systemd/system/llm.service
[Unit]
Description=LLM server
After=network-online.target

[Service]
Type=simple
User=llm
Environment="CUDA_VISIBLE_DEVICES=0,1" HF_TOKEN=hf_abc 'C=x y'
EnvironmentFile=-/etc/default/llm
ExecStart=-/usr/bin/numactl --interleave=all /srv/llm/bin/llama-server \\
    -m /srv/llm/models/x.gguf \\
# a comment in between
    -c 8192
LimitMEMLOCK=infinity
LimitNOFILE=65536:524288
MemoryMax=48G
MemoryHigh=40G

[Install]
WantedBy=multi-user.target
"""
OVERRIDE = """\
[Service]
ExecStart=
ExecStart=/srv/llm/bin/llama-server -m y.gguf
Environment=
Environment="B=2"
MemoryMax=infinity
"""


def test_a_unit() -> None:
    declared = read_files({"llm.service": UNIT})
    unit = one(declared)
    command = unit.command()
    assert command is not None
    assert (command.program, command.value("-c")) == ("llama-server", "8192")
    assert command.prefix == ["/usr/bin/numactl", "--interleave=all"]
    assert unit.command_at().line == 11
    assert variables(unit) == {"CUDA_VISIBLE_DEVICES": "0,1", "HF_TOKEN": "hf_abc", "C": "x y"}
    assert limits(unit) == {
        "host.memlock_limit": (-1, 15),
        "host.open_files_limit": (65536, 16),
        "host.cgroup_limit": (48 * 1024**3, 17),
    }
    assert declared.troubles == []


@pytest.mark.parametrize(
    "files",
    [
        {"etc/llm.service": UNIT, "etc/llm.service.d/override.conf": OVERRIDE},
        {"systemctl-cat.txt": UNIT + "\n# /etc/systemd/system/llm.service.d/override.conf\n" + OVERRIDE},
    ],
)
def test_a_drop_in_takes_back_what_was_set(files: dict[str, str]) -> None:
    unit = one(read_files(files))
    command = unit.command()
    assert command is not None
    assert (command.value("-m"), command.value("-c")) == ("y.gguf", None)
    assert variables(unit) == {"B": "2"}
    assert set(limits(unit)) == {"host.memlock_limit", "host.open_files_limit"}


def test_drop_ins_count_in_the_order_of_their_names() -> None:
    unit = one(
        read_files(
            {
                "b/ollama.service.d/20-b.conf": "[Service]\nEnvironment=OLLAMA_NUM_PARALLEL=2\n",
                "a/ollama.service.d/10-a.conf": "[Service]\nEnvironment=OLLAMA_NUM_PARALLEL=4 A=1\n",
            }
        )
    )
    assert variables(unit) == {"OLLAMA_NUM_PARALLEL": "2", "A": "1"}
    assert unit.names == ("ollama.service", "ollama")


def test_an_environment_file_wins_over_environment_and_has_systemds_quoting() -> None:
    declared = read_files(
        {
            "srv/llm.service": """\
                [Service]
                EnvironmentFile=/etc/default/llm
                Environment=CTX=1 ARGS="-ngl 99"
                ExecStart=/usr/bin/llama-server -c $CTX ${ARGS} $ARGS $$x %i
                """,
            "host/etc/default/llm": """\
                # comment
                export NGL=1
                CTX="4096"
                ARGS=-ngl 20 # not a comment for systemd
                """,
        }
    )
    unit = one(declared)
    assert variables(unit) == {"CTX": "4096", "ARGS": "-ngl 20 # not a comment for systemd"}
    split = ["-ngl", "20", "#", "not", "a", "comment", "for", "systemd"]
    assert unit.texts == ["/usr/bin/llama-server", "-c", "4096", " ".join(split), *split, "$x", "%i"]
    assert unit.words[2].place is not None
    assert (unit.words[2].place.path, unit.words[2].place.line) == ("host/etc/default/llm", 3)
    assert [(t.path, t.line, t.message) for t in declared.troubles] == [
        ("host/etc/default/llm", 2, "systemd ignores what is not NAME=VALUE: export NGL=1")
    ]
    assert declared.loose == []


def test_a_shell_in_exec_start_is_looked_into() -> None:
    text = "[Service]\nExecStart=/bin/sh -c 'ulimit -n 4096; exec llama-server -c 512 >>/var/log/x 2>&1'\n"
    unit = one(read_files({"x.service": text}))
    assert unit.texts == ["exec", "llama-server", "-c", "512"]
    assert [word.place and word.place.line for word in unit.words] == [2, 2, 2, 2]


def test_a_quadlet() -> None:
    unit = one(
        read_files(
            {
                "vllm.container": """\
                    [Container]
                    Image=docker.io/vllm/vllm-openai:v0.8.5
                    Exec=--model x/y
                    ShmSize=2g
                    Environment=A=1
                    """
            }
        )
    )
    assert unit.texts == ["vllm", "serve", "--model", "x/y"]
    assert limits(unit) == {"host.shm_size": (2 * 1024**3, 4)}


def test_what_cannot_be_read_is_a_trouble_with_its_line() -> None:
    declared = read_files({"x.service": "[Service]\nnonsense here\nExecStart=||\n"})
    assert [(t.line, t.message) for t in declared.troubles] == [
        (2, "not KEY=VALUE"),
        (3, "the command of ExecStart could not be read"),
    ]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(UNIT.split("\n") + OVERRIDE.split("\n") + ["\\", "=", "[", '"', "Environment='", "é"])))
def test_nothing_raises(lines: list[str]) -> None:
    declared = read_deployments([Text("x.service", "\n".join(lines))], PROGRAMS)
    assert not [trouble for trouble in declared.troubles if "defect" in trouble.hint]
    for workload in declared.workloads:
        assert all(1 <= (fact.origin.line or 0) <= len(lines) for fact in workload.facts)
