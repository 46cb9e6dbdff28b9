from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.exitcodes import _table, explain


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("137", "SIGKILL"),
        ("-9", "SIGKILL"),
        ("SIGKILL", "SIGKILL"),
        ("kill", "SIGKILL"),
        ("signal: killed", "SIGKILL"),
        ("exit status 137", "SIGKILL"),
        ("exited with code 137", "SIGKILL"),
        ("134", "SIGABRT"),
        ("signal: aborted (core dumped)", "SIGABRT"),
        ("132", "SIGILL"),
        ("139", "SIGSEGV"),
        ("135", "SIGBUS"),
        ("143", "SIGTERM"),
        ("0", "success"),
        ("1", "failure"),
        ("126", "cannot execute"),
        ("127", "command not found"),
        ("255", "exit status out of range"),
        ("-1", "exit status out of range"),
        ("4294967295", "-1, read as an unsigned number"),
        ("203/EXEC", "203/EXIT_EXEC"),
        ("0xc0000135", "STATUS_DLL_NOT_FOUND"),
        ("-1073741515", "STATUS_DLL_NOT_FOUND"),
        ("3221225781", "STATUS_DLL_NOT_FOUND"),
        ("c000001d", "STATUS_ILLEGAL_INSTRUCTION"),
        ("18446744072635810825", "STATUS_STACK_BUFFER_OVERRUN"),
    ],
)
def test_reads_every_spelling(code: str, name: str) -> None:
    meaning = explain(code)
    assert meaning is not None
    assert meaning.name.startswith(name)
    assert meaning.code == code
    assert meaning.source


@pytest.mark.parametrize(
    "code", ["", "  ", "64", "300", "99999999999999999999", "rpc-server-unreachable", "-5000000000"]
)
def test_knows_what_it_does_not_know(code: str) -> None:
    assert explain(code) is None


def test_names_the_candidates_of_a_number_that_lost_its_digits() -> None:
    # JavaScript prints 2**64 - 1073740791 (0xC0000409) as 18446744072635812000
    meaning = explain("18446744072635812000")
    assert meaning is not None
    assert "0xC0000409" in meaning.name
    assert "lost its last digits" in meaning.meaning
    crowded = explain("18446744072635810000")
    assert crowded is not None
    assert crowded.name.startswith("STATUS_ACCESS_VIOLATION")
    assert "more" in crowded.name
    assert len(crowded.name) < 200


def test_signal_numbers_are_those_of_this_system() -> None:
    for number, row in _table()["signals"].items():
        assert signal.Signals[row["name"]].value == number


def test_table_is_complete() -> None:
    for section, rows in _table().items():
        for code, row in rows.items():
            assert isinstance(code, int), section
            assert set(row) <= {"name", "meaning", "causes", "look_at"}
            assert row["name"]
            assert row["meaning"]
    for number in (4, 6, 7, 9, 11):
        assert _table()["signals"][number]["causes"]
        assert _table()["signals"][number]["look_at"]


@given(st.sampled_from(sorted(_table()["ntstatus"])))
def test_a_windows_status_reads_the_same_in_all_its_forms(status: int) -> None:
    forms = [f"0x{status:08x}", str(status), str(status - (1 << 32)), str(status + 0xFFFFFFFF00000000)]
    names = {meaning.name for form in forms if (meaning := explain(form))}
    assert names == {f"{_table()['ntstatus'][status]['name']} (0x{status:08X})"}


@given(st.text(max_size=40) | st.integers().map(str) | st.integers(0, 1 << 70).map(hex))
def test_never_fails(text: str) -> None:
    meaning = explain(text)
    assert meaning is None or (meaning.name and meaning.meaning)
