"""Whether a change is in effect: by what the engine printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doctor.facts.options import KnownOption
from doctor.trial.compare import Judged
from doctor.trial.effect import effect_of, effect_of_difference, rpc_effect
from doctor.trial.runners import Trial
from doctor.trial.setup import Setup
from doctor.trial.workload import Workload
from doctor.vocabulary.document import Diagnosis, EngineEntry, RunEntry, SettingEntry
from doctor.vocabulary.terms import Outcome

OPTIONS = (
    KnownOption("setting.context", ["-c"], ["LLAMA_ARG_CTX_SIZE"], "int"),
    KnownOption("setting.mmap", ["--no-mmap"], type="switch_off"),
    KnownOption("setting.flash_attention", ["-fa"]),
)


def trial(folder: Path | None = None, words: tuple[str, ...] = ("llama-server",), **printed: Any) -> Judged:
    facts = {f"setting.{name}": value for name, value in printed.items()}
    run = RunEntry(
        id="run-1",
        engine=EngineEntry(),
        outcome=Outcome.HEALTHY,
        source="engine.log",
        first_line=1,
        last_line=9,
        facts=facts,
        origins=dict.fromkeys(facts, "engine.log:5 (effective)"),
    )
    made = Trial(Setup(words), Workload("one_prompt"), folder or Path(), ready=1.0)
    return Judged(made, Diagnosis(llmdoctor="0", verdict="healthy", runs=[run]))


def set_flag(flag: str, value: str | None = None) -> dict[str, Any]:
    return {"kind": "set_flag", "flag": flag} | ({"value": value} if value else {})


@pytest.mark.parametrize(
    ("action", "before", "after", "state", "text"),
    [
        (set_flag("-c", "1024"), {"context": 512}, {"context": 1024}, "seen", "context = 1024"),
        (set_flag("-c", "1000"), {}, {"context": 1024}, "seen", "context = 1024"),  # rounded up
        (set_flag("-c", "1024"), {"context": 512}, {"context": 512}, "missing", "context = 512, as before"),
        (set_flag("-c", "1024"), {}, {"context": 512}, "missing", "context = 512, not 1024"),
        (set_flag("-c", "1024"), {}, {}, "not_seen", ""),
        (set_flag("-fa", "on"), {}, {"flash_attention": "on"}, "seen", "flash_attention = on"),
        (set_flag("--no-mmap"), {"mmap": True}, {"mmap": False}, "seen", "mmap = off"),
        (set_flag("--no-mmap"), {"mmap": True}, {"mmap": True}, "missing", "mmap = on, as before"),
        (
            {"kind": "remove_flag", "flag": "--no-mmap"},
            {"mmap": False},
            {"mmap": True},
            "seen",
            "mmap = on, before off",
        ),
        ({"kind": "remove_flag", "flag": "--no-mmap"}, {"mmap": False}, {"mmap": False}, "missing", "as before"),
        (
            {"kind": "set_env", "variable": "LLAMA_ARG_CTX_SIZE", "value": "64"},
            {"context": 32},
            {"context": 64},
            "seen",
            "context = 64",
        ),
        ({"kind": "resize", "resource": "ram"}, {}, {"context": 1}, "not_seen", ""),
        (set_flag("--unheard-of", "1"), {}, {}, "not_seen", ""),
    ],
)
def test_effect_of_actions(
    action: dict[str, Any], before: dict[str, Any], after: dict[str, Any], state: str, text: str
) -> None:
    found = effect_of([action], [trial(**before)], [trial(**after)], OPTIONS)
    assert found.state == state
    assert text in found.text


def test_one_missing_of_two_is_missing() -> None:
    actions = [set_flag("-c", "64"), set_flag("-fa", "on")]
    before, after = trial(context=32, flash_attention="off"), trial(context=32, flash_attention="on")
    assert effect_of(actions, [before], [after], OPTIONS).state == "missing"


def test_what_only_was_declared_is_no_effect() -> None:
    after = trial(context=1024)
    after.document.runs[0].origins = {"setting.context": "--command (command line)"}
    assert effect_of([set_flag("-c", "1024")], [trial()], [after], OPTIONS).state == "not_seen"


def test_effect_of_a_given_setup() -> None:
    before, after = trial(context=512), trial(context=512)
    before.document.settings = [SettingEntry(name="context", declared=512, origin="x")]
    after.document.settings = [SettingEntry(name="context", declared=4096, origin="x")]
    found = effect_of_difference([before], [after])
    assert found.state == "missing"


@pytest.mark.parametrize(
    ("log", "more", "state"),
    [
        ("load_tensors: RPC0[127.0.0.1:50052] model buffer size = 3.00 MiB\n", (), "seen"),
        ("llama_kv_cache_init: RPC[10.0.0.2:50052] KV buffer size =     0.19 MiB\n", (), "seen"),
        ("load_tensors:   CPU_Mapped model buffer size = 3.00 MiB\n", (), "missing"),
        ("load_tensors:   CPU_Mapped model buffer size = 3.00 MiB\n", ("-ngl", "0"), None),
    ],
)
def test_buffers_on_rpc_workers(log: str, more: tuple[str, ...], state: str | None, tmp_path: Path) -> None:
    """llama-cpp-python's ``rpc_servers`` is passed over in silence: everything then runs here."""
    (tmp_path / "engine.log").write_text(log)
    found = rpc_effect([trial(tmp_path, ("llama-server", "-m", "m", "--rpc", "127.0.0.1:50052", *more))])
    assert (found.state if found else None) == state
