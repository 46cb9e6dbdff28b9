"""What a trial would disturb."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doctor.trial import guard
from doctor.trial.guard import Service, conflicts, live_services
from doctor.trial.setup import Setup, of_command
from tests.trial.loops.conftest import free_port


@pytest.fixture
def live(tmp_path: Path) -> Iterator[int]:
    """A process whose program is called as an engine's is, started by somebody else."""
    program = tmp_path / "llama-server"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    started = subprocess.run(["sh", "-c", f"{program} 60 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True)
    pid = int(started.stdout)
    yield pid
    subprocess.run(["kill", str(pid)], check=False)


def test_taken_port() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert conflicts(of_command(f"llama-server -m m --port {port}")) == [
            f"something listens on 127.0.0.1:{port} already"
        ]
    assert conflicts(of_command(f"llama-server -m m --port {free_port()}")) == []


def test_engines_of_others_are_seen_and_own_are_not(live: int) -> None:
    for _ in range(50):
        if live in {service.pid for service in live_services()}:
            break
        time.sleep(0.05)
    assert live in {service.pid for service in live_services()}
    own = subprocess.Popen([str(Path(f"/proc/{live}/exe").readlink()), "60"])
    try:
        assert own.pid not in {service.pid for service in live_services()}
    finally:
        own.kill()
        own.wait()


@pytest.mark.parametrize(
    ("service", "free", "more", "told"),
    [
        (Service(7, "ollama", 1), 10, "", "the model takes 20.0 KiB and 10 B are free beside ollama (pid 7)"),
        (Service(7, "ollama", 1, ("/dev/nvidia0",)), 1 << 40, "-ngl 99", "ollama (pid 7) uses /dev/nvidia0"),
        (Service(7, "ollama", 1, ("/dev/nvidia0",)), 1 << 40, "-ngl 0", ""),
        (None, 10, "", ""),
    ],
)
def test_devices_and_memory(
    service: Service | None, free: int, more: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(bytes(20480))
    monkeypatch.setattr(guard, "live_services", lambda: iter([service] if service else []))
    monkeypatch.setattr(guard, "_free", lambda: free)
    found = conflicts(of_command(f"llama-server -m {model} --port {free_port()} {more}"))
    assert found == ([told] if told else [])


def test_embedded_takes_no_port() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        words = ("llama-server", "-m", "m", "--port", str(holder.getsockname()[1]))
        assert conflicts(Setup(words, python=True)) == []
