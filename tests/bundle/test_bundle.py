"""The bundle as it leaves: nothing planted comes through, and what it is for still works."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

from doctor.api import Request, analyze_request
from doctor.redact import Redactor
from doctor.report.formats import FORMATS, render

from .planted import KINDS, planted, private_key

FIXTURES = Path(__file__).parents[2] / "fixtures"
FAILURE = "GGML_ASSERT(n < 3) failed"


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from doctor.cli import main; main()", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def texts(bundle: Path) -> dict[str, str]:
    raw = zstandard.ZstdDecompressor().stream_reader(bundle.read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {info.name: archive.extractfile(info).read().decode() for info in archive.getmembers()}  # type: ignore[union-attr]


def log_with(lines: list[str]) -> str:
    return (
        "".join(f"error: {line}\n" if number % 2 else f"{line}\n" for number, line in enumerate(lines)) + FAILURE + "\n"
    )


def test_three_hundred_secrets_of_forty_kinds() -> None:
    assert len(KINDS) >= 40
    secrets = planted(7)
    assert len(secrets) >= 300
    leaked = {kind for kind, secret, line in secrets if secret in Redactor().text(line)}
    assert leaked == set()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_secret_is_in_any_format(tmp_path: Path, name: str) -> None:
    secrets = planted(1, seed=11)
    block, middle = private_key(3)
    (tmp_path / "server.log").write_text(log_with([line for _, _, line in secrets]) + block + "\n")
    (tmp_path / "ollama.env").write_text("".join(f"{line}\n" for kind, _, line in secrets if "variable" in kind))
    text = render(analyze_request(Request(paths=[str(tmp_path)])), name, verbose=2)
    assert [kind for kind, secret, _ in secrets if secret in text] == []
    assert middle not in text


def test_no_secret_is_in_the_bundle_nor_in_what_it_shows(tmp_path: Path) -> None:
    secrets = planted(2, seed=13)
    block, middle = private_key(5)
    log = tmp_path / "server.log"
    log.write_text(log_with([line for _, _, line in secrets]) + block + "\nprompt: 'what does my doctor say of me'\n")
    shown = run("bundle", "--show", log, HF_TOKEN=secrets[0][1])
    assert shown.returncode == 0, shown.stderr
    assert "secrets" in shown.stdout
    assert not list(tmp_path.glob("*.zst"))
    made = run("bundle", "-o", tmp_path / "b.tar.zst", log, HF_TOKEN=secrets[0][1])
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "b.tar.zst").stat().st_mode & 0o077 == 0
    members = texts(tmp_path / "b.tar.zst")
    everything = "\n".join([shown.stdout, made.stdout, made.stderr, *members, *members.values()])
    assert [kind for kind, secret, _ in secrets if secret in everything] == []
    assert middle not in everything
    assert "my doctor" not in everything
    manifest = json.loads(members["llmdoctor-bundle/manifest.json"])
    assert manifest["schema"] == "llmdoctor/bundle/1"
    assert manifest["replaced"]["secrets"] >= len(secrets)
    listed = {f"llmdoctor-bundle/{entry['name']}" for entry in manifest["entries"]}
    assert listed == set(members) - {"llmdoctor-bundle/manifest.json"}


def _every_kind_of_input(folder: Path) -> list[str]:
    """Files of each kind that is read, full of secrets; the secrets."""
    sets = [planted(1, seed) for seed in range(6)]
    env, compose, pod, unit, script, ps = ([secret for _, secret, _ in each] for each in sets)
    log = planted(7, seed=21)
    block, middle = private_key(9)
    start = "build: 6100 (65c797c4) with cc 12.2.0 for x86_64-linux-gnu\n"
    key = next(secret for kind, secret, _ in sets[1] if kind == "flag")

    def listed(form: str, secrets: list[str]) -> str:
        return "".join(form.format(i=i, s=secret) + "\n" for i, secret in enumerate(secrets))

    files = {
        "server.log": start + log_with([line for _, _, line in log]) + block + "\n",
        "llama.env": listed("X{i}_API_KEY={s}", env),
        "docker-compose.yml": "services:\n  llm:\n    image: ghcr.io/ggml-org/llama.cpp:server-cuda-b6500\n"
        f"    command: -m /m.gguf -c 8192 -ngl 99 --api-key {key}\n    environment:\n"
        + listed("      X{i}_TOKEN: {s}", compose),
        "pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: llm-0\nspec:\n  containers:\n  - name: c\n"
        f'    image: vllm/vllm-openai:v0.9.2\n    args: ["--model", "x", "--api-key={key}"]\n    env:\n'
        + listed("    - name: X{i}_API_KEY\n      value: {s}", pod),
        "llama.service": f"[Service]\nExecStart=/usr/bin/llama-server -m x.gguf --api-key {key}\n"
        + listed('Environment="X{i}_PASSWORD={s}"', unit),
        "start.sh": "#!/bin/sh\n" + listed("export X{i}_SECRET={s}", script) + "exec llama-server -m x.gguf -c 4096\n",
        "ps.txt": "$ ps -eo pid,user,rss,etimes,args\n    PID USER          RSS ELAPSED COMMAND\n"
        + listed("  {i}1 root         1000     10 llama-server -m x.gguf --api-key {s}", ps),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return [*env, *compose, *pod, *unit, *script, *ps, *(secret for _, secret, _ in log), middle, key]


def test_no_secret_of_any_input_is_in_any_output(tmp_path: Path) -> None:
    """Diagnosis and check in every format, the terminal, the bundle with all of its members."""
    from doctor.checking import check

    secrets = _every_kind_of_input(tmp_path)
    assert len(secrets) > 300
    on_line = f"llama-server -m x.gguf -ctv q8_0 -fa off --api-key {secrets[-1]}"
    documents = [analyze_request(Request(paths=[str(tmp_path)], command=on_line)), check([tmp_path])]
    outputs = {
        f"{number} {name}": render(document, name, verbose=2)
        for number, document in enumerate(documents)
        for name in FORMATS
    }
    outputs["probe"] = run("probe", "--format", "json", HF_TOKEN=secrets[0], OPENAI_API_KEY=secrets[1]).stdout
    packed = run("bundle", "-o", tmp_path / "b.tar.zst", *(path for path in tmp_path.iterdir()))
    assert packed.returncode == 0, packed.stderr
    outputs |= texts(tmp_path / "b.tar.zst") | {"bundle": packed.stdout + packed.stderr}
    assert all(outputs[name] for name in ("0 text", "0 html", "0 json", "1 text", "1 html", "1 sarif", "probe"))
    assert {name for name, text in outputs.items() for secret in secrets if secret in text} == set()


def test_a_bundle_is_judged_like_the_logs_in_it(tmp_path: Path) -> None:
    case = FIXTURES / "llama-box" / "view-abort"
    made = run("bundle", "-o", tmp_path / "b.tar.zst", case)
    assert made.returncode == 0, made.stderr

    def causes(path: Path) -> list[str]:
        document = analyze_request(Request(paths=[str(path)]))
        return [finding.rule_id for finding in document.findings if finding.role == "root_cause"]

    assert causes(tmp_path / "b.tar.zst") == causes(case) != []


def test_of_a_long_log_whole_runs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    start = (FIXTURES / "llama-box" / "view-abort" / "serve-42.log").read_text()
    log.write_text("old line of an old run\n" * 60_000 + start)
    run("bundle", "--megabytes", "1", "-o", tmp_path / "b.tar.zst", log)
    (text,) = [text for name, text in texts(tmp_path / "b.tar.zst").items() if "server.log" in name]
    assert "old run" not in text
    assert len(text.splitlines()) > len(start.splitlines()) - 5


def test_healthy_logs_lose_nothing_as_secrets() -> None:
    """The false-positive rate: pieces that were taken for secrets in logs that hold none."""
    lines, wrong = 0, []
    for path in (FIXTURES / "healthy").rglob("*.log"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            lines += 1
            if "<secret-" in Redactor().text(line):
                wrong.append(line)
    assert lines > 1000
    assert wrong == []


def test_a_hostile_bundle_is_read_within_bounds(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, kind in (("../../escape.log", tarfile.REGTYPE), ("dev", tarfile.CHRTYPE), ("link", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            content = FAILURE.encode() if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        bomb = tarfile.TarInfo("bomb.log")
        bomb.size = 600 * 1024 * 1024
        archive.addfile(bomb, _Zeros(bomb.size))
    packed = tmp_path / "b.tar.zst"
    packed.write_bytes(zstandard.ZstdCompressor().compress(raw.getvalue()))
    document = analyze_request(Request(paths=[str(packed)]))
    assert not (tmp_path.parent / "escape.log").exists()
    assert all("passwd" not in source.path for source in document.sources)
    messages = " ".join(problem.message for problem in document.problems)
    assert "links, devices or sparse files" in messages
    assert "expands to more than" in messages


def _header(name: str, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([_header("logs/a.log", 10 * 1024**3), *[bytes(1024**2)] * 10240], "expands to more than 256 MiB"),
        ([_header("logs/a.log") * 1000] * 1000, "more than 10000 files"),
        ([_header("ok.log", 512), FAILURE.encode().ljust(512, b"\n"), _header("cut.log", 10**6), b"abc"], "cut short"),
    ],
    ids=["10 GB", "a million members", "cut off"],
)
def test_a_large_hostile_bundle_is_read_within_bounds(tmp_path: Path, pieces: list[bytes], words: str) -> None:
    packer = zstandard.ZstdCompressor(level=1)
    with (tmp_path / "b.tar.zst").open("wb") as file, packer.stream_writer(file) as stream:
        for piece in pieces:
            stream.write(piece)
    limited = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{limited}from doctor.cli import main; main()", "analyze", tmp_path / "b.tar.zst"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in {0, 1}, done.stderr
    assert words in " ".join(done.stdout.split())


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        count = min(self._left, size if size >= 0 else self._left)
        self._left -= count
        return b"\n" * count


def test_what_runs_in_containers_and_pods_is_found_packed_and_judged(tmp_path: Path) -> None:
    """docker and kubectl are small scripts that print as those do; the logs are whole runs of a fixture."""
    crash = (FIXTURES / "llama-box" / "view-abort" / "serve-42.log").resolve()
    compose = tmp_path / "docker-compose.yml"
    compose.write_text(
        "services:\n  llm:\n    image: gpustack/gpustack\n    environment: {HF_TOKEN: hf_" + "aB3" * 11 + "}\n"
    )
    labels = {"com.docker.compose.project.config_files": str(compose), "other": "nobody's business"}
    inspected = {
        "Name": "/llm-1",
        "State": {"Running": False, "ExitCode": 134, "OOMKilled": False},
        "Config": {"Image": "gpustack/gpustack", "Env": [], "Labels": labels},
        "HostConfig": {},
    }
    (tmp_path / "inspect.json").write_text(json.dumps([inspected], indent=4))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    _tool(
        bin_ / "docker",
        f"""case "$1" in
ps) printf 'abc\\tgpustack/gpustack\\tllm-1\\n';;
inspect) cat {tmp_path}/inspect.json;;
logs) yes 'an old line of an old run' | head -60000; cat {crash};;
esac""",
    )
    pod = {"name": "vllm-0", "namespace": "prod"}
    pods = {
        "items": [
            {
                "metadata": pod,
                "spec": {"containers": [{"image": "vllm/vllm-openai:v0.9.2"}]},
                "status": {"containerStatuses": [{"restartCount": 2}]},
            },
            {"metadata": {"name": "shop"}, "spec": {"containers": [{"image": "nginx"}]}},
        ]
    }
    (tmp_path / "pods.json").write_text(json.dumps(pods))
    _tool(
        bin_ / "kubectl",
        f"""case "$1 $2" in
"get pods") cat {tmp_path}/pods.json;;
get*) printf 'apiVersion: v1\\nkind: Pod\\nmetadata:\\n  name: vllm-0\\n';;
logs*) echo "INFO 11-20 10:00:00 [api_server.py:1289] vLLM API server version 0.9.2 $*";;
esac""",
    )
    made = run("bundle", "--megabytes", "1", "-o", tmp_path / "b.tar.zst", PATH=f"{bin_}:{os.environ['PATH']}")
    assert made.returncode == 0, made.stderr
    members = texts(tmp_path / "b.tar.zst")
    names = [name.removeprefix("llmdoctor-bundle/") for name in members]
    assert {"logs/docker-llm-1", "logs/docker-llm-1-inspect", "logs/kube-prod-vllm-0"} <= set(names)
    assert {"logs/kube-prod-vllm-0-previous", "logs/kube-prod-vllm-0-get"} <= set(names)
    assert any(name.startswith("config/") and name.endswith("docker-compose.yml") for name in names)
    log = members["llmdoctor-bundle/logs/docker-llm-1"]
    assert "old run" not in log
    assert len(log.splitlines()) >= len(crash.read_text().splitlines()) - 5
    everything = "\n".join([*members, *members.values()])
    assert "aB3aB3" not in everything
    assert "nobody's business" not in members["llmdoctor-bundle/probe.json"]
    diagnosis = json.loads(members["llmdoctor-bundle/diagnosis.json"])
    assert [found["rule_id"] for found in diagnosis["findings"] if found["role"] == "root_cause"] == [
        "rpc-kv-view-stale-support"
    ]


def _tool(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
