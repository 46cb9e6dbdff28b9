"""vLLM and SGLang before they start: what their share of the cards leaves for the KV cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.checking import check
from doctor.report.text import print_text
from tests.model.support import llama_70b


@pytest.mark.parametrize(
    ("command", "risks"),
    [
        ("vllm serve m --max-model-len 131072 -tp 2", {"vllm-context-over-kv-capacity"}),
        ("vllm serve m -tp 2", {"vllm-context-over-kv-capacity"}),  # the context of training counts
        ("vllm serve m --max-model-len 16384 -tp 2", set()),
        ("vllm serve m --max-model-len 131072 -tp 4", set()),
        ("vllm serve m --max-model-len 8192 --gpu-memory-utilization 0.6 -tp 2", {"vllm-weights-leave-no-kv"}),
        ("vllm serve m --max-model-len 8192 --gpu-memory-utilization 1.0 -tp 2", {"vllm-share-above-free"}),
        (
            "python -m sglang.launch_server --model-path m --tp 2 --mem-fraction-static 0.6",
            {"sglang-static-share-too-small"},
        ),
        ("python -m sglang.launch_server --model-path m --tp 4 --mem-fraction-static 0.85", set()),
    ],
)
def test_what_the_share_leaves(tmp_path: Path, command: str, risks: set[str]) -> None:
    (tmp_path / "m.yaml").write_text(llama_70b("F16"))
    document = check(command=command, model=tmp_path / "m.yaml", target="8x-h100")
    assert {finding.rule_id for finding in document.findings if finding.role == "risk"} == risks


MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {{name: llm-{number}}}
spec:
  volumes: [{{name: shm, emptyDir: {{medium: Memory, sizeLimit: 16Gi}}}}]
  containers:
    - name: vllm
      image: vllm/vllm-openai:v0.9.2
      args: [--model=/m, --tensor-parallel-size=4, --max-model-len=8192]
      volumeMounts: [{{name: shm, mountPath: /dev/shm}}]
      resources: {{limits: {{memory: 64Gi, nvidia.com/gpu: 4}}}}
"""


def test_a_limit_of_the_container_leaves_no_question_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The memory of vLLM's own processes is not counted, and nothing that a user could add would tell it."""
    for number in range(3):
        (tmp_path / f"pod-{number}.yaml").write_text(MANIFEST.format(number=number))
    (tmp_path / "m.yaml").write_text(llama_70b("F16"))
    paths = [tmp_path / f"pod-{number}.yaml" for number in range(3)]
    document = check(paths, model=tmp_path / "m.yaml", target="8x-h100")
    assert (document.verdict, document.could_not_judge) == ("clear", [])
    print_text(document)
    shown = capsys.readouterr().out
    assert shown.count("CUDA0: ") == 1  # what three hold alike is told once, and of whom it is said
    assert "2 others alike" in " ".join(shown.split())


def test_of_many_each_is_judged_as_if_it_were_alone(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(llama_70b("F16"))
    changes = {"one": "", "two": "--tensor-parallel-size=3", "three": "", "four": "--max-model-len=262144", "five": ""}
    paths = []
    for number, (name, more) in enumerate(changes.items()):
        text = MANIFEST.format(number=number).replace("--max-model-len=8192", more or "--max-model-len=8192")
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(text.replace("v0.9.2", "v0.11.0") if name == "five" else text)

    def risks(*named: Path) -> list[tuple[str, list[str]]]:
        document = check(named, model=tmp_path / "m.yaml", target="8x-h100")
        of = {run.id: run.source for run in document.runs}
        found = [(of[each.runs[0]], f"{each.role} {each.rule_id}") for each in document.findings]
        return sorted((source, sorted(rule for path, rule in found if path == source)) for source in of.values())

    together = risks(*paths)
    assert together == sorted(entry for path in paths for entry in risks(path))
    assert [any(rule.startswith("risk ") for rule in rules) for _, rules in together].count(True) == 2
