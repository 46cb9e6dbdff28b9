"""What ``llmdoctor run`` passes through: bytes, signals, a terminal. What it says is a matter of tests/cli."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doctor.trial import processes
from tests.trial.processes import alive, python, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked at in /proc")
DRIVER = """\
import sys
from doctor.trial.run import running
with running(tuple(sys.argv[1:])) as passing:
    seen = passing.until_ended()
sys.exit(seen.ending.code)
"""
BARE = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
FLOOD = """\
import os, random
text = bytes(range(256)) * 512 + random.Random(7).randbytes(3_000_000) + b"no newline at the end"
for start in range(0, len(text), 70_001):
    os.write(1, text[start : start + 70_001])
    os.write(2, text[start : start + 1_001])
"""


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    until(lambda: not list(folder.glob("*/*")))


def driven(*words: str) -> list[str]:
    return [sys.executable, "-c", DRIVER, *words]


def test_every_byte_arrives_where_it_was_written_to() -> None:
    words = python(FLOOD)
    bare = subprocess.run(words, capture_output=True, check=True)
    done = subprocess.run(driven(*words), capture_output=True, check=True)
    assert done.stdout == bare.stdout
    assert done.stderr == bare.stderr


def test_one_pipe_for_both_keeps_their_order() -> None:
    text = "import os\nfor i in range(5000): os.write(1 + i % 2, b'%d\\n' % i)"
    done = subprocess.run(driven(*python(text)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    assert done.stdout == b"".join(b"%d\n" % i for i in range(5000))


def test_input_is_passed_through() -> None:
    data = bytes(range(256)) * 1000
    done = subprocess.run(driven("cat"), input=data, capture_output=True, check=True)
    assert done.stdout == data


def test_other_descriptors_are_inherited_as_a_shell_hands_them_over() -> None:
    words = ["bash", "-c", '"$@" <(echo from a pipe)', "bash", *driven("cat")]
    assert subprocess.run(words, capture_output=True, check=True).stdout == b"from a pipe\n"


def test_an_engine_whose_reader_has_gone_ends_as_it_would_alone() -> None:
    words = ["bash", "-c", 'set -o pipefail; "$@" | head -1', "bash", *driven("yes")]
    done = subprocess.run(words, capture_output=True, check=False)
    assert (done.stdout, done.returncode) == (b"y\n", 141)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_signals_reach_the_engine_and_its_status_comes_back(name: str) -> None:
    number = signal.Signals[name].value
    text = (
        f"import os, signal, time\nsignal.signal({number}, lambda *_: os._exit(42))\n"
        "print('up', flush=True)\ntime.sleep(1000)"
    )
    with subprocess.Popen(driven(*python(text)), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        assert process.wait(60) == 42


def test_a_signal_that_ends_the_engine_is_told_by_the_status() -> None:
    with subprocess.Popen(driven("sh", "-c", "echo up; exec sleep 1000"), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM


def test_a_hangup_that_was_to_be_ignored_is_ignored() -> None:
    words = ["nohup", *driven("sh", "-c", "echo up; read line; echo $line")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGHUP)
        process.stdin.write(b"still there\n")
        process.stdin.close()
        assert process.stdout.readline() == b"still there\n"
        assert process.wait(60) == 0


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-"])
def test_a_closed_descriptor_is_not_taken_for_a_file_of_ours(closed: str) -> None:
    words = ["bash", "-c", f'"$@" {closed}', "bash", *driven("sh", "-c", "cat; echo out; echo err >&2")]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert (b"out\n" in done.stdout) == ("1" not in closed)
    assert (b"err\n" in done.stderr) == ("2" not in closed)


def test_a_slow_reader_gets_all_of_it() -> None:
    text = "import sys\nfor i in range(60_000): print(i)\nprint('end')"
    with subprocess.Popen(driven(*python(text)), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        time.sleep(0.3)  # meanwhile the engine has ended, and the pipe is full
        data = process.stdout.read()
        assert data.splitlines()[-1] == b"end"
        assert len(data.splitlines()) == 60_001


class Screen:
    """A terminal with a program on it."""

    def __init__(self, *words: str, program: str = DRIVER, rows: int = 30, columns: int = 90) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.seen = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execv(sys.executable, [sys.executable, "-c", program, *words])  # noqa: S606

    def resize(self, rows: int, columns: int) -> None:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def read(self) -> bool:
        """Whether something came."""
        if not select.select([self.master], [], [], 0.05)[0]:
            return False
        with contextlib.suppress(OSError):
            data = os.read(self.master, 65536)
            self.seen += data
            return bool(data)
        return False

    def until(self, text: bytes) -> None:
        until(lambda: self.read() is None or text in self.seen)

    def end(self) -> int:
        """Reads to the end; the exit status."""
        status: list[int] = []

        def ended() -> bool:
            self.read()
            pid, found = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status.append(found)
            return bool(pid)

        until(ended)
        while self.read():
            pass
        os.close(self.master)
        return os.waitstatus_to_exitcode(status[0])


LOOK = """\
import os, sys, termios
print([os.isatty(n) for n in (0, 1, 2)], os.get_terminal_size(), os.ttyname(0) == os.ttyname(1))
state = termios.tcgetattr(0)
print(bool(state[3] & termios.ECHO), bool(state[3] & termios.ICANON), bool(state[1] & termios.OPOST))
sys.stdout.write("tab\\there \\x1b[31mred\\x1b[0m\\r\\n\\n")
sys.stderr.write("err\\n")
open("/dev/tty", "w").write("to the terminal\\n")
"""


def test_a_terminal_stays_a_terminal_and_shows_the_same_bytes() -> None:
    shown = []
    for program in (BARE, DRIVER):
        screen = Screen(*python(LOOK), program=program)
        assert screen.end() == 0
        shown.append(screen.seen)
    assert b"[True, True, True] os.terminal_size(columns=90, lines=30) True" in shown[0]
    assert shown[1] == shown[0]


def test_keys_reach_the_engine_and_are_echoed_once() -> None:
    screen = Screen(*python("print('name?', flush=True); print('hello', input())"))
    screen.until(b"name?")
    screen.type(b"world\r")
    assert screen.end() == 0
    assert screen.seen == b"name?\r\nworld\r\nhello world\r\n"


def test_the_end_of_input_is_passed_on() -> None:
    screen = Screen("sh", "-c", "echo up; cat; echo end")
    screen.until(b"up")
    screen.type(b"\x04")
    assert screen.end() == 0
    assert screen.seen.endswith(b"end\r\n")


def test_ctrl_c_is_for_the_engine_alone() -> None:
    text = (
        "import os, signal, time\nsignal.signal(2, lambda *_: os._exit(9))\nprint('up', flush=True)\ntime.sleep(1000)"
    )
    screen = Screen(*python(text))
    screen.until(b"up")
    screen.type(b"\x03")
    assert screen.end() == 9


def test_a_new_size_reaches_the_engine() -> None:
    text = (
        "import os, signal\ndef told(*_):\n    os.write(1, str(os.get_terminal_size()).encode())\n    os._exit(0)\n"
        "signal.signal(signal.SIGWINCH, told)\nos.write(1, b'up')\nwhile True: signal.pause()"
    )
    screen = Screen(*python(text))
    screen.until(b"up")
    screen.resize(11, 22)
    assert screen.end() == 0
    assert b"columns=22, lines=11" in screen.seen


def test_ctrl_z_suspends_all_and_fg_goes_on(tmp_path: Path) -> None:
    (tmp_path / "engine.py").write_text("import os\nprint('pid', os.getpid(), flush=True)\nprint('got', input())\n")
    (tmp_path / "driver.py").write_text(DRIVER)
    shell = "import os; os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])"
    screen = Screen(program=shell)
    words = f"{sys.executable} {tmp_path}/driver.py {sys.executable} {tmp_path}/engine.py"
    screen.type(f"PS1='$ '; export PYTHONPATH={Path(__file__).parents[2]}; {words}\r".encode())
    screen.until(b"pid ")
    until(lambda: screen.read() is None or b"\r\n" in screen.seen.rpartition(b"pid ")[2])
    pid = int(screen.seen.rpartition(b"pid ")[2].split()[0])
    screen.type(b"\x1a")
    screen.until(b"Stopped")
    screen.type(b"echo shell $((6 * 7))\r")
    screen.until(b"shell 42")  # the terminal is the shell's again
    assert alive(pid)
    screen.type(b"fg\r")
    screen.type(b"typed\r")
    until(lambda: screen.read() is None or b"$ " in screen.seen.partition(b"got typed")[2])
    screen.type(b"exit\r")
    assert screen.end() == 0


def test_a_terminal_is_put_back_when_llmdoctor_is_killed() -> None:
    import termios

    words = ["sh", "-c", '"$@"; echo after; sleep 1000', "sh", *driven("sh", "-c", "echo $PPID; sleep 1000")]
    screen = Screen(*words, program=BARE)
    before = termios.tcgetattr(screen.master)
    until(lambda: screen.read() is None or screen.seen.endswith(b"\r\n"))
    until(lambda: not termios.tcgetattr(screen.master)[3] & termios.ECHO)
    supervisor = processes.stat(int(screen.seen))
    assert supervisor is not None
    os.kill(supervisor.parent, signal.SIGKILL)
    screen.until(b"after")
    until(lambda: termios.tcgetattr(screen.master) == before)
    os.kill(screen.pid, signal.SIGKILL)
    os.waitpid(screen.pid, 0)
    os.close(screen.master)


def test_where_only_output_is_a_terminal_lines_end_as_they_would() -> None:
    shown = []
    for program in (BARE, DRIVER):
        pipe = f"echo words | {sys.executable} -c '{program}' cat"
        screen = Screen("sh", "-c", pipe, program=BARE)
        assert screen.end() == 0
        shown.append(screen.seen)
    assert shown == [b"words\r\n", b"words\r\n"]
