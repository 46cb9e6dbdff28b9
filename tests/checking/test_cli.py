"""The command: exit status, what is missing, standard input."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from doctor.cli import main

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "check"
RISKY, SOUND = FIXTURES / "llama-compose", FIXTURES / "llama-compose-healthy"


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["check", *argv])
    return int(ended.value.code or 0)


def known(case: Path) -> list[str]:
    return [str(case / "docker-compose.yml"), "--model", str(case / "model.yaml"), "--target", str(case / "host.yaml")]


def test_status_is_one_for_a_risk_and_nought_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*known(RISKY)) == 1
    assert "AT RISK" in capsys.readouterr().out
    assert run(*known(SOUND)) == 0
    assert "CLEAR" in capsys.readouterr().out


def test_too_little_input_is_unknown_and_says_what_supplies_it(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(SOUND / "docker-compose.yml")
    assert run(file, "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "unknown"
    hints = " ".join(entry["hint"] for entry in document["could_not_judge"])
    assert "--model" in hints and "--target" in hints
    assert run(file, "--strict") == 3


def test_only_what_is_as_grave_as_asked_for_counts() -> None:
    assert run(str(FIXTURES / "metal-residency" / "etc"), "--fail-on", "fatal") == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "nothing to check"),
        (["no-such-file.yml"], "no-such-file.yml"),
        ([str(RISKY / "docker-compose.yml"), "--target", "no-such-host"], "no such target"),
        ([str(RISKY / "docker-compose.yml"), "--model", "no-such-model.gguf"], "no such model"),
        (["--command", ""], "--command"),
    ],
)
def test_wrong_usage_is_two_with_one_message(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*argv) == 2
    shown = capsys.readouterr().err
    assert words in shown and "Traceback" not in shown


def test_helm_output_comes_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = (FIXTURES / "vllm-kubernetes" / "vllm.yaml").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"---\n" + manifest)))
    assert run("-", "--model", str(FIXTURES / "vllm-kubernetes" / "config.json"), "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["findings"][0]["evidence"][0]["path"] == "<stdin>"


def test_a_command_line_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--command", "llama-server -m m.gguf -ctv q8_0 -fa off", "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert [finding["rule_id"] for finding in document["findings"]] == ["vquant-needs-flash-attention"]
    assert run("--command", "nginx -c nginx.conf", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "unknown"
    assert "nginx" in document["problems"][0]["message"]


def test_files_that_declare_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docker-compose.yml").write_text("services:\n  web:\n    image: nginx:1.27\n", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("services:\n  a: [\n", encoding="utf-8")
    assert run(str(tmp_path), "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "unknown"
