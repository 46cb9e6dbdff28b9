"""Servers that really listen: an HTTP one, one that never answers, and workers that speak ggml's RPC or none."""

from __future__ import annotations

import http.server
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from doctor.facts.hardware import read_hardware
from doctor.probe.network import _http, hello


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


def worker(version: tuple[int, int, int], size: int) -> Callable[[socket.socket], None]:
    """Answers a HELLO of ``size`` bytes, as ggml-rpc.cpp does; closes at any other."""

    def serve(connection: socket.socket) -> None:
        with connection:
            command, length = struct.unpack("<BQ", connection.recv(9, socket.MSG_WAITALL))
            if command == 14 and length == size:
                connection.recv(length, socket.MSG_WAITALL) if length else None
                body = bytes([*version, 0]) + bytes(24)
                connection.sendall(struct.pack("<Q", len(body)) + body)

    return serve


def endpoint(lines: list[str]) -> dict[str, object]:
    (record,) = [record for record in read_hardware("\n".join(lines), "x").records if record.kind == "endpoint"]
    return record.fields


def test_a_worker_tells_its_protocol() -> None:
    with listening(worker((7, 0, 0), 24)) as port:
        assert endpoint(hello("127.0.0.1", port, 5))["protocol"] == "7.0.0"


def test_so_does_one_from_before_capabilities() -> None:
    with listening(worker((2, 0, 0), 0)) as port:
        assert endpoint(hello("127.0.0.1", port, 5))["protocol"] == "2.0.0"


def test_a_server_that_knows_no_hello_closes() -> None:
    with listening(lambda connection: connection.close()) as port:
        found = endpoint(hello("127.0.0.1", port, 5))
    assert "protocol" not in found
    assert found["error"]


def test_a_busy_worker_does_not_answer() -> None:
    kept = []
    with listening(kept.append) as port:
        assert str(endpoint(hello("127.0.0.1", port, 0.3))["error"]).startswith("no answer within 0.3 s")


def test_what_a_server_answers_is_read() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bodies = {"/health": b'{"status":"ok"}', "/v1/models": b'{"data":[{"id":"qwen3"}]}'}
            bodies["/props"] = b'{"build_info":"b9999-abc","chat_template":"{% secret %}"}'
            body = bodies.get(self.path)
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lines = _http("127.0.0.1", server.server_port, 5)
        server.shutdown()
    found = endpoint(lines)
    assert (found["health"], found["models"], found["server"]) == ("ok", ["qwen3"], "llama-server b9999-abc")
    assert "secret" not in "\n".join(lines)


def test_a_server_that_never_answers_is_told() -> None:
    kept = []
    with listening(kept.append) as port:
        assert endpoint(_http("127.0.0.1", port, 0.3))["error"] == "timed out after 0.3 s"
