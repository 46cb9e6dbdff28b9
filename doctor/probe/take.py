"""Asks everything side by side, within a total time, whatever hangs."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from doctor import __version__
from doctor.probe.ask import Ask
from doctor.probe.document import Answer, Probe, Status

SECONDS = 1.0
_WITHIN = 1.25  # of a command's two seconds asking ends there; reading and judging take the rest
_AT_LEAST = 0.8  # on a machine so busy that starting took a second, answers are worth more than the two seconds
_LAST_WORDS = 0.1  # questions end before asking does, so that what they had by then is still told


def take(
    seconds: float = SECONDS,
    asks: Sequence[Ask] | None = None,
    model_folders: Sequence[str] = (),
    meanwhile: Callable[[], object] | None = None,
) -> Probe:
    """A snapshot of this machine: saved answers only; nothing read out of them yet.

    Args:
        seconds: when asking ends; what has not answered by then has timed out.
        asks: the questions; by default those of this platform.
        model_folders: whose disk matters, beside those that the environment names.
        meanwhile: done while the tools think.
    """
    if asks is None:
        from doctor.probe.questions import questions

        asks = questions(model_folders)
    start = time.monotonic()
    probe = Probe(
        llmdoctor=__version__,
        taken=datetime.now(UTC).isoformat(timespec="seconds"),
        host=socket.gethostname(),
        answers=ask_all(asks, seconds, meanwhile),
    )
    probe.seconds = round(time.monotonic() - start, 3)
    return probe


def seconds_left(began: float) -> float:
    """Seconds for asking, of a command that began at that time (``time.monotonic()``) and shall take two in all.

    On a busy machine starting takes longer, so that asking has less; hanging tools then don't make it late.
    """
    return min(SECONDS, max(_AT_LEAST, began + _WITHIN - time.monotonic()))


def ask_all(asks: Sequence[Ask], seconds: float, meanwhile: Callable[[], object] | None = None) -> list[Answer]:
    """Their answers, in the order of the questions. Daemon threads: one that hangs in the kernel holds nothing up."""
    end = time.monotonic() + seconds
    last = end - min(_LAST_WORDS, seconds / 4)
    done: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    for ask in asks:
        threading.Thread(target=lambda ask=ask: done.put(_get(ask, last - time.monotonic())), daemon=True).start()
    if meanwhile is not None:
        meanwhile()
    answers: dict[str, Answer] = {}
    while len(answers) < len(asks) and (left := end - time.monotonic()) > 0:
        try:
            answer = done.get(timeout=left)
        except queue.Empty:
            break
        answers[answer.name] = answer
    return [
        answers.get(ask.name)
        or Answer(
            name=ask.name,
            asked=ask.asked,
            status=Status.TIMED_OUT,
            reason=f"no answer within {seconds:g} s",
            seconds=seconds,
        )
        for ask in asks
    ]


def _get(ask: Ask, seconds: float) -> Answer:
    start = time.monotonic()
    try:
        answer = ask.get(seconds)
    except Exception as error:  # a defect of one question must not cost the others' answers
        answer = Answer(name=ask.name, asked=ask.asked, status=Status.FAILED, reason=f"{type(error).__name__}: {error}")
    answer.seconds = round(time.monotonic() - start, 3)
    return answer
