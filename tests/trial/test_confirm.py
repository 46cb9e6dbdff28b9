"""Asking before anything is started, writing what was confirmed, live services, and what the command line says."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

import doctor
from doctor.cli import main
from doctor.errors import UsageProblem
from doctor.trial.confirm import confirm
from doctor.trial.runners import Clocks
from doctor.trial.wanted import Wanted, wanted_of_yaml
from tests.trial import standin
from tests.trial.loops.conftest import free_port
from tests.trial.loops.support import tried

CLOCKS = Clocks(deadline=30, stall=10)
SERVICE = """\
# of the inference host
[Service]
Environment=LLAMA_ARG_THREADS=1
ExecStart={program} -m /models/m.gguf --port {port} -ctv q8_0 -fa off
"""
LOG = """\
build: 7000 (0c1e570) with gcc for x86_64-linux-gnu
main: loading model
llama_init_from_model: quantized V cache requires flash_attn to be enabled
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return standin.write(tmp_path / "bin")


@pytest.fixture
def case(tmp_path: Path, program: Path, port: int) -> Path:
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "llama.service").write_text(SERVICE.format(program=program, port=port))
    (folder / "llama.log").write_text(LOG)
    return folder


def test_command_of_a_case_is_not_run_without_the_users_word(case: Path) -> None:
    asked: list[str] = []

    def no(what: str, details: str) -> bool:
        asked.append(f"{what} {details}")
        return False

    with pytest.raises(UsageProblem, match="not run without your word"):
        confirm(Wanted(paths=[str(case)]), ask=no)
    assert len(asked) == 1
    assert "-ctv q8_0" in asked[0]
    with pytest.raises(UsageProblem, match="not run without your word"):
        doctor.confirm([case])


def test_case_is_cured_and_written(case: Path) -> None:
    before = (case / "llama.service").read_text()
    document = confirm(Wanted(paths=[str(case)], apply=True, clocks=CLOCKS), ask=lambda _what, _details: True)
    told = tried(document)["flash-attention-on"]
    assert told.verdict == "confirmed", told
    assert (case / "llama.service").read_text() == before.replace("-fa off", "-fa on")
    assert len(told.applied) == 1
    undo = told.applied[0].partition("undo: mv ")[2].split()[0]
    assert Path(undo).read_text() == before


def test_the_command_that_undoes_it_can_be_copied(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (case / "llama.service").read_text()
    status, out, _err = run(capsys, str(case), "--apply", "--yes", "--deadline", "30")
    assert status == 0
    undo = next(line.strip() for line in out.splitlines() if line.strip().startswith("mv "))
    subprocess.run(undo, shell=True, check=True)  # noqa: S602
    assert (case / "llama.service").read_text() == before


def test_nothing_is_written_without_a_yes(case: Path) -> None:
    before = (case / "llama.service").read_text()
    document = confirm(
        Wanted(paths=[str(case)], apply=True, clocks=CLOCKS), ask=lambda what, _details: not what.startswith("Write")
    )
    told = tried(document)["flash-attention-on"]
    assert told.verdict == "confirmed"
    assert told.applied == []
    assert "not written: you did not say yes" in told.notes
    assert (case / "llama.service").read_text() == before


def test_never_beside_a_live_service(case: Path, port: int) -> None:
    with socket.socket() as live:
        live.bind(("127.0.0.1", port))
        live.listen()
        with pytest.raises(UsageProblem, match=f"listens on 127.0.0.1:{port} already") as told:
            confirm(Wanted(paths=[str(case)]), ask=lambda _what, _details: True)
    assert "--beside-live" in str(told.value.hint)


def test_unknown_remedy_names_the_known(case: Path) -> None:
    with pytest.raises(UsageProblem, match="no such remedy") as told:
        confirm(Wanted(paths=[str(case)], remedy="pray", clocks=CLOCKS), ask=lambda _what, _details: True)
    assert "flash-attention-on" in str(told.value.hint)


def test_healthy_case_has_nothing_to_confirm(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("main: server is listening on http://127.0.0.1:8080 - starting the main loop\n")
    with pytest.raises(UsageProblem, match="shows no failure"):
        confirm(Wanted(paths=[str(log)]))


def test_trial_folders_are_kept_where_asked(program: Path, port: int, tmp_path: Path) -> None:
    command = f"{program} -m m.gguf --port {port} --no-such-flag"
    confirm(Wanted(command=command, clocks=CLOCKS, save=tmp_path / "kept"))
    logs = sorted(path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").glob("*/engine.log"))
    assert logs == ["01-before/engine.log", "02-after/engine.log"]


def test_public_door(program: Path, port: int) -> None:
    document = doctor.confirm(command=f"{program} -m m.gguf --port {port} --no-such-flag", deadline=30)
    assert tried(document)["correct-flag"].verdict == "confirmed"


# --- the command line ----------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["confirm", *words])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return int(ended.value.code or 0), told.out, told.err


def test_confirmed_in_json(program: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"{program} -m m.gguf --port {port} --no-such-flag"
    status, out, _err = run(capsys, "--command", command, "--format", "json", "--deadline", "30")
    assert status == 0
    document = json.loads(out)
    told = document["findings"][0]["remedies"][0]["confirmation"]
    assert told["verdict"] == "confirmed"
    assert told["trials"][0]["evidence"][0]["path"] == "01-before/engine.log"


def test_document_is_read_back(program: Path, port: int) -> None:
    from doctor.report.formats import render
    from doctor.vocabulary.document import read

    document = confirm(Wanted(command=f"{program} -m m --port {port} --no-such-flag", clocks=CLOCKS))
    assert read(render(document, "json")) == document
    for name in ("text", "html", "markdown", "sarif", "junit"):
        assert render(document, name)


def test_inconclusive_and_its_status(program: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _err = run(capsys, "--command", f"{program} -m m.gguf --port {port}", "--deadline", "30")
    assert status == 3
    assert "failure not reproduced" in out


def test_comparison(program: Path, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    one.write_text(f"command: {program} -m m.gguf --port {port} --no-such-flag\n")
    other.write_text(f"command: {program} -m m.gguf --port {port}\n")
    status, out, _err = run(capsys, "--compare", str(one), str(other))
    assert status == 0
    assert "CONFIRMED" in out
    status, out, _err = run(capsys, "--compare", str(one), str(other), "--format", "json")
    assert json.loads(out)["failure"] == "unknown-flag"


def test_the_file_of_settings_counts_for_the_case_and_for_every_trial(
    program: Path, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "llmdoctor.toml"
    settings.write_text('redact-words = ["secret-project"]\n[severity]\nunknown-flag = "fatal"\n')
    command = f"{program} -m secret-project.gguf --port {port} --no-such-flag"
    status, out, _err = run(capsys, "--command", command, "--config", str(settings), "--format", "json")
    document = json.loads(out)
    assert status == 0
    assert document["settings_file"] == str(settings)
    assert document["findings"][0]["severity"] == "fatal"
    assert document["findings"][0]["remedies"][0]["confirmation"]["verdict"] == "confirmed"
    assert "secret-project" not in out


def test_what_is_accepted_in_a_case_needs_no_cure(case: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "accepted.toml"
    baseline.write_text('[[suppress]]\nrule = "vquant-needs-flash-attention"\nreason = "a test host"\n')
    with pytest.raises(UsageProblem, match="shows no failure"):
        confirm(Wanted(paths=[str(case)], baseline=str(baseline)))


def test_a_comparison_is_shown_without_the_words_that_are_to_be_replaced(
    program: Path, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other, settings = tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "llmdoctor.toml"
    settings.write_text('redact-words = ["secret-project"]\n')
    one.write_text(f"command: {program} -m secret-project.gguf --port {port} --no-such-flag\n")
    other.write_text(f"command: {program} -m secret-project.gguf --port {port}\n")
    words = ("--compare", str(one), str(other), "--config", str(settings))
    for more in ((), ("--format", "json")):
        status, out, _err = run(capsys, *words, *more)
        assert status == 0
        assert "<word-1>" in out
        assert "secret-project" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Nothing to confirm"),
        (("--command", "x", "--workload", "dance"), "--workload takes one of"),
        (("--command", "x", "--measure", "joy"), "--measure takes one of"),
        (("--command", "x", "--memory", "lots"), "--memory takes a size"),
        (("--results", "/nonexistent.json"), "can't be read"),
        (("--endpoint", "ftp://x"), "not an address"),
        (("--setup", "/nonexistent.yaml"), "could not be read"),
        (("/nonexistent",), "/nonexistent"),
        (("--command", "x", "--config", "/nonexistent.toml"), "/nonexistent.toml"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *words)
    assert status == 2
    assert message in err
    assert out == ""


def test_endpoint(program: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _err = run(capsys, "--endpoint", f"http://127.0.0.1:{port}")
    assert status == 3
    assert "does not answer" in out
    with subprocess.Popen([program, "--port", str(port)], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            while b"listening" not in server.stdout.readline():
                pass
            status, out, _err = run(capsys, "--endpoint", f"127.0.0.1:{port}")
        finally:
            server.kill()
    assert status == 3
    assert "worked the workload through" in out


def test_workload_in_yaml(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("command: x\nworkload: dance\n")
    with pytest.raises(UsageProblem, match="no such workload"):
        wanted_of_yaml(str(path), Wanted())
    path.write_text("command: x\nworkload: load_only\ntokens: many\n")
    with pytest.raises(UsageProblem, match="number of tokens"):
        wanted_of_yaml(str(path), Wanted())
