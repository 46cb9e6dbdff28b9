from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts.config.sniff import classify

FIXTURES = Path(__file__).parents[3] / "fixtures"
ABOUT = (".expect.yaml", "made.yaml")  # what is said of the outputs, beside them
HARDWARE = sorted(p for p in (FIXTURES / "hardware").rglob("*") if p.is_file() and not p.name.endswith(ABOUT))
LOG = b"llama_model_loader: loaded meta data\nllm_load_tensors: offloaded 0/3 layers\nmain: done\n"


@pytest.mark.parametrize("path", HARDWARE, ids=lambda path: path.name)
def test_saved_outputs(path: Path) -> None:
    assert classify(str(path), path.read_bytes()[: 64 * 1024]) == "hardware"


@pytest.mark.parametrize(
    ("path", "head", "kind"),
    [
        ("srv/.env", b"A=1\n", "env"),
        ("srv/.env.production", b"A=1\nnot one\n", "env"),
        ("srv/gpu.env", b"", "env"),
        ("/etc/default/ollama", b"# nothing yet\n", "env"),
        ("vars.txt", b"# mine\nexport A=1\nB='2'\nC=3\n", "env"),
        ("environ", b"A=1\0B=2\0", "env"),
        ("utf16.txt", "A=1\nB=2\n".encode("utf-16"), "env"),
        ("few.txt", b"A=1\nsome words\nmore words\n", "log"),
        ("ollama.service", b"", "config"),
        ("ollama.service.d/override.conf", b"[Service]\nEnvironment=A=1\n", "config"),
        ("unit.txt", b"# /etc/systemd/system/x.service\n[Unit]\nDescription=x\n[Service]\nEnvironment=A=1\n", "config"),
        ("docker-compose.yml", b"a: 1\n", "config"),
        ("stack.yaml", b"services:\n  llm:\n    image: x\n", "config"),
        ("pod.yaml", b"---\napiVersion: v1\nkind: Pod\n", "config"),
        ("Modelfile", b"FROM llama3\n", "config"),
        ("server.log", LOG, "log"),
        (
            "short.log",
            b'time=2026-01-21T07:58:24.395Z level=INFO source=routes.go:1614 msg="total blobs: 1"\n' * 3,
            "log",
        ),
        ("docker.log", b'time="2026-01-21T07:58:24Z" level=error msg="no such container"\n', "log"),
        ("empty.txt", b"", "log"),
        ("noise", bytes(range(256)) * 8, "log"),
        (
            "dmesg.txt",
            b"[    0.022334] ACPI: SRAT 0x0\n[  312.000001] Out of memory: Killed process 1 (python)\n",
            "log",
        ),
        ("data.json", b'{"log":"hello\\n","stream":"stderr","time":"2026-01-01T00:00:00Z"}\n', "log"),
    ],
)
def test_names_and_contents(path: str, head: bytes, kind: str) -> None:
    assert classify(path, head) == kind


def test_an_output_at_the_head_of_a_log_leaves_it_a_log() -> None:
    table = (FIXTURES / "hardware/nvidia-smi/two-cards.txt").read_bytes()
    assert classify("x.txt", table) == "hardware"
    assert classify("x.txt", table + b"\n" + LOG) == "log"
    assert classify("x.txt", b"The machine of the report:\n" + table) == "hardware"
    assert classify("x.txt", b"2026-01-12 09:14:02 INFO starting\n" + table) == "log"


def test_an_output_far_down_in_other_text_does_not_count() -> None:
    free = (FIXTURES / "hardware/memory/free-h.txt").read_bytes()
    assert classify("notes.txt", b"some words of mine\n" * 60 + free) == "log"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(head: bytes) -> None:
    assert classify("x", head) in {"env", "config", "hardware", "log"}


def test_long_hostile_heads_take_no_long_time() -> None:
    began = time.perf_counter()
    for filler in (b" ", b"\n", b"services:\n", b"A=", b"\t\n", b"[Unit", b"apiVersion: a\n", b"2026-"):
        classify("x", filler * (65536 // len(filler)))
    assert time.perf_counter() - began < 10
