from __future__ import annotations

from doctor.facts.hardware import read_hardware

HEAD = """procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----
 r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st
"""


def rates(text: str) -> dict[str, object]:
    return {fact.name: fact.value for fact in read_hardware(text, "vmstat.txt").facts}


def test_the_median_without_the_first_row() -> None:
    rows = [(900, 800), (10, 20), (3000, 2000), (40, 30)]
    text = HEAD + "".join(f" 1  2 10 20 30 40 {si} {so} 1 1 1 1 1 1 1 1 0\n" for si, so in rows)
    assert rates(text) == {"host.swap_in": 40 * 1024, "host.swap_out": 30 * 1024}


def test_one_row_is_the_average_since_the_start() -> None:
    assert rates(HEAD + " 1  0 0 20 30 40 0 0 1 1 1 1 1 1 98 1 0\n") == {"host.swap_in": 0, "host.swap_out": 0}


def test_a_header_alone_says_nothing() -> None:
    assert rates(HEAD) == {}
