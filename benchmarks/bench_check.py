"""What ``llmdoctor check`` costs on a folder of many Kubernetes manifests, each with several risks.

    python benchmarks/bench_check.py [--manifests 200] [--shapes 200] [--repeats 3]

``--shapes``: of so many different deployments the manifests are copies that differ in their names only.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MANIFEST = """\
# fleet {number}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: llm-{number}
  labels: {{app: llm-{number}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: llm-{number}}}}}
  template:
    metadata:
      labels: {{app: llm-{number}}}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.9.2  # pinned
          args:
            - --model=/models/llama-3.3-70b
            - --tensor-parallel-size=3
            - --max-model-len={context}
            - --gpu-memory-utilization=0.97
            - --max-num-seqs={slots}
          ports: [{{containerPort: 8000}}]
          resources:
            limits: {{memory: 16Gi, nvidia.com/gpu: 3}}
"""
MODEL = """\
name: Llama 3.3 70B
params: 70.6B
quant: F16
layers: 80
embd: 8192
ff: 28672
heads: 64
heads_kv: 8
vocab: 128256
context: 131072
"""


def fleet(folder: Path, manifests: int, shapes: int) -> None:
    """Writes the manifests and the model's numbers."""
    (folder / "manifests").mkdir()
    for number in range(manifests):
        shape = number % shapes
        text = MANIFEST.format(number=number, context=262144 + 256 * shape, slots=16 + shape % 64)
        (folder / "manifests" / f"llm-{number:04}.yaml").write_text(text, encoding="utf-8")
    (folder / "model.yaml").write_text(MODEL, encoding="utf-8")


def measure(folder: Path) -> tuple[float, float, str]:
    """Seconds of one call as a user makes it, those of the processor, and the first line that it says."""
    words = [sys.executable, "-c", "from doctor.cli import main; main()", "check", str(folder / "manifests")]
    words += ["--model", str(folder / "model.yaml"), "--target", "8x-h100"]
    before = _processor()
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    seconds = time.perf_counter() - began
    if done.returncode != 1:
        raise SystemExit(f"exit status {done.returncode}: {done.stderr or done.stdout}")
    return seconds, _processor() - before, done.stdout.splitlines()[0].strip()


def _processor() -> float:
    """Seconds of the processor that the children have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifests", type=int, default=200)
    parser.add_argument("--shapes", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fleet(Path(name), wanted.manifests, wanted.shapes)
        measure(Path(name))  # fills the caches
        found = [measure(Path(name)) for _ in range(wanted.repeats)]
    seconds, used = (statistics.median(each[i] for each in found) for i in (0, 1))
    loaded = f"{used:.2f} s of the processor; load {os.getloadavg()[0]:.1f}"
    print(f"{wanted.manifests} manifests of {wanted.shapes} shapes: {seconds:.2f} s ({loaded})")
    print(found[0][2])


if __name__ == "__main__":
    main()
