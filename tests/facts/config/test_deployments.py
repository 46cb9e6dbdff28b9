"""From folders to settings, the workload that a log is of, and the patch for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from doctor import analyze
from doctor.facts.config.deployments import choose
from doctor.facts.options import KnownOption
from doctor.vocabulary.document import Diagnosis
from tests.facts.config.support import read_files

FIXTURES = Path(__file__).parents[3] / "fixtures" / "config"
CASES = sorted(path.with_name(path.name.removesuffix(".expect.yaml")) for path in FIXTURES.glob("*.expect.yaml"))
PROGRAMS = {"vllm": "vllm", "ollama": "ollama", "llama-server": "llama.cpp"}
OPTIONS = [
    KnownOption("setting.model_path", ["--model"]),
    KnownOption("setting.port", ["--port"], type="int"),
]
TWO = {
    "docker-compose.yml": """\
        services:
          big:
            image: vllm/vllm-openai
            command: --model org/big --port 8001
          small:
            image: vllm/vllm-openai
            command: --model org/small --port 8002
          embeddings:
            image: ollama/ollama
          db:
            image: postgres
        """
}
VLLM_LOG = """\
INFO 07-15 11:20:02 [api_server.py:1395] vLLM API server version 0.9.2
INFO 07-15 11:20:02 [cli_args.py:325] non-default args: {'model': 'org/small', 'port': 8002}
INFO 07-15 11:20:40 [launcher.py:29] Available routes are:
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_folder_from_its_files_to_the_patch(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect = yaml.safe_load(Path(f"{case}.expect.yaml").read_text(encoding="utf-8"))
    monkeypatch.chdir(case)
    document = analyze(["."])
    settings = {entry.name: [entry.declared, entry.declared_at] for entry in reversed(document.settings)}
    assert {name: settings.get(name) for name in expect["settings"]} == expect["settings"]
    root = next(finding for finding in document.findings if finding.role == "root_cause")
    assert root.remedies[0].diff == expect["diff"].rstrip("\n")


def chosen(said: dict[str, object], path: str = "vllm.log", engine: str = "vllm") -> tuple[list[str], str]:
    workloads, trouble = choose(read_files(TWO).workloads, {engine}, PROGRAMS, path, said.get, OPTIONS)
    return [workload.name for workload in workloads], trouble


def test_the_service_of_the_logs_engine_is_taken() -> None:
    assert chosen({}, engine="ollama") == (["service embeddings"], "")


def test_of_two_services_with_one_engine_the_one_that_agrees_with_the_log_is_taken() -> None:
    assert chosen({"setting.port": 8002}) == (["service small"], "")
    assert chosen({}, path="logs/big.log") == (["service big"], "")


def test_if_nothing_tells_them_apart_neither_is() -> None:
    workloads, trouble = chosen({})
    assert workloads == []
    assert trouble.startswith("2 of the declared programs may have written it (service big, service small)")


def test_a_service_of_no_engine_is_never_taken() -> None:
    assert chosen({}, engine="llama.cpp") == ([], "")


def written(folder: Path, files: dict[str, str]) -> Diagnosis:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return analyze([folder])


def test_two_services_in_one_file_stay_apart(tmp_path: Path) -> None:
    document = written(tmp_path, {"docker-compose.yml": dedent(TWO["docker-compose.yml"]), "a.log": VLLM_LOG})
    declared = {entry.name: entry.declared for entry in document.settings}
    assert (declared["model_path"], declared["port"]) == ("org/small", 8002)
    assert document.problems == []


def test_a_broken_file_is_one_problem_and_a_file_of_another_kind_none(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        {
            "docker-compose.yml": "services:\n  a:\n    image: ollama/ollama\n     command: x\n",
            "config.yaml": "model: x\nlayers: [1, 2\n",
            "values.yaml": "image:\n  repository: vllm\n",
            "vllm.env": "VLLM_USE_V1=0\n",
            "a.log": VLLM_LOG,
        },
    )
    (problem,) = document.problems
    assert problem.subject.endswith("docker-compose.yml")
    assert problem.message.startswith("line 4: not valid YAML")
    assert problem.hint
    assert {entry.name for entry in document.settings} >= {"env.VLLM_USE_V1"}


def test_an_env_file_that_is_of_another_service_does_not_count(tmp_path: Path) -> None:
    compose = (
        "services:\n  a:\n    image: ollama/ollama\n    env_file: ollama.env\n  v:\n    image: vllm/vllm-openai\n"
        "    command: --model m\n"
    )
    document = written(
        tmp_path,
        {"docker-compose.yml": compose, "ollama.env": "CUDA_VISIBLE_DEVICES=1\n", ".env": "X=1\n", "a.log": VLLM_LOG},
    )
    assert not [entry for entry in document.settings if entry.name.startswith("env.")]


def test_a_command_line_of_the_user_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(
        "services:\n  v:\n    image: vllm/vllm-openai\n    command: --model m --max-num-seqs 8\n"
    )
    (tmp_path / "a.log").write_text(VLLM_LOG)
    document = analyze([tmp_path], command="vllm serve m --max-num-seqs 4")
    entry = next(entry for entry in document.settings if entry.name == "slots")
    assert (entry.declared, entry.declared_at) == (4, "--command (command line)")


def test_a_log_alone_needs_no_reader_of_configurations(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(VLLM_LOG)
    code = (
        "import sys; from doctor import analyze; analyze([sys.argv[1]]);"
        "print([m for m in sys.modules if m in ('yaml', 'ruamel.yaml') or m.endswith(('.deployments', '.compose'))])"
    )
    done = [
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a.log")], capture_output=True, text=True, check=True
        )
        for _ in range(2)  # the first fills the cache of the rule book
    ][1]
    assert done.stdout.strip() == "[]"
