"""Several machines: RPC workers and ranks on other hosts count, and builds that differ are a risk."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.checking import check
from doctor.vocabulary.document import Diagnosis
from tests.model.support import llama_70b

CARD = "devices: [{{name: NVIDIA GeForce RTX 4090, memory: 24564 MiB, free: 24100 MiB, count: {count}}}]\n"
COMPOSE = """\
services:
  llm:
    image: ghcr.io/ggml-org/llama.cpp:server-cuda-b6500
    command: -m /models/m.gguf -ngl 99 -c 8192 -np 1 --rpc worker:50052
    gpus: all
  worker:
    image: ghcr.io/ggml-org/llama.cpp:full-cuda-{build}
    entrypoint: /app/rpc-server
    command: -H 0.0.0.0 -p 50052
    gpus: all
"""


def found(folder: Path, *targets: str, build: str = "b6500", command: str = "", quant: str = "Q4_K_M") -> Diagnosis:
    (folder / "m.yaml").write_text(llama_70b(quant))
    (folder / "docker-compose.yml").write_text(COMPOSE.format(build=build))
    names = []
    for number, text in enumerate(targets):
        (folder / f"host-{number}.yaml").write_text(f"name: host-{number}\nram: 64 GiB\n{text}")
        names.append(str(folder / f"host-{number}.yaml"))
    paths = [] if command else [folder / "docker-compose.yml"]
    return check(paths, command=command or None, model=folder / "m.yaml", target=names)


def risks(document: Diagnosis) -> set[str]:
    return {finding.rule_id for finding in document.findings if finding.role == "risk"}


def test_what_one_card_cannot_hold_two_machines_can(tmp_path: Path) -> None:
    card = CARD.format(count=1)
    assert "vram-weights" in risks(found(tmp_path, card))
    both = found(tmp_path, card, card)
    assert risks(both) == set()
    assert [entry.device for entry in both.memory] == ["RPC[worker:50052]", "CUDA0", "host"]


def test_a_worker_without_a_card_offers_its_memory(tmp_path: Path) -> None:
    document = found(tmp_path, CARD.format(count=1), "")
    (worker,) = [entry for entry in document.memory if entry.device.startswith("RPC")]
    assert worker.total == 64 * 2**30


@pytest.mark.parametrize(("build", "wanted"), [("b6400", {"rpc-version-mismatch-told"}), ("b6500", set())])
def test_nodes_of_another_build(tmp_path: Path, build: str, wanted: set[str]) -> None:
    card = CARD.format(count=1)
    document = found(tmp_path, card, card, build=build)
    assert risks(document) == wanted
    if wanted:
        assert "service worker has b6400" in document.findings[0].summary


def test_a_probe_tells_the_workers_build(tmp_path: Path) -> None:
    card = CARD.format(count=1)
    probe = (
        "schema: llmdoctor/probe/1\nfacts: {host.ram_total: 64GiB}\nrecords:\n"
        "  program: [{name: rpc-server, path: /usr/bin/rpc-server, first: true, version: 6400 (65c797c4)}]\n"
        "  device: [{index: 0, backend: cuda, description: NVIDIA GeForce RTX 4090, total: 24564MiB, free: 24100MiB}]\n"
    )
    (tmp_path / "worker.yaml").write_text(probe)
    (tmp_path / "one.yaml").write_text(f"name: one\nram: 64 GiB\n{card}")
    (tmp_path / "llm.yml").write_text(COMPOSE.format(build="b6500").split("  worker:\n")[0])
    document = check([tmp_path / "llm.yml"], target=[tmp_path / "one.yaml", tmp_path / "worker.yaml"])
    assert "rpc-version-mismatch-told" in risks(document)


def test_ranks_over_two_machines(tmp_path: Path) -> None:
    cards = CARD.format(count=4)
    on_line = "vllm serve m --tensor-parallel-size 4 --pipeline-parallel-size 2 --max-model-len 8192"
    document = found(tmp_path, cards, cards, command=on_line, quant="F16")
    assert len([entry for entry in document.memory if entry.device != "host"]) == 8
