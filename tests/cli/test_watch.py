"""``llmdoctor watch`` on files that are written while it looks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

START = (
    "0.00.003.750 I srv  llama_server: initializing ...\n0.00.030.496 I srv    load_model: loading model '{model}'\n"
)
MISSING = (
    "0.00.030.876 E gguf_init_from_file: failed to open GGUF file '{model}' (No such file or directory)\n"
    "0.00.031.752 E srv    load_model: failed to load model, '{model}'\n"
    "0.00.032.476 E srv  llama_server: exiting due to model loading error\n"
)
SERVES = "0.07.530.362 I srv  llama_server: listening on http://127.0.0.1:8123\n"


class Watching:
    """A process that watches, and the records that it has printed."""

    def __init__(self, *arguments: str | Path, **env: str) -> None:
        words = [sys.executable, "-c", "from doctor.cli import main; main()", "watch", "--format", "jsonl"]
        self.process = subprocess.Popen(
            [*words, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def next(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self._lines.get(timeout=60))
        return record

    def finding(self) -> str:
        record = self.next()
        assert record["type"] == "finding", record
        return str(record["finding"]["rule_id"])

    def looked(self) -> None:
        """Until it has seen what was there."""
        record = self.next()
        assert record["type"] == "watching", record

    def is_silent(self) -> bool:
        """Nothing more was told by the time it ended."""
        self.end()
        try:
            return self._lines.get_nowait() is None
        except Empty:
            return True

    def end(self) -> str:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=60)
        return errors


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Any]:
    started: list[Watching] = []

    def start(*arguments: str | Path, **env: str) -> Watching:
        started.append(Watching(*arguments, **env))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def write(path: Path, text: str, *, model: str = "a.gguf") -> None:
    with path.open("a") as file:
        file.write(text.format(model=model))


def test_a_finding_is_told_once_and_again_for_a_new_run(tmp_path: Path, watching: Any) -> None:
    log = tmp_path / "server.log"
    write(log, START)
    watch = watching(log)
    watch.looked()
    write(log, MISSING)
    assert watch.finding() == "model-file-not-found"
    write(log, START + MISSING, model="b.gguf")
    assert watch.next()["type"] == "run"
    second = watch.next()
    assert (second["run"], second["finding"]["rule_id"]) == (2, "model-file-not-found")
    assert "b.gguf" in second["finding"]["summary"]
    assert "2 finding(s) in 2 run(s)" in watch.end()
    assert watch.process.returncode == 0


def test_what_is_there_already_is_told_of_the_present_run_only(tmp_path: Path, watching: Any) -> None:
    log = tmp_path / "server.log"
    write(log, START + MISSING + START + SERVES)
    watch = watching(log)
    watch.looked()
    write(log, START + MISSING)
    assert watch.next()["type"] == "run"
    assert watch.finding() == "model-file-not-found"
    assert watch.is_silent()


def test_a_renamed_log_goes_on_in_the_new_file(tmp_path: Path, watching: Any) -> None:
    log = tmp_path / "server.log"
    write(log, START)
    watch = watching(log)
    watch.looked()
    log.rename(tmp_path / "server.log.1")
    write(tmp_path / "server.log.1", "one more line for the old file\n")
    write(log, MISSING)
    assert watch.next()["text"] == "was rotated: its new file is read from the start"
    assert watch.finding() == "model-file-not-found"


def test_a_log_that_is_copied_and_cut_goes_on(tmp_path: Path, watching: Any) -> None:
    log = tmp_path / "server.log"
    write(log, START + "one more line that makes it longer than what comes\n" * 20)
    write(log, MISSING)
    watch = watching(log)
    assert watch.finding() == "model-file-not-found"
    watch.looked()
    shutil.copy(log, tmp_path / "server.log.1")
    os.truncate(log, 0)
    write(log, START + MISSING, model="c.gguf")
    assert watch.next()["text"] == "was cut to nothing and is written anew"
    assert watch.next()["type"] == "run"
    assert watch.finding() == "model-file-not-found"


def test_a_healthy_log_is_silent(tmp_path: Path, watching: Any) -> None:
    healthy = next(Path(__file__).parents[2].glob("fixtures/healthy/llama-box-rpc-context-shift-cured/*.log"))
    log = tmp_path / "server.log"
    shutil.copy(healthy, log)
    second = tmp_path / "other.log"
    write(second, START)
    watch = watching(log, second)
    watch.looked()
    watch.looked()
    write(second, MISSING)
    record = watch.next()
    assert (record["type"], record["path"]) == ("finding", str(second))
    assert watch.is_silent()


def test_the_file_of_settings_counts(tmp_path: Path, watching: Any) -> None:
    log, settings = tmp_path / "server.log", tmp_path / "settings.toml"
    write(log, START + MISSING)
    settings.write_text('redact-words = ["a.gguf"]\n')
    finding = watching("--config", settings, log).next()["finding"]
    assert finding["rule_id"] == "model-file-not-found"
    assert "a.gguf" not in json.dumps(finding)
    settings.write_text('[severity]\nmodel-file-not-found = "info"\n')
    record = watching("--config", settings, log).next()
    assert record.get("finding", {}).get("rule_id") != "model-file-not-found"
    settings.write_text('ignore = ["model-file-not-fund"]\n')
    wrong = watching("--config", settings, log).process
    assert "did you mean model-file-not-found?" in wrong.communicate(timeout=60)[1]
    assert wrong.returncode == 2


def test_what_is_accepted_is_not_told_in_any_run(tmp_path: Path, watching: Any) -> None:
    log, baseline = tmp_path / "server.log", tmp_path / "accepted.toml"
    baseline.write_text('[[suppress]]\nrule = "model-file-not-found"\nreason = "it is mounted later"\ncount = 1\n')
    write(log, START + MISSING)
    watch = watching("--baseline", baseline, log)
    watch.looked()
    write(log, START + MISSING)
    assert watch.next()["type"] == "run"
    assert watch.is_silent()


def test_what_cannot_be_watched_says_so(tmp_path: Path, watching: Any) -> None:
    for arguments, words in (
        ([tmp_path / "none.log"], "No such file"),
        ([tmp_path], "folder"),
        ([], "Nothing to watch"),
        (["--journal", "a b"], "not a name that a service can have"),
    ):
        watch = watching(*arguments)
        assert words in watch.process.communicate(timeout=60)[1]
        assert watch.process.returncode == 2


def test_without_the_platforms_tool_it_says_where_to_go(watching: Any, tmp_path: Path) -> None:
    watch = watching("--journal", "ollama.service", PATH=str(tmp_path))
    errors = watch.process.communicate(timeout=60)[1]
    assert "there is no journalctl here" in errors
    assert "hint: watch its log file" in errors
    assert watch.process.returncode == 2
