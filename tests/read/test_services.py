"""Services read by their platform's command: small real executables on PATH stand for the tools.

What they print and say is as documented: journalctl 252, docker 28, kubectl 1.32.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.facts.config.sniff import classify
from doctor.read import services
from doctor.read.services import Service, read_service
from doctor.read.source import Collection
from doctor.read.sources import collect
from doctor.read.times import Period

JOURNAL = Path(__file__).parent.parent.parent / "fixtures" / "inputs" / "journal"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH; ``calls`` in it keeps what the tools were called with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, body: str) -> None:
    tool = folder / name
    tool.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys, time\n"
        f"with open({str(folder / 'calls')!r}, 'a') as calls:\n"
        "    calls.write(json.dumps([sys.argv[1:], os.environ.get('LC_ALL')]) + '\\n')\n" + body
    )
    tool.chmod(0o755)


def calls(folder: Path) -> list[list[str]]:
    return [json.loads(line)[0] for line in (folder / "calls").read_text().splitlines()]


def read(service: Service, period: Period | None = None) -> Collection:
    found = Collection()
    read_service(service, found, period)
    return found


def text(found: Collection, number: int = 0) -> bytes:
    with found.sources[number].open() as stream:
        return stream.read()


def test_journal(tools: Path) -> None:
    put(tools, "journalctl", f"sys.stdout.write(open({str(JOURNAL / 'unit.json')!r}).read())")
    found = read(Service("journal", "llama-server.service"), Period(None, datetime(2026, 1, 1, tzinfo=UTC)))
    assert found.problems == []
    assert found.sources[0].path == "journal:llama-server.service"
    assert text(found).count(b"gpu-box llama-server[4242]: ") == 75
    assert classify(found.sources[0].name, found.sources[0].head) == "log"
    (words,) = calls(tools)
    assert words[:4] == ["--unit=llama-server.service", "--output=json", "--all", "--no-pager"]
    assert words[-1] == "--until=@1767225601"
    assert json.loads((tools / "calls").read_text())[1] == "C.UTF-8"


def test_docker_with_what_it_knows_of_the_end(tools: Path) -> None:
    put(
        tools,
        "docker",
        "if sys.argv[1] == 'logs':\n"
        "    os.write(1, b'2026-11-20T10:00:00.1Z one\\n')\n"
        "    os.write(2, b'2026-11-20T10:00:00.2Z two\\n')\n"
        "    os.write(1, b'2026-11-20T10:00:00.3Z three\\n')\n"
        "else:\n"
        "    print(json.dumps([{'State': {'OOMKilled': True, 'ExitCode': 137}}], indent=4))\n",
    )
    found = read(Service("docker", "llm-1"))
    assert [source.path for source in found.sources] == ["docker:llm-1", "docker:llm-1 (inspect)"]
    assert [line.split()[-1] for line in text(found).splitlines()] == [b"one", b"two", b"three"]
    assert b'"OOMKilled": true' in text(found, 1)
    assert [classify(source.name, source.head) for source in found.sources] == ["log", "hardware"]
    logs, inspect = calls(tools)
    assert logs[:2] == ["logs", "--timestamps"]
    assert logs[-2:] == inspect[-2:] == ["--", "llm-1"]


def test_kube(tools: Path) -> None:
    put(tools, "kubectl", "print('[pod/llm-0/server] 2026-11-20T10:00:00Z text')")
    found = read(Service("kube", "llm-0", "prod", previous=True))
    assert found.sources[0].path == "kube:prod/llm-0 (previous)"
    assert text(found) == b"[pod/llm-0/server] 2026-11-20T10:00:00Z text\n"
    (words,) = calls(tools)
    assert {"--namespace=prod", "--previous=true", "--all-containers=true", "--timestamps=true"} <= set(words)
    assert words[-2:] == ["--", "llm-0"]


def test_a_pod_with_how_it_is_deployed_and_how_it_ended(tools: Path) -> None:
    put(
        tools,
        "kubectl",
        "manifest = 'apiVersion: v1\\nkind: Pod\\nmetadata:\\n  name: llm-0'\n"
        "print(manifest if sys.argv[1] == 'get' else 'a line of the log')",
    )
    found = read(Service("kube", "llm-0", "prod"))
    assert [source.path for source in found.sources] == ["kube:prod/llm-0", "kube:prod/llm-0 (get)"]
    assert [classify(source.name, source.head) for source in found.sources] == ["log", "config"]
    assert calls(tools)[1] == ["get", "pod/llm-0", "--output=yaml", "--namespace=prod"]


def test_podman_where_there_is_no_docker(tools: Path) -> None:
    put(tools, "podman", "print('{}' if sys.argv[1] == 'inspect' else 'a line of the log')")
    assert text(read(Service("docker", "llm-1"))) == b"a line of the log\n"
    assert [words[0] for words in calls(tools)] == ["logs", "inspect"]


@pytest.mark.parametrize(
    ("service", "tool"),
    [
        (Service("journal", "ollama"), "journalctl"),
        (Service("docker", "x"), "docker"),
        (Service("kube", "x"), "kubectl"),
    ],
)
def test_a_missing_tool(service: Service, tool: str, tools: Path) -> None:
    found = read(service)
    assert found.sources == []
    ((subject, message, hint),) = found.problems
    assert (subject, message) == (service.path, f"there is no {tool} here")
    assert "save the log there" in hint
    with pytest.raises(UsageProblem) as caught:
        collect([], found=found)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("service", "tool", "status", "said", "message", "hint"),
    [
        (Service("journal", "nope"), "journalctl", 0, "", "journalctl has no lines of it", "systemctl list-units"),
        (
            Service("journal", "ollama"),
            "journalctl",
            1,
            "Hint: You are currently not seeing messages from other users and the system.\n"
            "No journal files were opened due to insufficient permissions.",
            "No journal files were opened due to insufficient permissions.",
            "systemd-journal",
        ),
        (
            Service("docker", "nope"),
            "docker",
            1,
            "Error response from daemon: No such container: nope",
            "No such container: nope",
            "docker ps -a",
        ),
        (
            Service("docker", "x"),
            "docker",
            1,
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "permission denied",
            "group docker",
        ),
        (
            Service("docker", "x"),
            "docker",
            1,
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "Cannot connect",
            "DOCKER_HOST",
        ),
        (
            Service("kube", "nope"),
            "kubectl",
            1,
            'Error from server (NotFound): pods "nope" not found',
            'pods "nope" not found',
            "kubectl get pods -A",
        ),
        (
            Service("kube", "x"),
            "kubectl",
            1,
            'Error from server (Forbidden): pods "x" is forbidden: User "u" cannot get resource "pods/log"',
            "is forbidden",
            "auth can-i",
        ),
        (
            Service("kube", "x"),
            "kubectl",
            1,
            "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            "was refused",
            "KUBECONFIG",
        ),
        (Service("kube", "x"), "kubectl", 3, "", "exit status 3", ""),
    ],
)
def test_what_a_tool_says_is_passed_on_with_advice(
    service: Service, tool: str, status: int, said: str, message: str, hint: str, tools: Path
) -> None:
    put(tools, tool, f"sys.stderr.write({said!r}); sys.exit({status})")
    found = read(service)
    assert found.sources == []
    assert len(found.problems) == 1
    assert message in found.problems[0][1]
    assert hint in found.problems[0][2]


def test_a_log_and_an_error_behind_it(tools: Path) -> None:
    put(
        tools,
        "kubectl",
        "if sys.argv[1] == 'logs':\n"
        "    print('[pod/x/y] line')\n"
        "    sys.stderr.write('error: unexpected EOF')\n"
        "sys.exit(1)",
    )
    found = read(Service("kube", "x"))
    assert text(found) == b"[pod/x/y] line\n"
    assert found.problems == [("kube:x", "kubectl says: error: unexpected EOF", "")]


@pytest.mark.parametrize("name", ["-rf", "--help", "", "a b", "a;b", "a\nb", "$(id)", "../x", "x" * 300])
@pytest.mark.parametrize("platform", ["journal", "docker", "kube"])
def test_names_that_no_service_has(platform: str, name: str) -> None:
    with pytest.raises(UsageProblem):
        Service(platform, name)  # type: ignore[arg-type]
    with pytest.raises(UsageProblem):
        Service("kube", "x", name)


@pytest.mark.parametrize("name", ["ollama", "ollama.service", "llm@1.service", r"a\x2db.service"])
def test_names_of_units(name: str) -> None:
    assert Service("journal", name).name == name


def test_a_tool_that_hangs_is_stopped_with_its_children(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "DEADLINE_SECONDS", 0.5)
    put(
        tools,
        "kubectl",
        "print('[pod/x/y] line', flush=True)\n"
        f"if os.fork() == 0:\n    open({str(tools / 'child')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(60)",
    )
    start = time.monotonic()
    found = read(Service("kube", "x"))
    assert time.monotonic() - start < 5
    assert text(found) == b"[pod/x/y] line\n"
    assert "was stopped after" in found.problems[0][1]
    child = int((tools / "child").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            break
        time.sleep(0.02)
    else:
        os.kill(child, 9)
        pytest.fail("its child lives on")


def test_a_tool_that_never_ends_printing_is_stopped(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_BYTES", 1_000_000)
    put(tools, "kubectl", "while True:\n    sys.stdout.write('[pod/x/y] line\\n' * 1000)")
    found = read(Service("kube", "x"))
    assert len(text(found)) >= 1_000_000
    assert "was stopped after" in found.problems[0][1]
