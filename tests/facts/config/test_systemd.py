from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts.config.systemd import read_unit
from doctor.vocabulary.facts import Layer, Origin

UNIT = """\
# /etc/systemd/system/llm.service
[Unit]
Description=LLM server
After=network-online.target

[Service]
Type=simple
User=llm
Environment="CUDA_VISIBLE_DEVICES=0,1" HF_TOKEN=hf_abc
EnvironmentFile=-/etc/default/llm
ExecStart=-/usr/bin/numactl --interleave=all /srv/llm/bin/llama-server \\
    -m /srv/llm/models/x.gguf \\
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
    unit = read_unit(UNIT, "llm.service")
    assert unit.command is not None
    assert (unit.command.program, unit.command.value("-c")) == ("llama-server", "8192")
    assert unit.command.prefix == ["/usr/bin/numactl", "--interleave=all"]
    assert unit.command_at == Origin("llm.service", 11, Layer.FILE)
    assert {name: value.value for name, value in unit.env.values.items()} == {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "HF_TOKEN": "***",
    }
    assert unit.env_files == [("/etc/default/llm", 10)]
    assert [(fact.name, fact.value, fact.origin.line) for fact in unit.facts] == [
        ("host.memlock_limit", -1, 14),
        ("host.open_files_limit", 65536, 15),
        ("host.cgroup_limit", 48 * 1024**3, 16),
    ]
    assert unit.problems == []


def test_a_drop_in_takes_back_what_was_set() -> None:
    for unit in (
        read_unit(UNIT, "llm.service", [(OVERRIDE, "override.conf")]),
        read_unit(UNIT + "\n# /etc/systemd/system/llm.service.d/override.conf\n" + OVERRIDE, "systemctl-cat.txt"),
    ):
        assert unit.command is not None
        assert (unit.command.value("-m"), unit.command.value("-c")) == ("y.gguf", None)
        assert list(unit.env.values) == ["B"]
        assert [fact.name for fact in unit.facts] == ["host.memlock_limit", "host.open_files_limit"]


def test_what_cannot_be_read_is_a_problem() -> None:
    unit = read_unit("[Service]\nnonsense here\nExecStart=||\n", "x.service")
    assert unit.problems == ["line 2: not KEY=VALUE", "line 3: the command of ExecStart could not be read"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(UNIT.split("\n") + OVERRIDE.split("\n") + ["\\", "=", "[", '"', "Environment='", "é"])))
def test_nothing_raises(lines: list[str]) -> None:
    unit = read_unit("\n".join(lines), "x")
    assert all(1 <= (fact.origin.line or 0) <= len(lines) for fact in unit.facts)
