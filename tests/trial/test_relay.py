"""How output is passed on: at once, unless small pieces come without end."""

from __future__ import annotations

import os
from pathlib import Path

from doctor.trial.record import Record
from doctor.trial.relay import Pace, Relay


def waits(pace: Pace, times: list[float], size: int = 60) -> list[float]:
    return [pace.pause(now, size) for now in times]


def test_a_token_now_and_then_and_a_burst_pass_at_once() -> None:
    assert not any(waits(Pace(), [number / 90 for number in range(5000)]))
    assert not any(waits(Pace(), [100.0] * 200))


def test_small_pieces_without_end_are_gathered() -> None:
    """However fast they come, a read waits until it is its turn: 100 a second."""
    pace, now, reads = Pace(), 100.0, 0
    while now < 110.0:
        pause = pace.pause(now, 60)
        now += pause or 0.0001
        assert pause <= 0.0101
        reads += 1
    assert reads < 10 * 100 + 250
    assert waits(pace, [now + 60] * 100) == [0.0] * 100  # and are forgotten after a rest


def test_a_flood_is_not_held_up() -> None:
    assert not any(waits(Pace(), [100.0] * 5000, size=4096))


def test_every_byte_of_small_pieces_is_passed_on(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    out, into = os.pipe()
    record = Record(str(tmp_path / "kept"), str(tmp_path / "rest"), 1 << 20)
    relay = Relay(reading, into, record, 1)
    relay.start()
    for number in range(1000):
        os.write(writing, b"%04d\n" % number)
    os.close(writing)
    relay.join(60)
    os.close(into)
    with os.fdopen(out, "rb") as passed:
        assert passed.read() == b"".join(b"%04d\n" % number for number in range(1000))
