from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts.config.argv import Arg, Command, find_command, parse_arguments, parse_command


def parsed(text: str) -> Command:
    command = parse_command(text)
    assert command is not None
    return command


def flags(command: Command) -> list[tuple[str, str | None]]:
    return [(arg.flag, arg.value) for arg in command.args]


def test_flags_values_and_positions() -> None:
    command = parsed("llama-server -m '/srv/llm/my model.gguf' --ctx-size=4096 -ngl -1 --no-mmap --rpc a:1,b:2 -fa")
    assert (command.program, command.path, command.env, command.prefix) == ("llama-server", "llama-server", {}, [])
    assert command.args == [
        Arg("-m", "/srv/llm/my model.gguf", 1),
        Arg("--ctx-size", "4096", 3),
        Arg("-ngl", "-1", 4),
        Arg("--no-mmap", None, 6),
        Arg("--rpc", "a:1,b:2", 7),
        Arg("-fa", None, 9),
    ]
    assert command.words[3] == "--ctx-size=4096"
    assert command.value("-c", "--ctx-size") == "4096"
    assert command.value("-b") is None


def test_prompt_continued_lines_assignments_and_redirections() -> None:
    command = parsed(
        "llm@box:~$ CUDA_VISIBLE_DEVICES=0 HF_TOKEN=hf_abc numactl --interleave=all -N 0 ./bin/llama-server \\\n"
        "   -m x.gguf \\\n   -c 8192 > out.log 2>&1 | tee log &"
    )
    assert (command.program, command.path) == ("llama-server", "./bin/llama-server")
    assert command.env == {"CUDA_VISIBLE_DEVICES": "0", "HF_TOKEN": "***"}
    assert command.prefix[2:] == ["numactl", "--interleave=all", "-N", "0"]
    assert flags(command) == [("-m", "x.gguf"), ("-c", "8192")]


@pytest.mark.parametrize(
    ("text", "program", "first"),
    [
        ("sudo -u llm env -u X B=2 nohup taskset -c 0-3 stdbuf -oL ./llama-box --port 80", "llama-box", "--port"),
        ("setpriv --reuid=65534 --clear-groups /srv/llm/bin/llama-bench -m y", "llama-bench", "-m"),
        ("qemu-x86_64 -cpu Nehalem /srv/llm/bin/llama-bench -m y", "llama-bench", "-m"),
        ("time -p exec timeout -k 5 60 ./rpc-server -p 50052", "rpc-server", "-p"),
        ("gdb --args ./llama-cli -m y", "llama-cli", "-m"),
        ("conda run -n llm vllm serve M", "vllm", ""),
        (
            "/opt/llm/bin/python3 -u -m vllm.entrypoints.openai.api_server --model M",
            "vllm.entrypoints.openai.api_server",
            "--model",
        ),
        ("python3 -m sglang.launch_server --model-path M", "sglang.launch_server", "--model-path"),
        ("python ktransformers/local_chat.py --model_path M", "local_chat.py", "--model_path"),
        ("numactl -m 0 python -m ktransformers.local_chat --cpu_infer 64", "ktransformers.local_chat", "--cpu_infer"),
        ("bash -lc 'cd /srv && exec vllm serve Qwen/Q --dtype half'", "vllm", ""),
        ("cd /srv && ulimit -l unlimited; ./llama-server -m x", "llama-server", "-m"),
        ("# start it\nexport A=1\n./llama-server -m x", "llama-server", "-m"),
        (r"C:\llm\llama-server.exe -m C:\models\x.gguf", "llama-server", "-m"),
        ("PS C:\\llm> .\\llama-server.exe -m x", "llama-server", "-m"),
        ("ollama serve", "ollama", ""),
    ],
)
def test_what_stands_in_front_is_seen_through(text: str, program: str, first: str) -> None:
    command = parsed(text)
    assert command.program == program
    assert command.args[0].flag == first


@pytest.mark.parametrize(
    ("text", "program", "arguments", "env"),
    [
        (
            "docker run -d --gpus all -p 8080:80 -p8081:81 --shm-size=1g -m 16g -e HF_TOKEN=x -eA=1 -v /a:/b"
            " vllm/vllm-openai:latest --model X --max-model-len 32k",
            "vllm",
            [("--model", "X"), ("--max-model-len", "32k")],
            {"HF_TOKEN": "***", "A": "1"},
        ),
        (
            "docker run -it --rm --ipc=host lmsysorg/sglang:latest python3 -m sglang.launch_server --port 30000",
            "sglang.launch_server",
            [("--port", "30000")],
            {},
        ),
        ("podman run ghcr.io/ggml-org/llama.cpp:server-cuda -m x -c 4", "llama-server", [("-m", "x"), ("-c", "4")], {}),
        ("docker run --entrypoint /app/llama-cli ggml/full -m x", "llama-cli", [("-m", "x")], {}),
        ("docker run ollama/ollama", "ollama", [], {}),
        ("docker run me/unknown:1 -c 1", "unknown", [("-c", "1")], {}),
    ],
)
def test_containers(text: str, program: str, arguments: list[tuple[str, str]], env: dict[str, str]) -> None:
    command = parsed(text)
    assert (command.program, flags(command), command.env) == (program, arguments, env)


def test_variables_exported_before_the_command_belong_to_it() -> None:
    assert parsed("export A=1 B=2\nC=3\n./llama-server -m x").env == {"A": "1", "B": "2", "C": "3"}


@pytest.mark.parametrize("text", ["", "   ", "$", "export A=1", "A=1", "cd /srv", "| |", "''"])
def test_no_command(text: str) -> None:
    assert parse_command(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"-c 8192 --port 80 -ot blk\.(3|4)=CPU", ["-c", "8192", "--port", "80", "-ot", r"blk\.(3|4)=CPU"]),
        ("['--model', 'x y', '-c', 8192]", ["--model", "x y", "-c", "8192"]),
        ('["-a", "b"]', ["-a", "b"]),
        ("'--model', 'x'", ["--model", "x"]),
        ("('--model', 'it\\'s')", ["--model", "it's"]),
        ("[--model /x --port 80]", ["--model", "/x", "--port", "80"]),
        ("--model, x, -c, 1", ["--model", "x", "-c", "1"]),
        ("['--model', 'x'] in 3 s", ["--model", "x"]),
        ("-m 'open", ["-m", "'open"]),
        ("", []),
    ],
)
def test_arguments_as_logs_print_them(text: str, words: list[str]) -> None:
    command = parse_arguments(text, "llama-box")
    assert command.program == "llama-box"
    assert command.words[1:] == words


@pytest.mark.parametrize(
    ("line", "program", "first"),
    [
        ("INFO Running ['/opt/bin/vllm', 'serve', 'M', '--dtype', 'half'] now", "vllm", "serve"),
        ('time=x msg="starting" cmd="/usr/bin/ollama runner --model /x --port 1" port=3', "ollama", "runner"),
        ("+ numactl -m 0 ./llama-server -m x -c 1", "llama-server", "x"),
        ("Jan 1 host sh[3]: CUDA_VISIBLE_DEVICES=1 /srv/llama-server --port 80", "llama-server", "80"),
    ],
)
def test_command_lines_inside_of_log_lines(line: str, program: str, first: str) -> None:
    command = find_command(line, ["llama-server", "vllm", "ollama"])
    assert command is not None
    assert (command.program, command.args[0].value) == (program, first)


def test_a_found_command_keeps_what_stands_in_front_of_it() -> None:
    command = find_command("x: A=1 numactl -m 0 ./llama-server -c 1", ["llama-server"])
    assert command is not None
    assert (command.env, command.prefix) == ({"A": "1"}, ["A=1", "numactl", "-m", "0"])


@pytest.mark.parametrize(
    "line", ["llama-server: error: bad flag -x", "the llama-server is fine", "my-llama-server -c 1", ""]
)
def test_a_mention_is_no_command(line: str) -> None:
    assert find_command(line, ["llama-server"]) is None
    assert find_command(line, []) is None


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab-=/'\"\\$#&|;<>() \n\t[],{}0.é", max_size=80))
def test_nothing_raises(text: str) -> None:
    command = parse_command(text)
    assert command is None or (command.program and command.words)
    assert parse_arguments(text, "p").words[0] == "p"
    find_command(f"{text} llama-server {text}", ["llama-server"])


def test_long_hostile_lines_take_no_long_time() -> None:
    began = time.perf_counter()
    for filler in (" ", "a/", "'", '"', "[", "\\", "$ ", "sudo ", "-", "A=1 ", "bash -c ", "= ", ";"):
        text = filler * (20_000 // len(filler))
        parse_command(text)
        parse_command("llama-server " + text + "!")
        parse_arguments(text, "p")
        find_command(f"{text}llama-server -c 1 {text}", ["llama-server"])
    assert time.perf_counter() - began < 10
