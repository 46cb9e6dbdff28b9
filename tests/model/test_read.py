from __future__ import annotations

import json
from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.model.read import read_model
from tests.model.support import LLAMA, header, put, tensor


def split(folder: Path, count: int) -> list[Path]:
    """A model in several files, a tensor in each."""
    found = []
    for number in range(1, count + 1):
        pairs = {**(LLAMA if number == 1 else {}), "split.count": count, "split.no": number - 1}
        content = header(pairs, [tensor(f"blk.{number}.x.weight", (256, number), kind=1)])
        content += b"\0" * (-len(content) % 32) + b"\0" * 512 * number
        found.append(put(folder, content, f"m-{number:05d}-of-{count:05d}.gguf"))
    return found


def test_a_split_model_is_read_from_any_of_its_files(tmp_path: Path) -> None:
    files = split(tmp_path, 3)
    for file in files:
        found = read_model(file)
        assert found.weights == 512 * 6
        assert found.facts["model.arch"] == "llama"
        assert [path for path, _ in found.files] == [str(path) for path in files]
        assert not found.problems
    assert read_model(tmp_path).weights == 512 * 6


def test_a_missing_file_of_a_split_model_is_a_problem(tmp_path: Path) -> None:
    files = split(tmp_path, 3)
    files[1].unlink()
    found = read_model(files[0])
    assert found.weights == 512 * 4
    assert found.problems == ["of the 3 files of this model m-00002-of-00003.gguf is missing: figures are too low"]


def test_a_file_that_is_cut_short_says_by_how_much(tmp_path: Path) -> None:
    found = read_model(put(tmp_path, header(LLAMA, [tensor("x.weight", (256, 4), kind=1)])))
    assert "cut short" in found.problems[0]
    assert "of 2048 bytes are missing" in found.problems[0]


def test_an_ollama_manifest_leads_to_its_blob(tmp_path: Path) -> None:
    digest = "a" * 64
    blobs, manifests = tmp_path / "blobs", tmp_path / "manifests/registry/library/m"
    blobs.mkdir()
    manifests.mkdir(parents=True)
    put(blobs, header(LLAMA, [tensor("x.weight", (256, 4), kind=1)]) + b"\0" * 4096, f"sha256-{digest}")
    layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}]
    (manifests / "latest").write_text(json.dumps({"layers": layers}))
    assert read_model(manifests / "latest").facts["model.layers"] == 2
    assert read_model(blobs / f"sha256-{digest}").facts["model.layers"] == 2
    layers[0]["digest"] = "sha256:../../etc/passwd"
    (manifests / "latest").write_text(json.dumps({"layers": layers}))
    with pytest.raises(UsageProblem, match="is not there"):
        read_model(manifests / "latest")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.gguf", b"<html>", "web page"),
        ("m.bin", b"\0\1\2", "not a model"),
        ("m.json", b"[1, 2]", "not an object"),
        ("m.json", b"{" * 100_000, "neither a model nor JSON"),
        ("m.json", b'{"a": 1}', "no configuration of a language model"),
        ("m.yaml", b"a: [", "not YAML"),
        ("m.yaml", b"- 1", "no 'key: value'"),
        ("m.yaml", b"layer: 3", "unknown key 'layer'"),
        ("m.yaml", b"layers: x\nsize: 1 GB", "no number"),
        ("m.yaml", b"layers: 4\nsize: 1 GB", "heads_kv"),
        ("m.yaml", b"layers: 4\nheads: 4\nembd: 64", "no size of the weights"),
    ],
)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    with pytest.raises(UsageProblem, match=words) as caught:
        read_model(put(tmp_path, content, name))
    assert "\n" not in caught.value.message


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"neither config\.json nor a GGUF file"):
        read_model(tmp_path)
    with pytest.raises(UsageProblem, match="no such model"):
        read_model(tmp_path / "none")


def test_numbers_in_yaml_are_a_model(tmp_path: Path) -> None:
    lines = "name: Llama 3.3 70B\nparams: 70.6B\nquant: Q4_K_M\nlayers: 80\nembd: 8192\nheads: 64\nheads_kv: 8\n"
    found = read_model(put(tmp_path, (lines + "vocab: 128256\ncontext: 131072\n").encode(), "m.yaml"))
    assert found.weights == pytest.approx(42.5e9, rel=0.02)  # the published file has 42.5 GB
    assert found.facts["model.embd_k_gqa"] == 1024
    assert found.facts["model.context_train"] == 131072
