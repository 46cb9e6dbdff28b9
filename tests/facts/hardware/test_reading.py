from __future__ import annotations

import random
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts.catalogue import load_catalogue
from doctor.facts.hardware import READERS, merge, read_hardware, reader
from doctor.facts.hardware.reading import columns, command_of, cpu_list, decimal, number, size
from doctor.vocabulary.facts import Origin, Record

from .support import FIXTURES, GIB, MIB, facts, reading, records

OUTPUTS = sorted(
    path for path in FIXTURES.rglob("*") if path.is_file() and path.name != "made.yaml" and ".expect." not in path.name
)
TEXTS = [path.read_text(encoding="utf-8") for path in OUTPUTS]
NAMES = [str(path.relative_to(FIXTURES)) for path in OUTPUTS]


@pytest.mark.parametrize("name", NAMES)
def test_every_fixture_is_read_from_its_own_lines_into_catalogue_names(name: str) -> None:
    found = reading(name)
    count = (FIXTURES / name).read_text().count("\n") + 1
    catalogue = load_catalogue()
    assert found.blocks
    assert found.facts or found.records
    for fact in found.facts:
        assert catalogue.type_of(fact.name), fact.name
    for record in found.records:
        assert set(record.fields) <= set(catalogue.records[record.kind]), record
    for origin in [fact.origin for fact in found.facts] + [record.origin for record in found.records]:
        assert origin.path == name
        assert any(block.first_line <= (origin.line or 0) <= block.last_line for block in found.blocks)
    assert all(1 <= block.first_line <= block.last_line <= count for block in found.blocks)


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in FIXTURES.glob("*/made.yaml")))
def test_every_fixture_says_how_it_was_made(folder: str) -> None:
    made = yaml.safe_load((FIXTURES / folder / "made.yaml").read_text())
    here = FIXTURES / folder
    assert set(made) == {str(path.relative_to(here)) for path in OUTPUTS if path.is_relative_to(here)}


def test_a_session_of_eight_commands() -> None:
    name = "hosts/epyc-1tb.txt"
    found = facts(name)
    assert found["host.ram_total"] == 1007 * GIB
    assert found["host.swap_total"] == 7 * GIB
    assert found["host.memlock_limit"] == -1
    assert [node["size"] for node in records(name, "numa_node")] == [515866 * MIB, 516063 * MIB]
    assert records(name, "file") == [{"path": "/srv/llm/models/DeepSeek-V3-Q8_0", "bytes": 664 * GIB}]
    # the table and the query speak of one card; the query's free memory is the driver's own and came later
    (card,) = records(name, "device")
    assert (card["description"], card["free"]) == ("NVIDIA GeForce RTX 4090", 24077 * MIB)
    kinds = [block.kind for block in reading(name).blocks]
    assert kinds == ["system", "free", "numactl", "file sizes", "nvidia-smi", "ulimit", "nvidia-smi --query"]


def test_all_outputs_in_one_text_are_read_as_each_alone() -> None:
    text, expected = "", []
    for path, own in zip(NAMES, TEXTS, strict=True):
        if "saved/" in path or path == "memory/free-g.txt":
            continue  # these are told by their file's name
        before = text.count("\n")
        expected += [(fact.name, fact.value, before + (fact.origin.line or 0)) for fact in reading(path).facts]
        text += own + "\n\n"
    found = [(fact.name, fact.value, fact.origin.line) for fact in read_hardware(text, "all").facts]
    assert found == expected


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_truncated_and_damaged_outputs_never_raise(data: st.DataObject) -> None:
    """The readers are called themselves: ``read_hardware`` would hide an exception."""
    text = data.draw(st.sampled_from(TEXTS))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    lines = text[start:end].split("\n")
    if data.draw(st.booleans()):
        rng = random.Random(data.draw(st.integers(0, 2**32)))
        lines = ["".join(rng.choice("|:0 9G-x") if rng.random() < 0.1 else c for c in line) for line in lines]
    for name in READERS:
        module = reader(name)
        for i, line in enumerate(lines):
            if module.marker.search(line):
                found = module.read(lines[i:], i + 1, "x")
                assert all(i + 1 <= block.first_line <= block.last_line <= len(lines) for block in found.blocks)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_random_text_never_raises(text: str) -> None:
    for name in READERS:
        reader(name).read(text.split("\n"), 1, "x")
    assert all(block.last_line <= text.count("\n") + 1 for block in read_hardware(text, "x").blocks)


@pytest.mark.parametrize("name", sorted(READERS))
def test_long_hostile_lines_take_no_long_time(name: str) -> None:
    """Runs of blanks, digits or brackets behind a beginning that the reader knows must not cost quadratic time."""
    module = reader(name)
    starts = {line for text in TEXTS for line in text.split("\n") if module.marker.search(line)} | set(READERS[name])
    began = time.perf_counter()
    for start in sorted(starts)[:12]:
        for filler in (" ", "0", "| ", "a.", "N0=1 ", ": ", "\t", "(", "'", '"', "/"):
            long = start + filler * (20_000 // len(filler)) + "!"
            module.marker.search(long)
            module.read([start, long, start, long], 1, "x")
    assert time.perf_counter() - began < 5


def test_a_reader_that_fails_costs_only_its_own_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(lines: list[str], first_line: int, path: str) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(reader("free"), "read", broken)
    found = read_hardware((FIXTURES / "hosts/epyc-1tb.txt").read_text(), "x")
    assert [problem for problem in found.problems if "RuntimeError" in problem]
    assert {fact.name for fact in found.facts} >= {"host.numa_nodes", "host.gpu_driver"}


def test_merge_keeps_what_has_no_identity() -> None:
    at = Origin("x", 1)
    merged = merge(
        [
            Record("device", {"backend": "cuda", "index": 0, "free": 1}, at),
            Record("device", {"backend": "cuda", "index": 0, "free": 2, "mig": True}, at),
            Record("device", {"backend": "cuda", "index": 1, "free": 3}, at),
            Record("device", {"backend": "cuda", "free": 4}, at),
            Record("buffer", {"bytes": 5}, at),
            Record("buffer", {"bytes": 5}, at),
        ]
    )
    assert [record.fields.get("free", record.fields.get("bytes")) for record in merged] == [2, 3, 4, 5, 5]
    assert merged[0].fields["mig"] is True


def test_small_tools() -> None:
    assert size("24564MiB") == 24564 * MIB
    assert size("N/A") is None
    assert size("9" * 400) is None or size("9" * 400) == int("9" * 400)
    assert number("12 ") == 12
    assert number("9" * 30) is None
    assert decimal("450.00 W") == 450.0
    assert decimal("N/A") is None
    assert cpu_list("0-3,8") == [0, 1, 2, 3, 8]
    assert cpu_list("") == []
    assert cpu_list("zero") is None
    assert command_of("root@box:/srv# free -g ") == "free -g"
    assert command_of("[me@box ~]$ sudo dmesg") == "dmesg"
    assert command_of("Mem: 12 # comment") is None
    assert columns("NAME ROTA   SIZE MODEL", "sda     1   7.3T WD x") == {
        "NAME": "sda",
        "ROTA": "1",
        "SIZE": "7.3T",
        "MODEL": "WD x",
    }
