from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts.config.env import read_env, settings_of_env
from doctor.vocabulary.dialect import Option
from doctor.vocabulary.facts import Layer, Origin


def values(text: str) -> dict[str, str]:
    env = read_env(text, "x.env")
    assert env.problems == []
    return {value.name: value.value for value in env.values.values()}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("A = 1 ", "1"),
        ("export A=1", "1"),
        ("declare -x A=1", "1"),
        ("set A=1", "1"),
        ('set "A=1 2"', "1 2"),
        ('$env:A = "1"', "1"),
        ("A=1 # one", "1"),
        ("A=1#2", "1#2"),
        ("A='1 # $X'", "1 # $X"),
        ('A="1 \\"2\\" \\$X" # c', '1 "2" $X'),
        ('A="1\\n2"', "1\n2"),
        ("A=$'1'", "1"),
        ("A=", ""),
        ('A=""', ""),
        ("A=a b=c", "a b=c"),
        ('A="1\n2"\n', "1\n2"),
        ("A='1\n2'\n", "1\n2"),
        ("A=x\r\n", "x"),
        ("\ufeffA=1", "1"),
    ],
)
def test_quoting(line: str, value: str) -> None:
    assert values(line) == {"A": value}


def test_lines_comments_and_the_last_value() -> None:
    env = read_env("# x\n\nA=1\n; y\nB='2\n3'\nA=4\n", "/etc/default/llm")
    assert [(value.name, value.value, value.line) for value in env.values.values()] == [("B", "2\n3", 5), ("A", "4", 7)]


def test_what_is_no_assignment_is_a_problem_with_its_line() -> None:
    env = read_env("A=1\njust words\nB='open\nC=3\n", "x")
    assert env.problems == ["line 2: not NAME=VALUE: just words", "line 3: the quote of B is not closed"]
    assert {name: value.value for name, value in env.values.items()} == {"A": "1", "B": "open", "C": "3"}


def test_a_secret_is_kept_nowhere() -> None:
    env = read_env("HF_TOKEN=hf_abc\nHF_TOKEN hf_def\nPROXY=http://a:hunter2@b/\n", "x")
    assert "hf_" not in repr(env)
    assert "hunter2" not in repr(env)
    assert env.values["HF_TOKEN"].value == "***"


def test_the_environment_of_a_process() -> None:
    assert values("A=1\0B=2 3\0\0") == {"A": "1", "B": "2 3"}


def test_a_systemd_unit_gives_its_variables_only() -> None:
    env = read_env(
        "[Unit]\nDescription=LLM\n[Service]\nEnvironment=A=1 \"B=2 3\" 'C=4'\n"
        'Environment="D=5" \\\n    E=6\nExecStart=/bin/x -c 1\n',
        "llm.service",
    )
    assert {name: (value.value, value.line) for name, value in env.values.items()} == {
        "A": ("1", 4),
        "B": ("2 3", 4),
        "C": ("4", 4),
        "D": ("5", 5),
        "E": ("6", 5),
    }
    assert env.problems == []


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  llm:\n    image: x\n    environment:\n      - A=1\n",
        "apiVersion: v1\nkind: Pod\n",
        '{"A": 1}',
        "FROM llama3\nPARAMETER num_ctx 8192\n",
    ],
)
def test_other_formats_are_left_alone(text: str) -> None:
    env = read_env(text, "x")
    assert (env.values, env.problems) == ({}, [])


def test_settings_and_variables_become_facts() -> None:
    options = [
        Option(setting="setting.slots", env=["OLLAMA_NUM_PARALLEL"], type="int"),
        Option(setting="setting.flash_attention", env=["OLLAMA_FLASH_ATTENTION"], type="switch_on"),
        Option(setting="setting.mmap", env=["LLAMA_ARG_NO_MMAP"], type="switch_off"),
        Option(setting="setting.api_key", env=["LLAMA_API_KEY"], type="bool"),
    ]
    text = "OLLAMA_NUM_PARALLEL=4\nOLLAMA_FLASH_ATTENTION=1\nLLAMA_ARG_NO_MMAP=0\nLLAMA_API_KEY=sk\n"
    facts = settings_of_env(read_env(text, "o.env"), options, Layer.FILE)
    assert [(fact.name, fact.value) for fact in facts] == [
        ("env.OLLAMA_NUM_PARALLEL", "4"),
        ("env.OLLAMA_FLASH_ATTENTION", "1"),
        ("env.LLAMA_ARG_NO_MMAP", "0"),
        ("env.LLAMA_API_KEY", "***"),
        ("setting.slots", 4),
        ("setting.flash_attention", "on"),
        ("setting.api_key", True),
    ]
    assert facts[4].origin == Origin("o.env", 1, Layer.FILE)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="AB_=\"'\\# \n\r\t$[]{}:;é0", max_size=120))
def test_nothing_raises_and_every_line_is_in_the_text(text: str) -> None:
    env = read_env(text, "x")
    assert all(1 <= value.line <= text.count("\n") + 1 for value in env.values.values())


def test_long_hostile_text_takes_no_long_time() -> None:
    began = time.perf_counter()
    for filler in (" ", "\n", "'", '"', 'A="\n', "A='\n", "\\", "A=1 ", "Environment=\n", "\t\n"):
        text = filler * (60_000 // len(filler))
        read_env(text, "x")
        read_env(f"[Service]\nEnvironment={text}", "x")
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    ("line", "dotenv", "systemd", "docker"),
    [
        ('A="1"', "1", "1", '"1"'),
        ("A=1 # one", "1", "1 # one", "1 # one"),
        ("A='x y'", "x y", "x y", "'x y'"),
        ("export A=1", "1", None, None),
        ("A = 1", "1", "1", None),
        ("A=x\\\ny", "x\\", "xy", "x\\"),
        ("; A=1", None, None, None),
        ("A", None, None, None),
    ],
)
def test_who_reads_a_file_decides_what_it_says(
    line: str, dotenv: str | None, systemd: str | None, docker: str | None
) -> None:
    made = []
    for quoting in ("dotenv", "systemd", "docker"):
        found = read_env(line + "\n", "x", quoting).values.get("A")  # type: ignore[arg-type]
        made.append(found.value if found else None)
    assert made == [dotenv, systemd, docker]
