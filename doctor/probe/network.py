"""Servers on this machine: which ports of engines are open, and what stands behind them. Only this machine is asked."""

from __future__ import annotations

import http.client
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

# Usual ports -> the engine that listens there unless told otherwise.
PORTS = {
    11434: "ollama",
    8080: "llama-server",
    8000: "vllm",
    30000: "sglang",
    23333: "lmdeploy",
    5001: "koboldcpp",
    1234: "LM Studio",
    3000: "text-generation-inference",
    50052: "rpc-server",
}
_PATHS = ("/health", "/v1/models", "/props", "/metrics", "/api/version", "/api/ps")
_MOST_BODY = 4096
_HELLO = 14  # RPC_CMD_HELLO of ggml-rpc.cpp; "must be always 14"
_CAPABILITIES = 24  # RPC_CONN_CAPS_SIZE; a HELLO before that field was added carries nothing
_METRICS = re.compile(
    r"^(?:llamacpp:|vllm:|sglang:)\w*(?:requests|kv_cache|cache_usage|tokens_seconds|running|waiting"
    r"|preemption)\w*(?:\{.*\})? \S+$",
    re.MULTILINE,
)


def endpoints(seconds: float) -> str:
    """What each engine on this machine answers, as ``curl -i`` would show it, shortened.

    Raises:
        FileNotFoundError: no port of an engine is open.
    """
    targets = listening()
    if not targets:
        raise FileNotFoundError(2, "no usual port of an engine is open, and no engine listens")
    each = min(0.6, seconds / 2)
    parts: dict[int, list[str]] = {}

    def ask(place: int, host: str, port: int, rpc: bool) -> None:
        parts[place] = hello(host, port, each) if rpc else _http(host, port, each)

    threads = [
        threading.Thread(target=ask, args=(place, *target), daemon=True) for place, target in enumerate(targets[:16])
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return "\n".join(line for place in sorted(parts) for line in parts[place]) + "\n"


def listening() -> list[tuple[str, int, bool]]:
    """Host, port and whether it speaks ggml's RPC: engines' usual ports that are open, and the ports of engines."""
    import psutil

    from doctor.probe.engines import is_engine

    rpc: set[int] = set()
    owned: set[int] = set()
    open_ports: dict[int, str] = {}
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, OSError):  # macOS tells other users' only to root
        connections = []
        for port in PORTS:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.05):
                open_ports[port] = "127.0.0.1"
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        host, port = connection.laddr.ip, connection.laddr.port
        open_ports[port] = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "*": "127.0.0.1"}.get(host, host)  # noqa: S104
        if connection.pid:
            with suppress(psutil.Error):
                words = psutil.Process(connection.pid).cmdline()
                if words and is_engine(words):
                    owned.add(port)
                    if words[0].endswith("rpc-server"):
                        rpc.add(port)
    if named := os.environ.get("OLLAMA_HOST"):
        with suppress(ValueError):
            owned |= {urlsplit(named if "//" in named else f"//{named}").port or 11434} & open_ports.keys()
    chosen = sorted(port for port in open_ports if port in PORTS or port in owned)
    return [(open_ports[port], port, port in rpc or PORTS.get(port) == "rpc-server") for port in chosen]


def _http(host: str, port: int, seconds: float) -> list[str]:
    """Each path once; after one that takes too long the others are left."""
    lines: list[str] = []
    place = f"[{host}]" if ":" in host else host
    for path in _PATHS:
        lines.append(f"$ curl -si http://{place}:{port}{path}")
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
        try:
            connection.request("GET", path, headers={"User-Agent": "llmdoctor-probe"})
            response = connection.getresponse()
            body = response.read(256 * 1024).decode("utf-8", "replace")
        except TimeoutError:
            return [*lines, f"timed out after {seconds:g} s"]
        except (OSError, http.client.HTTPException) as error:
            return [*lines, f"no HTTP answer: {error or type(error).__name__}"]
        finally:
            connection.close()
        lines.append(f"HTTP/1.1 {response.status} {response.reason}")
        if server := response.getheader("Server"):
            lines.append(f"Server: {server}")
        if response.status == http.HTTPStatus.OK:
            text = "\n".join(_METRICS.findall(body)) if path == "/metrics" else body
            lines += [line for line in _cut(text).splitlines() if line.strip()]
    return lines


def _cut(text: str) -> str:
    """Chat templates make up most of /props; they say nothing of the machine."""
    text = re.sub(r'("chat_template\w*": ?")(?:[^"\\]|\\.)*"', r'\1..."', text)
    return text if len(text) <= _MOST_BODY else text[:_MOST_BODY] + " ..."


def hello(host: str, port: int, seconds: float) -> list[str]:
    """The RPC protocol that a worker speaks: a dead worker and one of another version look alike to the engine."""
    said = "no answer"
    for size in (_CAPABILITIES, 0):
        request = struct.pack("<BQ", _HELLO, size) + bytes(size)
        try:
            with socket.create_connection((host, port), seconds) as connection:
                connection.settimeout(seconds)
                connection.sendall(request)
                head = _exactly(connection.recv, 8)
                length = struct.unpack("<Q", head)[0]
                if not 3 <= length <= 4096:
                    said = f"not an RPC worker: an answer of {length} bytes"
                    continue
                major, minor, patch = _exactly(connection.recv, length)[:3]
                return [f"RPC_CMD_HELLO {host}:{port}: protocol {major}.{minor}.{patch}"]
        except TimeoutError:
            said = f"no answer within {seconds:g} s (it serves one client at a time)"
            break
        except (EOFError, ConnectionResetError, BrokenPipeError):
            said = "closed the connection"
        except OSError as error:
            said = error.strerror or str(error)
            break
    return [f"RPC_CMD_HELLO {host}:{port}: {said}"]


def _exactly(receive: Callable[[int], bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = receive(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data
