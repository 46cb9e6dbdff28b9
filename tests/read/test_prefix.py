from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.read.prefix import Envelope, envelope, host_of, relative_clock

NINE = datetime(2026, 2, 17, 9, 12, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "host", "unit", "pid"),
    [
        ("Feb 17 09:12:11 gpu-box ollama[4242]: x", "gpu-box", "ollama", 4242),
        ("Feb  7 09:12:11 gpu-box kernel: x", "gpu-box", "kernel", None),
        ("<4>Feb 17 09:12:11 10.0.0.5 python3[12]: x", "10.0.0.5", "python3", 12),
        ("2026-02-17T09:12:11.000000+0000 gpu-box systemd[1]: x", "gpu-box", "systemd", 1),
        ("2026-02-17T09:12:11+00:00 gpu-box kernel: x", "gpu-box", "kernel", None),
        ("ollama-1  | x", None, "ollama-1", None),
        ("my_service      | x", None, "my_service", None),
        ("[pod/llm-0/server] x", "llm-0", "server", None),
        ("[pod/llm-0/server] 2026-02-17T09:12:11Z x", "llm-0", "server", None),
        ("2026-02-17T09:12:11.1Z stderr F x", None, None, None),
        ("2026-02-17T09:12:11.1Z x", None, None, None),
        ("(EngineCore_0 pid=123) x", None, "EngineCore_0", 123),
        ("(VllmWorker rank=1 pid=77) x", None, "VllmWorker", 77),
        ("(RayWorkerWrapper pid=263, ip=10.0.16.95) x", "10.0.16.95", "RayWorkerWrapper", 263),
        ("(pid=776, ip=7.242.96.1) x", "7.242.96.1", None, 776),
        ("vllm-1  | (EngineCore_0 pid=123) x", None, "EngineCore_0", 123),
        ("Feb 17 09:12:11 box vllm[9]: (EngineCore_0 pid=123) x", "box", "EngineCore_0", 123),
        ("[12345.678901] x", None, None, None),
        ("16.15.162.661 I x", None, None, None),
    ],
)
def test_prefixes(line: str, host: str | None, unit: str | None, pid: int | None) -> None:
    found = envelope(line)
    assert (found.host, found.unit, found.pid) == (host, unit, pid)
    assert line[found.start :] in {"x", "I x"}


@pytest.mark.parametrize(
    "line",
    [
        "llama_model_loader: loaded meta data",
        "| NVIDIA-SMI 550.54  |",
        "GPU  | Memory",
        "error loading model: x",
        "[INFO] x",
        "(see pid 12) x",
        "1.2.3.4 - GET /",
        "",
    ],
)
def test_no_prefix(line: str) -> None:
    assert envelope(line) == Envelope()


@pytest.mark.parametrize(
    "line", ["2026-02-17T09:12:11Z slot update_slots: id 0", "2026-02-17T09:12:11Z error loading: x"]
)
def test_words_behind_a_time_are_no_host(line: str) -> None:
    found = envelope(line)
    assert (found.host, found.unit) == (None, None)
    assert found.time == NINE


def test_times_and_clocks() -> None:
    assert envelope("2026-02-17T09:12:11Z stderr F x").time == NINE
    assert envelope("2026-02-17T09:12:11+00:00 box ollama[1]: 0.01.220.013 E srv x").clock == pytest.approx(1.220013)
    assert envelope("16.15.162.661 I srv x").clock == pytest.approx(975.162661)
    assert envelope("[12345.678901] x").clock == pytest.approx(12345.678901)
    assert envelope("time=2026-02-17T09:12:11Z level=INFO x").time == NINE


@given(line=st.text(max_size=500))
def test_no_line_raises(line: str) -> None:
    found = envelope(line)
    assert 0 <= found.start <= len(line)


@pytest.mark.parametrize(
    ("head", "host"),
    [
        (b"Feb 17 09:12:11 gpu1.lab.example ollama[1]: x\n" * 20, "gpu1"),
        (b"Feb 17 09:12:11 10.0.0.5 ollama[1]: x\n" * 20, "10.0.0.5"),
        (b"Feb 17 09:12:11 a x[1]: y\nFeb 17 09:12:11 b x[1]: y\n" * 20, None),
        (b"Feb 17 09:12:11 localhost x[1]: y\n" * 20, None),
        (b"plain\n" * 20 + b"Feb 17 09:12:11 a x[1]: y\n", None),
        (b"", None),
        (bytes(2000), None),
    ],
)
def test_the_host_of_a_log(head: bytes, host: str | None) -> None:
    assert host_of(head) == host


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("0.00.100.000 I base", 0.1),
        (
            "Feb 17 09:12:11 a-host-with-a-long-name a-unit-with-a-long-name@instance[12345]: 1.00.000.000 W x",
            60,
        ),
        ("srv | 1.00.000.000 W x", None),
        ("see 1.02.003.004 I think", None),
        ("[12345.678901] x", None),
    ],
)
def test_the_relative_clock_of_llama_cpp(line: str, seconds: float | None) -> None:
    assert relative_clock(line) == (seconds if seconds is None else pytest.approx(seconds))
