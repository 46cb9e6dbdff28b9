"""Plans that run elsewhere, and what they bring back: honest, broken and hostile."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doctor.errors import UsageProblem
from doctor.trial.script import judge_results, plan
from doctor.trial.setup import Setup, of_command
from doctor.trial.wanted import Wanted
from tests.trial import standin
from tests.trial.loops.conftest import free_port
from tests.trial.loops.support import tried

RESULTS = Path(__file__).parent / "results"


def write(tmp_path: Path, data: Any) -> str:
    path = tmp_path / "results.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return str(path)


def saved(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return data


@pytest.mark.parametrize(
    ("name", "remedy", "verdict"),
    [
        ("view-abort-upgraded", "upgrade-llama-box", "confirmed"),
        ("view-abort-without-shift", "no-context-shift", "confirmed"),
        ("view-abort-other-k-quant", "requantise-embeddings", "refuted"),
    ],
)
def test_the_view_abort_over_rpc(name: str, remedy: str, verdict: str) -> None:
    """Runs of a client with llama-box's RPC patch: the abort at the first context shift, and after a change."""
    document = judge_results(str(RESULTS / f"{name}.json"), Wanted())
    assert document.findings[0].rule_id == "rpc-kv-view-stale-support"
    told = tried(document)[remedy]
    assert told.verdict == verdict, told
    assert told.trials[0].outcome == "crashed"
    if verdict == "confirmed":
        assert told.trials[1].outcome == "healthy"
        assert "buffers lie on 127.0.0.1:50301" in told.effect_text


def test_a_plan_runs_on_its_own(tmp_path: Path) -> None:
    """With Python alone: none of llmdoctor's modules can be imported there."""
    program, port = standin.write(tmp_path / "bin"), free_port()
    command = f"{program} -m m.gguf --port {port} -ctv q8_0 -fa 'off'"
    wanted = Wanted(command=command, fixed=of_command(command.replace("'off'", "on")), workload="one_prompt")
    path = tmp_path / "plan.py"
    path.write_text(plan(wanted))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(path), "--yes"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    document = judge_results(str(tmp_path / "llmdoctor-results.json"), Wanted())
    told = tried(document)["given"]
    assert told.verdict == "confirmed", told
    assert told.failure == "vquant-needs-flash-attention"


def test_a_plan_asks_first(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    wanted = Wanted(command=f"touch {marker}", fixed=Setup(("true",)))
    path = tmp_path / "plan.py"
    path.write_text(plan(wanted))
    ran = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, input="n\n", capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "touch" in ran.stdout
    assert not marker.exists()


def test_a_plan_of_an_upgrade_stops_for_it(tmp_path: Path) -> None:
    """What a person has to do stands between the trials."""
    log = tmp_path / "a.log"
    trial = saved("view-abort-upgraded")["trials"][0]
    log.write_text("llama-box version v0.0.117\n" + trial["log"])
    wanted = Wanted(paths=[str(log)], command="llama-box -m m.gguf --rpc 10.0.0.2:50052", remedy="upgrade-llama-box")
    text = plan(wanted)
    compile(text, "plan.py", "exec")
    assert "upgrade llama-box to >=0.0.123 on every node" in text


def test_quotes_and_code_in_a_command_stay_data(tmp_path: Path) -> None:
    wanted = Wanted(command="printf %s \"''' + __import__('os').system('touch pwned') + '''\"", fixed=Setup(("true",)))
    path = tmp_path / "plan.py"
    path.write_text(plan(wanted))
    subprocess.run([sys.executable, str(path), "--yes"], cwd=tmp_path, capture_output=True, timeout=30, check=True)
    assert not (tmp_path / "pwned").exists()
    data = json.loads((tmp_path / "llmdoctor-results.json").read_text())
    assert data["trials"][0]["setup"]["command"][2] == "''' + __import__('os').system('touch pwned') + '''"


def test_program_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "plan.py"
    path.write_text(plan(Wanted(command="/nonexistent -m x", fixed=Setup(("true",)))))
    subprocess.run([sys.executable, str(path), "--yes"], cwd=tmp_path, capture_output=True, timeout=30, check=True)
    told = tried(judge_results(str(tmp_path / "llmdoctor-results.json"), Wanted()))["given"]
    assert told.verdict == "inconclusive"
    assert "could not be run" in told.reason


# --- hostile results -----------------------------------------------------------------------------------------------


def broken(change: Any) -> dict[str, Any]:
    data = copy.deepcopy(saved("view-abort-upgraded"))
    change(data)
    return data


def _set(*path: Any, value: Any) -> Any:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "another kind"),
        ({"schema": "llmdoctor/diagnosis/1"}, "another kind"),
        ({"schema": "llmdoctor/results/1"}, "plan: a mapping is expected"),
        (broken(_set("trials", value=None)), "trials: a list is expected"),
        (broken(_set("trials", value=[])), "holds no trial before"),
        (broken(_set("trials", value=[1])), "trials.1: a mapping is expected"),
        (broken(_set("trials", value=[{}] * 500)), "more than 40 entries"),
        (broken(_set("trials", 0, "which", value="../../etc")), "must be before or after"),
        (broken(_set("trials", 0, "log", value=["x"])), "trials.1.log: a text is expected"),
        (broken(_set("trials", 0, "status", value="0")), "a number that is not negative"),
        (broken(_set("trials", 0, "seconds", value=float("nan"))), "a number that is not negative"),
        (broken(_set("trials", 0, "signal", value="SIGNONE")), "no such signal"),
        (broken(_set("trials", 0, "setup", value="rm -rf /")), "a mapping is expected"),
        (broken(_set("trials", 0, "setup", "command", value=["a\0b"])), "a command line is expected"),
        (broken(_set("trials", 0, "answers", value=[{"rate": -1}])), "answers.1.rate"),
        (broken(_set("trials", 0, "kernel", value="x")), "a list is expected"),
        (broken(_set("plan", "workload", value={"name": "dance"})), "no such workload"),
        (broken(_set("plan", "rule", value=5)), "plan.rule: a text is expected"),
    ],
)
def test_results_that_are_none(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as told:
        judge_results(write(tmp_path, data), Wanted())
    assert message in str(told.value)
    assert str(tmp_path) in str(told.value)


def test_results_name_rules_and_remedies_that_do_not_exist(tmp_path: Path) -> None:
    data = broken(_set("plan", "rule", value="no-such-rule"))
    data["plan"]["remedy"] = "no-such-remedy"
    document = judge_results(write(tmp_path, data), Wanted())
    assert tried(document)["given"].verdict == "inconclusive"


def test_nothing_of_results_is_ever_started(tmp_path: Path) -> None:
    data = broken(_set("trials", 0, "setup", "command", value=["touch", str(tmp_path / "ran")]))
    judge_results(write(tmp_path, data), Wanted())
    assert not (tmp_path / "ran").exists()
