from __future__ import annotations

from pathlib import Path

import pytest

from doctor.api import analyze, load_rules
from doctor.errors import UsageProblem
from doctor.intake import take_in
from doctor.vocabulary.facts import Layer
from tests.model.support import LLAMA, header, put, tensor

LOG = "llama_model_loader: loaded meta data with 20 key-value pairs\n"


def model(folder: Path, name: str = "m.gguf") -> Path:
    return put(folder, header(LLAMA, [tensor("x.weight", (256, 4), kind=1)]) + b"\0" * 4096, name)


def facts(*paths: Path, named: str | None = None) -> tuple[dict[str, object], list[str]]:
    intake = take_in([str(path) for path in paths], load_rules()[0], model=named)
    assert all(fact.origin.layer is Layer.FILE for fact in intake.given.facts)
    return {fact.name: fact.value for fact in intake.given.facts}, [problem.message for problem in intake.problems]


def test_a_model_among_the_logs_gives_its_facts(tmp_path: Path) -> None:
    put(tmp_path, LOG.encode(), "server.log")
    model(tmp_path)
    found, problems = facts(tmp_path)
    assert found["model.layers"] == 2
    assert found["model.file_size"] == 2048
    assert problems == []


def test_of_two_models_none_is_taken_unless_named(tmp_path: Path) -> None:
    put(tmp_path, LOG.encode(), "server.log")
    first, _ = model(tmp_path), model(tmp_path, "other.gguf")
    assert facts(tmp_path)[0] == {}
    assert facts(tmp_path, named=str(first))[0]["model.layers"] == 2


def test_a_model_that_the_log_is_not_about_does_not_count(tmp_path: Path) -> None:
    lines = ["print_info: arch                  = qwen2", "print_info: n_layer               = 28"]
    put(tmp_path, "\n".join([LOG.strip(), *lines, ""]).encode(), "server.log")
    model(tmp_path)
    document = analyze([tmp_path])
    assert any("not the model" in problem.message for problem in document.problems)


def test_a_broken_model_among_the_logs_is_a_problem_a_named_one_the_end(tmp_path: Path) -> None:
    log = put(tmp_path, LOG.encode(), "server.log")
    broken = put(tmp_path, b"GGUF" + b"\xff" * 100)
    found, problems = facts(tmp_path)
    assert found == {}
    assert "can't be read" in problems[0]
    with pytest.raises(UsageProblem, match="can't be read"):
        facts(log, named=str(broken))
