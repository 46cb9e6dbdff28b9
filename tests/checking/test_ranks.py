"""vLLM and SGLang before they start: what their share of the cards leaves for the KV cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.checking import check
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
