"""Slips of the fingers, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.checking import check
from doctor.checking.known_names import FLAGS, VARIABLES
from doctor.checking.spelling import is_slip, nearest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("--ctx-szie", "--ctx-size"),
        ("--ctx-siz", "--ctx-size"),
        ("--ctx-sizes", "--ctx-size"),
        ("--ctx-sixe", "--ctx-size"),
        ("ctx-size", "cctx-size"),
    ],
)
def test_one_slip(one: str, other: str) -> None:
    assert is_slip(one, other) and is_slip(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("--ctx-size", "--ctx-size"), ("--draft-max", "--draft-min"), ("--mmap", "--no-mmap"), ("", "ab")],
)
def test_no_slip(one: str, other: str) -> None:
    assert not is_slip(one, other)


@pytest.mark.parametrize("name", ["--n-gpu-lyaer", "--flsh-attnn", "--ctx--sizes", "--cache-tpye-kk", "--ubtach-sizee"])
def test_two_slips_where_all_flags_are_known(name: str) -> None:
    known = {"--n-gpu-layers", "--flash-attn", "--ctx-size", "--cache-type-k", "--ubatch-size"}
    meant = nearest(name, known, {"--no-mmap"})
    assert meant in known
    assert nearest(name, known) is None


def test_no_flag_of_llama_cpp_is_a_slip_of_another() -> None:
    assert len(FLAGS["llama.cpp"]) > 400
    listed = {
        "--draft-max",
        "--ctx-size",
        "--n-gpu-layers",
        "--cache-type-k",
        "--threads",
        "--parallel",
        "--batch-size",
    }
    assert listed <= FLAGS["llama.cpp"]
    assert [name for name in FLAGS["llama.cpp"] if nearest(name, listed, FLAGS["llama.cpp"])] == []


def test_what_is_short_known_or_ambiguous_is_left_alone() -> None:
    assert nearest("--prot", {"--port"}) is None
    assert nearest("--parallel", {"--parallel", "--parallels"}) is None
    assert nearest("--cache-type-x", {"--cache-type-k", "--cache-type-v"}) is None


def test_a_misspelled_flag_is_a_risk_that_names_the_right_one() -> None:
    document = check(command="llama-server -m m.gguf --ctx-szie 8192 --no-such-thing")
    (finding,) = [each for each in document.findings if each.role == "risk"]
    assert finding.rule_id == "unknown-flag"
    assert "--ctx-size" in finding.summary and "--ctx-size" in finding.remedies[0].title


def test_flags_that_are_only_not_listed_are_none() -> None:
    document = check(command="llama-server -m m.gguf --ctx-size 8192 --jinja --draft-min 4 --sleep-idle-seconds 600")
    assert [each.rule_id for each in document.findings if each.role == "risk"] == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("llama-server -m m.gguf --turbo-mode 3", "--turbo-mode"),
        ("llama-server -m m.gguf --no-webui --no-mmap --flash-attn on --metrics", None),
        ("python -m sglang.launch_server --model-path m --enable-hyperspace", "--enable-hyperspace"),
        ("python -m sglang.launch_server --model-path m --enable_metrics", None),
        ("vllm serve m --enable-hyperspace", None),  # not all of its flags are known here
    ],
)
def test_a_flag_that_is_near_to_none_is_told_where_all_are_known(command: str, told: str | None) -> None:
    found = [each for each in check(command=command).findings if each.rule_id == "flag-not-listed"]
    assert [each.summary.split()[0] for each in found] == ([told] if told else [])
    assert {each.role for each in found} <= {"advice"}


def test_a_misspelled_variable_is_quoted_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.yml"
    file.write_text(
        "services:\n  o:\n    image: ollama/ollama:0.5.7\n    environment:\n      OLLAMA_NUM_PARALEL: 4\n",
        encoding="utf-8",
    )
    (finding,) = [each for each in check([file]).findings if each.role == "risk"]
    assert finding.rule_id == "variable-misspelled"
    assert finding.evidence[0].text == "      OLLAMA_NUM_PARALEL: 4"


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("python -m sglang.launch_server --model-path m --mem-fracton-statc 0.8", "--mem-fraction-static"),
        ("vllm serve m --gpu-memory-utlisation 0.8", "--gpu-memory-utilization"),
        ("vllm serve m --tensor-paralel-szie 2", "--tensor-parallel-size"),
    ],
)
def test_two_slips_in_long_flags_of_other_engines(command: str, meant: str) -> None:
    (finding,) = [each for each in check(command=command).findings if each.role == "risk"]
    assert meant in finding.summary


@pytest.mark.parametrize(
    ("image", "variable", "meant"),
    [
        ("ollama/ollama:0.11.4", "OLLAMA_NUM_PARELEL", "OLLAMA_NUM_PARALLEL"),
        ("ollama/ollama:0.11.4", "OLLAMA_CONTEXT_LENGHTT", "OLLAMA_CONTEXT_LENGTH"),
        ("ollama/ollama:0.11.4", "OLLAMA_PORT", None),
        ("ollama/ollama:0.11.4", "OLLAMA_NOPRUNE", None),
        ("ghcr.io/ggml-org/llama.cpp:server-cuda-b6500", "LLAMA_ARG_N_GPU_LYAERSS", "LLAMA_ARG_N_GPU_LAYERS"),
        ("ghcr.io/ggml-org/llama.cpp:server-cuda-b6500", "LLAMA_ARG_HFD_REPO", None),
    ],
)
def test_slips_in_variables(tmp_path: Path, image: str, variable: str, meant: str | None) -> None:
    file = tmp_path / "docker-compose.yml"
    text = (
        f"services:\n  o:\n    image: {image}\n    command: []\n    environment:\n      {variable}: 4\n    gpus: all\n"
    )
    file.write_text(text, encoding="utf-8")
    found = [each.summary for each in check([file]).findings if each.rule_id == "variable-misspelled"]
    assert len(found) == (1 if meant else 0)
    assert not meant or meant in found[0]


@pytest.mark.parametrize("engine", ["llama.cpp", "sglang", "ollama"])
def test_no_name_of_an_engine_is_a_slip_of_another(engine: str) -> None:
    from doctor.rulebook.book import load_book

    options = load_book().options(engine)
    listed = {flag for option in options for flag in option.flags if flag.startswith("--")}
    variables = {name for option in options for name in option.env}
    assert [name for name in FLAGS.get(engine, ()) if nearest(name, listed, FLAGS[engine])] == []
    assert [name for name in VARIABLES.get(engine, ()) if nearest(name, variables, VARIABLES[engine])] == []
    for name in (*FLAGS.get(engine, ()), *VARIABLES.get(engine, ())):  # nor would it be if less were known
        near = nearest(name, listed | variables)
        assert near is None or is_slip(name, near)
