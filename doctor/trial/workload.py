"""What is asked of an engine in a trial: the same requests before and after a change, over its OpenAI-compatible API.

A workload is what a rule's ``confirm`` names. It is through when every request was answered; what the engine said to
one that was not goes into the trial's own files, where the rules read it as they read any client's log.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from doctor.vocabulary.terms import WorkloadName

ANSWER_TOKENS = 48
"""Tokens asked for where speed is measured or a run only has to show that it works."""
FALLBACK_CONTEXT = 4096
_MOST_TOKENS = 200_000
_MOST_BYTES = 64 * 1024 * 1024
_MOST_LINE = 2000
_CALIBRATION_WORDS = 64
_PARALLEL = 4
_WORD = " and so on"


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests to put to an engine.

    Attributes:
        name: of the closed list.
        tokens: how many the prompt, or prompt and answer, must reach at least; None: what the context tells.
        answer: tokens to generate where the workload does not say otherwise.
    """

    name: WorkloadName
    tokens: int | None = None
    answer: int = ANSWER_TOKENS

    @property
    def words(self) -> str:
        """For people."""
        told = self.name.replace("_", " ")
        return f"{told} ({self.tokens:,} tokens at least)" if self.tokens else told


@dataclass(slots=True)
class Answer:
    """What became of one request.

    Attributes:
        status: of HTTP; None when no answer came.
        error: what the engine or the connection said; empty when all is well.
        first: seconds until the first token.
        rate: tokens a second after the first one.
        stalled: no byte came for as long as the stall clock allows.
    """

    asked: str
    status: int | None = None
    error: str = ""
    prompt_tokens: int | None = None
    tokens: int = 0
    first: float | None = None
    rate: float | None = None
    prompt_rate: float | None = None
    seconds: float = 0.0
    stalled: bool = False
    text: str = ""

    @property
    def is_good(self) -> bool:
        return self.status is not None and self.status < 400 and not self.error


@dataclass(slots=True)
class Outcome:
    """How a workload went: its answers, and whether it came to its end."""

    answers: list[Answer] = field(default_factory=list)
    stopped_by: str = ""

    @property
    def is_through(self) -> bool:
        return not self.stopped_by and all(answer.is_good for answer in self.answers)

    @property
    def stalled(self) -> bool:
        return any(answer.stalled for answer in self.answers)

    def failure(self) -> str:
        """The first thing that went wrong, in words; empty when nothing did."""
        if self.stopped_by:
            return self.stopped_by
        return next((f"{bad.asked}: {bad.error}" for bad in self.answers if not bad.is_good), "")


class Client:
    """Speaks HTTP to one server. Nothing that it answers is trusted: sizes are bounded, and what is no JSON is text."""

    def __init__(self, host: str, port: int, *, stall: float = 60.0, headers: Mapping[str, str] | None = None) -> None:
        self.host, self.port, self.stall = host, port, stall
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self.begun: Callable[[], None] = lambda: None
        """Called when the first token of the first long answer is there."""
        self._model: str | None = None
        self._context: int | None = None

    def get(self, path: str, timeout: float = 2.0) -> tuple[int, Any]:
        """Status and content, JSON where it is.

        Raises:
            OSError, http.client.HTTPException: no answer.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers=self._headers)
            response = connection.getresponse()
            return response.status, _data(response.read(1 << 20))
        finally:
            connection.close()

    def state(self) -> Literal["down", "loading", "ready"]:
        """Whether the server answers, by the endpoint of llama-server, vLLM, SGLang, or else by its list of models."""
        for path in ("/health", "/v1/models", "/"):
            try:
                status, _content = self.get(path)
            except (OSError, http.client.HTTPException):
                return "down"
            if status == 503:
                return "loading"
            if status < 400 or status in {401, 403}:
                return "ready"
        return "down"

    def model(self) -> str:
        """The name under which the server offers its first model; of several, any."""
        if self._model is None:
            self._model = "default"
            with suppress(OSError, http.client.HTTPException, LookupError, TypeError):
                _status, content = self.get("/v1/models")
                entry = content["data"][0]
                self._model = str(entry["id"])
                known = entry.get("max_model_len")
                self._context = known if isinstance(known, int) else None
        return self._model

    def context(self) -> int | None:
        """Tokens that one request may have, as the server tells (llama-server's /props, vLLM's list of models)."""
        self.model()
        if self._context is None:
            with suppress(OSError, http.client.HTTPException, LookupError, TypeError):
                _status, content = self.get("/props")
                told = content["default_generation_settings"]["n_ctx"]
                self._context = told if isinstance(told, int) and told > 0 else None
        return self._context

    def complete(self, prompt: str, tokens: int, asked: str) -> Answer:
        """One streamed completion; servers without that endpoint get it as a chat."""
        body = {"model": self.model(), "max_tokens": tokens, "temperature": 0, "stream": True, "ignore_eos": True}
        body["stream_options"] = {"include_usage": True}
        answer = self._stream("/v1/completions", {**body, "prompt": prompt}, asked)
        if answer.status in {404, 405, 501}:
            return self.chat(prompt, tokens, asked)
        return answer

    def chat(self, prompt: str, tokens: int, asked: str) -> Answer:
        body = {"model": self.model(), "max_tokens": tokens, "temperature": 0, "stream": True, "ignore_eos": True}
        messages = [{"role": "user", "content": prompt}]
        return self._stream("/v1/chat/completions", {**body, "messages": messages}, asked)

    def embed(self, text: str, asked: str) -> Answer:
        return self._stream("/v1/embeddings", {"model": self.model(), "input": text}, asked)

    def _stream(self, path: str, body: Mapping[str, Any], asked: str) -> Answer:
        answer = Answer(asked)
        start = time.monotonic()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.stall)
        try:
            connection.request("POST", path, json.dumps(body).encode(), self._headers)
            response = connection.getresponse()
            answer.status = response.status
            if response.status >= 400:
                answer.error = f"HTTP {response.status} {_one_line(response.read(_MOST_LINE))}".rstrip()
            else:
                _read_answer(response, answer, start, self.begun)
        except TimeoutError:
            answer.stalled = True
            answer.error = f"no byte of an answer in {self.stall:g} s"
        except (OSError, http.client.HTTPException) as error:
            answer.error = f"the connection was lost: {_one_line(str(error)) or type(error).__name__}"
        finally:
            connection.close()
        answer.seconds = time.monotonic() - start
        return answer


def _read_answer(response: http.client.HTTPResponse, answer: Answer, start: float, begun: Callable[[], None]) -> None:
    """Reads server-sent events, or one JSON document, with the time of the first and the last token.

    Events need an end of their own: to the HTTP client a connection that is lost between two of them looks like it.
    """
    taken, chunks, first, last, whole = 0, 0, 0.0, 0.0, False
    usage: dict[str, Any] = {}
    timings: dict[str, Any] = {}
    parts: list[str] = []
    while True:
        line = response.readline(1 << 20)
        if not line:
            break
        taken += len(line)
        if taken > _MOST_BYTES:
            answer.error = "the answer does not end"
            return
        text = line.strip()
        is_event = text.startswith(b"data:")
        if is_event:
            text = text[5:].strip()
        if text == b"[DONE]":
            whole = True
        if not text or text == b"[DONE]":
            continue
        content = _data(text)
        if not isinstance(content, dict):
            continue
        if content.get("error") and not content.get("choices"):
            answer.error = _one_line(json.dumps(content["error"]))
            return
        usage = content["usage"] if isinstance(content.get("usage"), dict) else usage
        timings = content["timings"] if isinstance(content.get("timings"), dict) else timings
        whole = whole or not is_event or bool(usage or timings) or _is_last(content)
        if content.get("choices") or content.get("data"):
            last = time.monotonic()
            first = first or last
            chunks += 1
            if chunks == 2:  # of an answer that goes on
                begun()
            parts.append(_text_of(content))
    answer.text = "".join(parts)[:_MOST_LINE]
    if not chunks:
        answer.error = "an empty answer"
        return
    if not whole:
        answer.error = f"it broke off after {chunks:,} pieces"
        return
    answer.tokens = _count(usage, "completion_tokens") or _count(timings, "predicted_n") or chunks
    answer.prompt_tokens = _count(usage, "prompt_tokens") or _count(timings, "prompt_n")
    answer.first = first - start
    # What the engine measured itself counts: a server holds back text until a character is whole.
    told, asked = _rate(timings, "predicted"), _rate(timings, "prompt")
    if told is not None:
        answer.rate = told
    elif answer.tokens > 1 and last > first:
        answer.rate = (answer.tokens - 1) / (last - first)
    if asked is not None:
        answer.prompt_rate = asked
    elif answer.prompt_tokens and answer.first > 0:
        answer.prompt_rate = answer.prompt_tokens / answer.first


def _is_last(content: Mapping[str, Any]) -> bool:
    with suppress(LookupError, TypeError, AttributeError):
        return bool(content["choices"][0].get("finish_reason"))
    return False


def _text_of(content: Mapping[str, Any]) -> str:
    with suppress(LookupError, TypeError, AttributeError):
        choice = content["choices"][0]
        return str(choice.get("text") or (choice.get("delta") or {}).get("content") or "")
    return ""


def _count(content: Mapping[str, Any], name: str) -> int | None:
    value = content.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _rate(timings: Mapping[str, Any], part: str) -> float | None:
    """llama-server's own tokens a second."""
    value = timings.get(f"{part}_per_second")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9 else None


def _data(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")


def _one_line(text: str | bytes) -> str:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return re.sub(r"\s+", " ", text).strip()[:_MOST_LINE]


Stage = Callable[[str], None]


def put(workload: Workload, client: Client, alive: Callable[[], bool], stage: Stage = lambda _text: None) -> Outcome:
    """Puts the workload to a server that is ready.

    Args:
        alive: whether the engine still runs; a workload is not gone on with against a dead one.
        stage: told what is done now, for a progress display.
    """
    outcome = Outcome()
    for asked, request in _requests(workload, client):
        if not alive():
            outcome.stopped_by = "the engine ended before the workload was through"
            break
        stage(asked)
        answers = request()
        outcome.answers += answers
        if not all(answer.is_good for answer in answers):
            break
    return outcome


def _requests(workload: Workload, client: Client) -> Iterator[tuple[str, Callable[[], list[Answer]]]]:
    name, answer_tokens = workload.name, workload.answer
    if name == "load_only":
        return
    if name == "one_prompt":
        yield "a prompt", lambda: [client.complete("Once upon a time", answer_tokens, "a prompt")]
        yield "a chat", lambda: _if_known(client.chat("Say what comes next: one, two", 8, "a chat"))
        return
    if name == "embedding":
        wanted = workload.tokens or 600
        asked = f"an embedding of {wanted:,} tokens"
        text = _prompt(client, wanted) if workload.tokens else _WORD * (wanted // 3)
        yield asked, lambda: [client.embed(text, asked)]
        return
    context = client.context() or FALLBACK_CONTEXT
    if name == "parallel_requests":
        asked = f"{_PARALLEL} prompts at once"
        yield asked, lambda: _at_once(client, answer_tokens)
    elif name == "generate_past_context":
        wanted = min(max(workload.tokens or 0, context + context // 4) + 1, _MOST_TOKENS)
        asked = f"an answer of {wanted:,} tokens, beyond the context of {context:,}"
        yield asked, lambda: [client.complete("Once upon a time", wanted, asked)]
    else:
        share = 0.75 if name == "long_prefill" else 0.95
        wanted = min(workload.tokens or int(context * share) - answer_tokens, _MOST_TOKENS)
        asked = f"a prompt of {wanted:,} tokens"
        yield asked, lambda: [client.complete(_prompt(client, wanted), answer_tokens, asked)]


def _if_known(answer: Answer) -> list[Answer]:
    """A server need not have the endpoint; one that has it must answer."""
    return [] if answer.status in {404, 405, 501} else [answer]


def _prompt(client: Client, tokens: int) -> str:
    """A text of at least so many tokens: how many a word takes is asked first."""
    probe = client.complete(_WORD * (_CALIBRATION_WORDS // 3), 1, "how long a word is")
    per_piece = (probe.prompt_tokens or _CALIBRATION_WORDS) / (_CALIBRATION_WORDS // 3)
    return _WORD * max(1, int(tokens / per_piece) + 1)


def _at_once(client: Client, tokens: int) -> list[Answer]:
    answers: list[Answer | None] = [None] * _PARALLEL

    def ask(number: int) -> None:
        answers[number] = client.complete(f"Story {number}: once upon a time", tokens, f"prompt {number + 1} of many")

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(_PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answer for answer in answers if answer is not None]


def is_open(host: str, port: int, timeout: float = 0.5) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return True
    except OSError:
        return False
