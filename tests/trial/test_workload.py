"""Workloads over HTTP, against small servers that speak it for real, well and badly."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from doctor.trial.workload import Answer, Client, Outcome, Workload, is_open, put
from doctor.vocabulary.terms import WORKLOADS

Asked = list[tuple[str, dict[str, Any]]]


class Server(BaseHTTPRequestHandler):
    """Answers as llama-server does; what ``behave`` names, it does badly."""

    asked: Asked
    behave: dict[str, Any]
    over: threading.Event

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client may leave when it likes
            super().handle()

    def do_GET(self) -> None:
        content = {
            "/health": {"status": "ok"},
            "/v1/models": {"data": [{"id": "tiny"}]},
            "/props": {"default_generation_settings": {"n_ctx": self.behave.get("context", 256)}},
        }.get(self.path)
        self._send(self.behave.get("health", 200) if self.path == "/health" else 200 if content else 404, content)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        if self.path in self.behave.get("refuse", ()):
            self._send(self.behave["status"], {"error": {"message": "no, exceeds the context\n twice"}})
        elif self.path == "/v1/embeddings":
            self._send(200, {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 7}})
        else:
            self._stream(body)

    def _stream(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        if self.behave.get("drop"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            event = b"data: " + json.dumps({"choices": [{"text": " a"}]}).encode() + b"\n\n"
            size = len(event) + (7 if self.behave["drop"] == "within a chunk" else 0)
            self.wfile.write(b"%x\r\n%b\r\n" % (size, event))
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.end_headers()
        words = len(str(body.get("prompt", "")).split())
        for _ in range(min(body["max_tokens"], 40)):
            self._event({"choices": [{"text": " a"}]})
            if self.behave.get("freeze"):
                self.over.wait()
        if "end" in self.behave:
            self._event(self.behave["end"])
            return
        self._event({"choices": [], "usage": {"completion_tokens": body["max_tokens"], "prompt_tokens": 2 * words}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, content: Any) -> None:
        self.wfile.write(b"data: " + json.dumps(content).encode() + b"\n\n")
        self.wfile.flush()

    def _send(self, status: int, content: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@contextmanager
def serving(**behave: Any) -> Iterator[tuple[Client, Asked]]:
    """A server that behaves so, a client of it, and what the server was asked. No thread is left of it."""
    asked: Asked = []
    over = threading.Event()
    handler = type("Handler", (Server,), {"asked": asked, "behave": behave, "over": over})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False  # so that closing waits for them
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield Client("127.0.0.1", server.server_address[1], stall=behave.get("stall", 10)), asked
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def run(workload: Workload, **behave: Any) -> tuple[Outcome, Asked]:
    with serving(**behave) as (client, asked):
        return put(workload, client, lambda: True), asked


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_comes_to_its_end(name: Any) -> None:
    outcome, asked = run(Workload(name))
    assert outcome.is_through, outcome
    assert bool(asked) == (name != "load_only")
    assert all(body["model"] == "tiny" for _path, body in asked)


def test_prompt_reaches_the_tokens() -> None:
    """This server counts two tokens a word."""
    _outcome, asked = run(Workload("fill_context", tokens=1000))
    words = len(asked[-1][1]["prompt"].split())
    assert 1000 <= 2 * words < 1020


def test_generation_goes_past_the_context() -> None:
    _outcome, asked = run(Workload("generate_past_context"), context=512)
    assert asked[-1][1]["max_tokens"] > 512


def test_figures() -> None:
    outcome, _asked = run(Workload("one_prompt", answer=30))
    answer = outcome.answers[0]
    assert answer.tokens == 30
    assert answer.prompt_tokens == 8
    assert answer.first is not None
    assert answer.first >= 0
    assert answer.rate is not None


def test_what_the_server_says_is_kept_on_one_line() -> None:
    outcome, _asked = run(Workload("one_prompt"), refuse=["/v1/completions"], status=400)
    assert not outcome.is_through
    assert outcome.failure().startswith("a prompt: HTTP 400 ")
    assert "no, exceeds the context\\n twice" in outcome.failure()
    assert "\n" not in outcome.failure()


def test_server_without_completions_is_asked_as_a_chat() -> None:
    outcome, asked = run(Workload("one_prompt"), refuse=["/v1/completions"], status=404)
    assert outcome.is_through
    assert asked[-1][0] == "/v1/chat/completions"


def test_frozen_server_is_a_stall() -> None:
    outcome, _asked = run(Workload("one_prompt"), freeze=True, stall=0.2)
    assert outcome.stalled
    assert "no byte of an answer in 0.2 s" in outcome.failure()


@pytest.mark.parametrize("place", ["within a chunk", "between chunks"])
def test_dropped_connection(place: str) -> None:
    """An engine that dies between two pieces of its answer leaves what looks like a whole one."""
    outcome, _asked = run(Workload("generate_past_context"), drop=place)
    assert not outcome.is_through
    assert "an answer of" in outcome.failure()
    assert ("the connection was lost" if place == "within a chunk" else "it broke off") in outcome.failure()


@pytest.mark.parametrize("end", [{"choices": [{"text": "", "finish_reason": "length"}]}, {"usage": {"x": 1}}])
def test_servers_end_their_answers_in_several_ways(end: Any) -> None:
    assert run(Workload("one_prompt"), end=end)[0].is_through


def test_dead_engine_is_asked_no_more() -> None:
    with serving() as (client, asked):
        outcome = put(Workload("one_prompt"), client, lambda: False)
    assert outcome.stopped_by
    assert not asked


def test_states() -> None:
    with serving(health=503) as (client, _asked):
        assert client.state() == "loading"
    with serving() as (client, _asked):
        assert client.state() == "ready"
        port = client.port
    assert Client("127.0.0.1", port).state() == "down"
    assert not is_open("127.0.0.1", port)


def test_answers() -> None:
    assert not Answer("x").is_good
    assert Answer("x", status=200).is_good
    assert not Answer("x", status=200, error="cut").is_good
