"""Slips of the fingers, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.checking import check
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
    from doctor.checking.known_flags import LLAMA_CPP

    assert len(LLAMA_CPP) > 400
    listed = {
        "--draft-max",
        "--ctx-size",
        "--n-gpu-layers",
        "--cache-type-k",
        "--threads",
        "--parallel",
        "--batch-size",
    }
    assert listed <= LLAMA_CPP
    assert [name for name in LLAMA_CPP if nearest(name, listed, LLAMA_CPP)] == []


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


def test_a_misspelled_variable_is_quoted_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.yml"
    file.write_text(
        "services:\n  o:\n    image: ollama/ollama:0.5.7\n    environment:\n      OLLAMA_NUM_PARALEL: 4\n",
        encoding="utf-8",
    )
    (finding,) = [each for each in check([file]).findings if each.role == "risk"]
    assert finding.rule_id == "variable-misspelled"
    assert finding.evidence[0].text == "      OLLAMA_NUM_PARALEL: 4"
