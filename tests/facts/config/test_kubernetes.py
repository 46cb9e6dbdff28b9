from __future__ import annotations

import pytest

from tests.facts.config.support import limits, one, read_files, variables

GIB = 1024**3
DEPLOYMENT = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: llm-env}
data:
  VLLM_USE_V1: "0"
  MODEL: Qwen/Qwen2.5-7B-Instruct
---
# the server
apiVersion: apps/v1
kind: Deployment
metadata:
  name: llm
spec:
  template:
    spec:
      initContainers:
        - {name: fetch, image: curlimages/curl}
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.8.5
          args: ["--model", "$(MODEL)", "--max-model-len", "32768"]
          envFrom:
            - configMapRef: {name: llm-env}
          env:
            - name: HF_HUB_OFFLINE
              value: "1"
            - name: HF_TOKEN
              valueFrom: {secretKeyRef: {name: hf, key: token}}
          resources:
            limits:
              nvidia.com/gpu: 2
              memory: 64Gi
          volumeMounts:
            - {name: shm, mountPath: /dev/shm}
        - name: metrics
          image: prom/statsd-exporter
      volumes:
        - name: shm
          emptyDir:
            medium: Memory
            sizeLimit: 16Gi
"""


def test_a_deployment_with_a_config_map() -> None:
    declared = read_files({"llm.yaml": DEPLOYMENT})
    vllm, metrics = declared.workloads
    assert (vllm.name, metrics.name) == ("Deployment llm, container vllm", "Deployment llm, container metrics")
    assert vllm.texts == ["vllm", "serve", "--model", "Qwen/Qwen2.5-7B-Instruct", "--max-model-len", "32768"]
    assert variables(vllm) == {"VLLM_USE_V1": "0", "MODEL": "Qwen/Qwen2.5-7B-Instruct", "HF_HUB_OFFLINE": "1"}
    assert {v.name: v.line for v in vllm.variables} == {"VLLM_USE_V1": 5, "MODEL": 6, "HF_HUB_OFFLINE": 26}
    assert vllm.words[3].place is not None
    assert vllm.words[3].place.line == 6  # where the value stands
    assert limits(vllm) == {
        "setting.gpu_request": ("2", 31),
        "host.cgroup_limit": (64 * GIB, 32),
        "host.shm_size": (16 * GIB, 41),
    }
    assert declared.troubles == []


def test_a_list_in_another_file_and_a_stateful_set() -> None:
    declared = read_files(
        {
            "k8s/all.yaml": """\
                apiVersion: v1
                kind: List
                items:
                  - apiVersion: apps/v1
                    kind: StatefulSet
                    metadata: {name: ollama}
                    spec:
                      template:
                        spec:
                          hostIPC: true
                          containers:
                            - name: ollama
                              image: ollama/ollama:0.6.0
                              envFrom: [{prefix: OLLAMA_, configMapRef: {name: conf}}]
                              env:
                                - {name: OLLAMA_MODELS, valueFrom: {configMapKeyRef: {name: conf, key: DIR}}}
                """,
            "k8s/conf.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: conf\ndata:\n  DIR: /m\n",
        }
    )
    workload = one(declared)
    assert workload.texts == ["ollama", "serve"]
    assert variables(workload) == {"OLLAMA_DIR": "/m", "OLLAMA_MODELS": "/m"}
    assert {v.path for v in workload.variables} == {"k8s/conf.yaml"}
    assert "host.shm_size" not in limits(workload)


def test_a_pod_with_a_command_in_a_shell_and_a_missing_config_map() -> None:
    declared = read_files(
        {
            "pod.yml": """\
                apiVersion: v1
                kind: Pod
                metadata: {name: p}
                spec:
                  containers:
                    - name: c
                      image: my/llama
                      envFrom: [{configMapRef: {name: gone}}]
                      command: [/bin/sh, -c]
                      args:
                        - |
                          set -e
                          exec llama-server -m /m.gguf \\
                            -c 4096
                """
        }
    )
    assert one(declared).texts == ["exec", "llama-server", "-m", "/m.gguf", "-c", "4096"]
    assert [word.place and word.place.line for word in one(declared).words] == [13, 13, 13, 13, 14, 14]
    assert [(t.line, t.message) for t in declared.troubles] == [
        (8, "ConfigMap gone is not among the input: its variables are not known")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: 5}\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: [a, [b], {}]}\n",
    ],
)
def test_what_deploys_nothing_is_passed_over(text: str) -> None:
    declared = read_files({"x.yaml": text})
    assert declared.troubles == []
    assert all(not workload.words for workload in declared.workloads)


def test_one_broken_document_of_several() -> None:
    declared = read_files({"all.yaml": "apiVersion: v1\nkind: Pod\nspec:\n\tcontainers: []\n---\n" + DEPLOYMENT})
    assert [workload.name for workload in declared.workloads][:1] == ["Deployment llm, container vllm"]
    assert [(t.line, t.hint) for t in declared.troubles] == [(4, "indent with blanks: YAML allows no tabs there")]
    assert declared.workloads[0].words[3].place.line == 11  # type: ignore[union-attr]


def test_a_chart_template_says_what_to_give_instead() -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Values.name }}-x\n  {{- if .x }}\n"
    (trouble,) = read_files({"templates/d.yaml": text}).troubles
    assert trouble.hint == "a template: give what `helm template` makes of it"
