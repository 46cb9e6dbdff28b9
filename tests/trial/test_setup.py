"""Setups: from command lines, deployments and YAML; changed by a remedy's actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doctor.errors import UsageProblem
from doctor.facts.options import KnownOption
from doctor.remedy.deployment import Deployment
from doctor.trial.runners.command import environment, is_rpc_server, serves_at
from doctor.trial.setup import Beside, Setup, change, of_command, of_deployment
from doctor.trial.setup_yaml import as_data, read_setup, setup_of

OPTIONS = (
    KnownOption("setting.context", ["-c", "--ctx-size"], ["LLAMA_ARG_CTX_SIZE"], "int"),
    KnownOption("setting.mmap", ["--no-mmap"], type="switch_off"),
)


def test_assignments_in_front_become_variables() -> None:
    setup = of_command("CUDA_VISIBLE_DEVICES=0 A='b c' ./llama-server -m m.gguf")
    assert setup.words == ("./llama-server", "-m", "m.gguf")
    assert setup.env == {"CUDA_VISIBLE_DEVICES": "0", "A": "b c"}


@pytest.mark.parametrize("text", ["", "   "])
def test_no_command_line(text: str) -> None:
    with pytest.raises(UsageProblem, match="command line"):
        of_command(text)


def test_secrets_are_not_shown() -> None:
    assert "hunter2" not in of_command("HF_TOKEN=hunter2 llama-server -m m").text


@pytest.mark.parametrize(
    ("command", "address"),
    [
        ("llama-server -m m", ("127.0.0.1", 8080)),
        ("llama-server -m m --host 0.0.0.0 --port 9000", ("127.0.0.1", 9000)),
        ("LLAMA_ARG_PORT=9001 llama-server -m m", ("127.0.0.1", 9001)),
        ("llama-server -m m --host 10.0.0.5", ("10.0.0.5", 8080)),
        ("vllm serve model", ("127.0.0.1", 8000)),
        ("python -m vllm.entrypoints.openai.api_server --port 8123", ("127.0.0.1", 8123)),
        ("OLLAMA_HOST=0.0.0.0:11500 ollama serve", ("127.0.0.1", 11500)),
        ("ollama run llama3", None),
        ("ggml-rpc-server -H 127.0.0.1 -p 50077", ("127.0.0.1", 50077)),
        ("llama-cli -m m -p hello", None),
        ("llama-server -m m --port 99999999", ("127.0.0.1", 8080)),
    ],
)
def test_where_it_serves(command: str, address: tuple[str, int] | None) -> None:
    assert serves_at(of_command(command)) == address


def test_rpc_server() -> None:
    assert is_rpc_server(of_command("./rpc-server -p 50052"))
    assert not is_rpc_server(of_command("llama-server --rpc 10.0.0.2:50052"))


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("GONE", "1")
    found = environment(Setup(("x",), {"GONE": None, "LLAMA_ARG_LOG_VERBOSITY": "1"}))
    assert found["KEPT"] == "1"
    assert "GONE" not in found
    assert found["LLAMA_ARG_LOG_VERBOSITY"] == "1"


# --- remedies ------------------------------------------------------------------------------------------------------


def deployed(text: str) -> tuple[Setup, Deployment]:
    setup = of_command(text)
    deployment = Deployment(setup.words, options=OPTIONS, programs=["llama-server"])
    assert of_deployment(deployment) == setup
    return setup, deployment


def test_flag_is_changed() -> None:
    setup, deployment = deployed("llama-server -m m -c 512")
    changed = change(setup, deployment, [{"kind": "set_flag", "flag": "-c", "value": "1024"}])
    assert changed.setup.words == ("llama-server", "-m", "m", "-c", "1024")
    assert changed.diff
    assert not changed.obstacle


def test_limits_are_changed() -> None:
    setup, deployment = deployed("llama-server -m m")
    setup = Setup(setup.words, memory=1 << 20, locked_memory=5)
    raised = change(setup, deployment, [{"kind": "resize", "resource": "container memory limit", "to": 7 << 20}])
    assert raised.setup.memory == 7 << 20
    free = change(setup, deployment, [{"kind": "host_setting", "name": "RLIMIT_MEMLOCK", "value": "unlimited"}])
    assert free.setup.locked_memory is None


@pytest.mark.parametrize(
    ("action", "obstacle"),
    [
        ({"kind": "set_flag", "flag": "-c", "value": "512"}, "changes nothing"),
        ({"kind": "remove_flag", "flag": "--no-mmap"}, "changes nothing"),
        ({"kind": "set_flag", "flag": "-c", "unfilled": True, "text": "set -c"}, "is not known"),
        ({"kind": "upgrade", "product": "llama.cpp", "to": ">=1", "text": "upgrade llama.cpp"}, "can't do it itself"),
        ({"kind": "resize", "resource": "model quantisation", "text": "another file"}, "can't do it itself"),
        ({"kind": "host_setting", "name": "vm.swappiness", "value": "1", "text": "sysctl"}, "can't do it itself"),
        ({"kind": "host_setting", "name": "RLIMIT_AS", "value": "much", "text": "ulimit"}, "can't do it itself"),
        ({"kind": "explain", "text": "look"}, "advice in words"),
    ],
)
def test_what_can_not_be_tried(action: dict[str, Any], obstacle: str) -> None:
    setup, deployment = deployed("llama-server -m m -c 512")
    changed = change(setup, deployment, [action])
    assert obstacle in changed.obstacle
    assert changed.setup == setup


def test_mounted_paths_are_the_hosts(tmp_path: Path) -> None:
    from doctor.api import Request, examine_request

    (tmp_path / "docker-compose.yml").write_text(
        "services:\n  llm:\n    image: ghcr.io/ggml-org/llama.cpp:server\n    command: -m /models/m.gguf -c 512\n"
        "    volumes: ['/srv/models:/models']\n    environment:\n      LLAMA_ARG_THREADS: '4'\n"
    )
    (tmp_path / "llm.log").write_text(
        "main: loading model\nllama_init_from_model: quantized V cache requires flash_attn\n"
    )
    examined = examine_request(Request(paths=[str(tmp_path)]))
    setup = of_deployment(next(iter(examined.deployments.values())))
    assert setup is not None
    assert "/srv/models/m.gguf" in setup.words
    assert setup.env["LLAMA_ARG_THREADS"] == "4"


# --- YAML ----------------------------------------------------------------------------------------------------------

WHOLE = """\
command: llama-server -m m.gguf --rpc 127.0.0.1:50052
env: {A: 1, B: true, GONE: null}
limits: {memory: 400 MiB, address_space: 2GiB}
cold: true
beside:
  - command: [ggml-rpc-server, -p, 50052]
    listens: 127.0.0.1:50052
    fault: kill
workload: generate_past_context
tokens: 600
"""


def test_whole_yaml(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(WHOLE)
    setup, more = read_setup(path)
    assert setup.env == {"A": "1", "B": "1", "GONE": None}
    assert setup.memory == 400 << 20
    assert setup.beside == (Beside(("ggml-rpc-server", "-p", "50052"), "127.0.0.1:50052", {}, "kill"),)
    assert setup.cold
    assert more == {"workload": "generate_past_context", "tokens": 600}
    assert setup_of(as_data(setup), "again")[0] == setup


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("command: [", "a.yaml:2", "not YAML"),
        ("- a\n- b\n", "a.yaml", "a mapping is expected"),
        ("command: x\ncomand: y\n", "a.yaml", "unknown key 'comand'"),
        ("env: {}\n", "a.yaml: command", "a command line is expected"),
        ("command: 'x \"y'\n", "a.yaml: command", "not a command line"),
        ("command: x\nenv: [1]\n", "a.yaml: env", "a mapping of variables"),
        ("command: x\nenv: {'a b': 1}\n", "a.yaml: env", "not a variable"),
        ("command: x\nlimits: {memory: lots}\n", "a.yaml: limits.memory", "not a size"),
        ("command: x\nlimits: {memory: -5}\n", "a.yaml: limits.memory", "not a size"),
        ("command: x\nlimits: {disk: 5}\n", "a.yaml: limits", "unknown key"),
        ("command: x\ncold: sometimes\n", "a.yaml: cold", "true or false"),
        ("command: x\nbeside: {}\n", "a.yaml", ""),
        ("command: x\nbeside: [{command: y, listens: nowhere}]\n", "a.yaml: beside.1.listens", "not host:port"),
        ("command: x\nbeside: [{command: y, fault: tease}]\n", "a.yaml: beside.1.fault", "kill or freeze"),
        ("command: !!python/object/apply:os.system [ls]\n", "a.yaml", "not YAML"),
    ],
)
def test_yaml_that_is_not_as_it_must_be(text: str, where: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    if text.endswith("beside: {}\n"):
        assert read_setup(path)[0].beside == ()
        return
    with pytest.raises(UsageProblem) as told:
        read_setup(path)
    assert str(told.value).startswith(f"{tmp_path}/{where}")
    assert what in told.value.message


def test_yaml_that_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="could not be read"):
        read_setup(tmp_path / "absent.yaml")
    big = tmp_path / "big.yaml"
    big.write_text("a" * 300_000)
    with pytest.raises(UsageProblem, match="too large"):
        read_setup(big)
