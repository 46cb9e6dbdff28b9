"""What ``llmdoctor check`` costs on a folder of many Kubernetes manifests: without a risk, and with three risks each.

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
MODEL = ROOT / "tests/model/llama-3.3-70b.yaml"
CLEAR = (
    ("--tensor-parallel-size=3", "--tensor-parallel-size=4"),
    ("--gpu-memory-utilization=0.97", "--gpu-memory-utilization=0.9"),
    ("nvidia.com/gpu: 3}", "nvidia.com/gpu: 4}\n          volumeMounts: [{name: shm, mountPath: /dev/shm}]"),
    (
        "      containers:",
        "      volumes: [{name: shm, emptyDir: {medium: Memory, sizeLimit: 16Gi}}]\n      containers:",
    ),
)
"""What makes a manifest without risks of it."""


def fleet(folder: Path, manifests: int, shapes: int, *, clear: bool) -> None:
    """Writes the manifests and the model's numbers."""
    folder.mkdir()
    (folder / "manifests").mkdir()
    for number in range(manifests):
        shape = number % shapes
        context = (8192 if clear else 262144) + 256 * shape
        text = MANIFEST.format(number=number, context=context, slots=16 + shape % 64)
        for risky, good in CLEAR if clear else ():
            text = text.replace(risky, good)
        (folder / "manifests" / f"llm-{number:04}.yaml").write_text(text, encoding="utf-8")
    numbers = MODEL.read_text(encoding="utf-8").replace("Q4_K_M", "F16")
    (folder / "model.yaml").write_text(numbers, encoding="utf-8")


def measure(folder: Path) -> tuple[float, float, str]:
    """Seconds of one call as a user makes it, those of the processor, and the first line that it says."""
    words = [sys.executable, "-c", "from doctor.cli import main; main()", "check", str(folder / "manifests")]
    words += ["--model", str(folder / "model.yaml"), "--target", "8x-h100"]
    before = _processor()
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    seconds = time.perf_counter() - began
    if done.returncode not in {0, 1}:
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
        for clear in (True, False):
            folder = Path(name, "clear" if clear else "risky")
            fleet(folder, wanted.manifests, wanted.shapes, clear=clear)
            measure(folder)  # fills the caches
            found = [measure(folder) for _ in range(wanted.repeats)]
            seconds, used = (statistics.median(float(each[i]) for each in found) for i in (0, 1))
            least = min(each[1] for each in found)
            print(f"{wanted.manifests} manifests of {wanted.shapes} shapes, {folder.name}: {found[0][2]}")
            print(f"  {used:.2f} s of the processor (least {least:.2f}), {seconds:.2f} s on the clock")
    print(f"load {os.getloadavg()[0]:.1f}; a loop that takes 0.1 s on an idle machine: {_loop():.2f} s")


def _loop() -> float:
    """Seconds of the processor that a piece of work takes which is always the same: how much the figures above suffer
    from what else runs on the same cores."""
    before, made = time.process_time(), {}
    for number in range(400_000):
        made[str(number % 1000)] = (number, [number])
    return time.process_time() - before


if __name__ == "__main__":
    main()
