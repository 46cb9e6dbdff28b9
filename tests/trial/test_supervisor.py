"""Children that behave badly, under the real supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.trial import cgroup, processes
from doctor.trial.launch import MIB, Ending, Launch, Limits, NotStarted, launch
from doctor.trial.lock import SUFFIX
from doctor.trial.stale import clean, lock_folder
from tests.trial.processes import FAMILY, FOREVER, alive, family, python, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked at in /proc")
MEMORY_EATER = """\
held = []
while True:
    held.append(bytearray(b"x") * (1 << 20))
"""
needs_cgroup = pytest.mark.skipif(
    not cgroup.present() or not os.access(getattr(cgroup.present(), "path", "/"), os.W_OK) or os.getuid() != 0,
    reason="no memory cgroup can be made here",
)


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def finished(words: tuple[str, ...], limits: Limits | None = None, **more: object) -> tuple[Ending, bytes]:
    """How it ended and what it wrote; nothing of it may be left."""
    with launch(Launch(words, **more), limits) as child:  # type: ignore[arg-type]
        ending = child.ending(60)
        assert ending is not None
        output = child.output.read_bytes()
    assert list(lock_folder().iterdir()) == []
    return ending, output


def test_output_comes_in_the_order_in_which_it_was_written() -> None:
    ending, output = finished(("sh", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done; exit 7"))
    assert output.decode().split("\n") == [f"{s} {i}" for i in (1, 2, 3) for s in ("out", "err")] + [""]
    assert (ending.status, ending.signal, ending.why, ending.code) == (7, None, "exited", 7)
    assert ending.written == len(output)


def test_environment_folder_and_words_arrive_as_they_are(tmp_path: Path) -> None:
    words = python("import os, sys; print(sys.argv[1:], os.getcwd(), os.environ['A'])", "ä \n\t", "")
    _ending, output = finished(words, folder=tmp_path, environment={"A": "b=c\n", "PATH": os.environ["PATH"]})
    assert output.decode() == f"['ä \\n\\t', ''] {tmp_path} b=c\n\n"


def test_an_abort_is_told_with_its_signal() -> None:
    ending, _output = finished(python("import os; os.abort()"))
    assert (ending.status, ending.signal, ending.why, ending.code) == (None, "SIGABRT", "killed", 134)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("no-such-program-here",), 127, "no such program"),
        (("/etc/passwd",), 126, "cannot be executed: Permission denied"),
        (("/",), 126, "cannot be executed: Permission denied"),
    ],
)
def test_what_cannot_be_started_says_why(words: tuple[str, ...], status: int, message: str) -> None:
    with pytest.raises(NotStarted) as raised:
        launch(Launch(words))
    assert (raised.value.status, raised.value.message, raised.value.subject) == (status, message, words[0])
    assert list(lock_folder().iterdir()) == []


def test_a_folder_or_an_output_that_cannot_be_had_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="No such file"):
        launch(Launch(("true",), folder=tmp_path / "missing"))
    with pytest.raises(UsageProblem, match="No such file"):
        launch(Launch(("true",), output=tmp_path / "missing" / "output"))
    assert list(lock_folder().iterdir()) == []


def test_a_looping_child_meets_its_deadline() -> None:
    ending, _output = finished(python("while True: pass"), Limits(deadline=1.5, stall=0.7))
    assert (ending.signal, ending.why) == ("SIGKILL", "deadline")
    assert ending.usage.cpu > 0


def test_a_child_that_shows_no_sign_of_life_is_stalled() -> None:
    ending, output = finished(python(f"print('ready', flush=True)\n{FOREVER}"), Limits(deadline=60, stall=0.3))
    assert (ending.signal, ending.why) == ("SIGKILL", "stalled")
    assert output == b"ready\n"


def test_output_is_a_sign_of_life() -> None:
    text = "import time\nfor i in range(20):\n    print(i, flush=True)\n    time.sleep(0.05)\n"
    ending, _output = finished(python(text), Limits(stall=0.8))
    assert ending.why == "exited"


def test_of_a_flood_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    text = "for i in range(400_000): print(f'line {i:07}')"
    ending, output = finished(python(text), Limits(output=MIB), output=tmp_path / "output")
    lines = output.decode().splitlines()
    assert len(output) <= MIB + 100
    assert (lines[0], lines[-1]) == ("line 0000000", "line 0399999")
    said = next(line for line in lines if "llmdoctor" in line)
    assert said == f"[llmdoctor: {ending.left_out} bytes of output were left out here]"
    assert ending.written == 400_000 * 13
    assert ending.left_out == ending.written - (len(output) - len(said) - 2)


def test_what_is_just_within_the_limit_is_kept_whole(tmp_path: Path) -> None:
    text = "import sys\nfor i in range(1000): sys.stdout.write(f'{i:099}\\n')"
    ending, output = finished(python(text), Limits(output=160_000))
    assert output == b"".join(b"%099d\n" % i for i in range(1000))
    assert ending.left_out == 0


def test_a_full_disk_does_not_end_the_engine() -> None:
    with launch(Launch(python("print('x' * 100_000)\nprint('done')"), output=Path("/dev/full"))) as child:
        ending = child.ending(60)
    assert ending is not None
    assert ending.status == 0
    assert "No space left" in ending.troubles[0]


@needs_cgroup
def test_a_memory_eater_is_killed_in_its_own_cgroup_only() -> None:
    ending, _output = finished(python(MEMORY_EATER), Limits(memory=64 * MIB, deadline=60))
    assert (ending.signal, ending.why) == ("SIGKILL", "out_of_memory")
    assert ending.cgroup is not None
    assert (ending.cgroup.own, ending.cgroup.kills, ending.cgroup.limit) == (True, 1, 64 * MIB)
    assert not Path(ending.cgroup.path).exists()
    if not any("kernel log" in trouble for trouble in ending.troubles):
        assert any("Killed process" in line for line in ending.kernel)
        assert ending.usage.anonymous > 32 * MIB


def test_an_address_space_limit_refuses_memory() -> None:
    ending, output = finished(python(MEMORY_EATER), Limits(address_space=256 * MIB, deadline=60))
    assert (ending.status, ending.why) == (1, "exited")
    assert b"MemoryError" in output


def test_what_was_used_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (48 * MIB))
    text = """\
import mmap, sys, time
own = bytearray(b"y") * (96 << 20)
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
sum(mapped[i] for i in range(0, len(mapped), 4096))
time.sleep(0.6)
"""
    ending, _output = finished(python(text, tmp_path / "file"))
    assert 96 * MIB <= ending.usage.anonymous < 130 * MIB
    assert 48 * MIB <= ending.usage.mapped < 80 * MIB
    assert ending.usage.processes == 1


def test_what_is_read_from_a_disk_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (8 * MIB))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    ending, _output = finished(("cat", str(path)))
    if (
        not ending.usage.read
        and subprocess.run(["stat", "-fc", "%T", path], check=False, capture_output=True).stdout == b"tmpfs\n"
    ):
        pytest.skip("temporary files are in memory here")
    assert ending.usage.read >= 8 * MIB


def test_what_a_child_leaves_running_is_stopped_and_named(tmp_path: Path) -> None:
    ending, _output = finished(("sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pid"))
    assert (ending.status, ending.left_running) == (0, ("sleep",))
    assert not alive(int((tmp_path / "pid").read_text()))


def test_closing_leaves_no_grandchild_not_even_a_daemon(tmp_path: Path) -> None:
    with launch(Launch(python(f"{FAMILY}\n{FOREVER}", tmp_path / "pids"))):
        pids = family(tmp_path / "pids")
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)
    assert list(lock_folder().iterdir()) == []


def test_a_stop_asks_first_and_kills_then() -> None:
    polite = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(5))\nprint('up', flush=True)\n"
    with launch(Launch(python(f"{polite}{FOREVER}"))) as child:
        until(child.output.read_bytes)
        ending = child.stop()
        assert (ending.status, ending.why) == (5, "stopped")
    deaf = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\n"
    with launch(Launch(python(f"{deaf}{FOREVER}"))) as child:
        until(child.output.read_bytes)
        ending = child.stop(grace=0.1)
        assert (ending.signal, ending.why) == ("SIGKILL", "stopped")


def test_a_child_that_forks_all_the_time_is_caught() -> None:
    """Each goes into a session of its own, forks and ends, so that neither a list of processes nor a group holds it."""
    text = "import os, time\nwhile True:\n    if os.fork(): os._exit(0)\n    os.setsid()\n    time.sleep(0.002)\n"
    with launch(Launch(("sh", "-c", 'LOOP=1 "$@"; sleep 1000', "sh", *python(text))), Limits(deadline=0.5)) as child:
        ending = child.ending(60)
        assert ending is not None
        assert ending.why == "deadline"
        token = next(lock_folder().glob(f"*{SUFFIX}")).stem
        assert processes.carrying(f"LLMDOCTOR_LAUNCH={token}") == []


def test_a_paused_child_does_not_run_and_its_clocks_stand() -> None:
    text = "import time\nfor i in range(1_000_000):\n    print(i, flush=True)\n    time.sleep(0.01)\n"
    with launch(Launch(python(text)), Limits(stall=0.2)) as child:
        until(child.output.read_bytes)
        child.pause()
        until(lambda: (found := processes.stat(child.pid)) is not None and found.state == "T")
        assert child.ending(0.5) is None
        child.resume()
        size = child.output.stat().st_size
        until(lambda: child.output.stat().st_size > size)


PARENT = """\
import sys, time
from pathlib import Path
from doctor.trial.launch import Launch, Limits, launch
with launch(Launch(tuple(sys.argv[2:])), Limits(memory=1 << 30)) as child:
    print(child.pid, flush=True)
    child.ending(60)
"""


def parent_of(tmp_path: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    """An llmdoctor that waits for a child with a grandchild and a daemon."""
    words = python(f"{FAMILY}\n{FOREVER}", tmp_path / "pids")
    process = subprocess.Popen([sys.executable, "-c", PARENT, "x", *words], stdout=subprocess.PIPE)
    return process, family(tmp_path / "pids")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_when_llmdoctor_is_killed_or_interrupted_nothing_is_left(number: signal.Signals, tmp_path: Path) -> None:
    process, pids = parent_of(tmp_path)
    process.send_signal(number)
    process.communicate()
    until(lambda: not any(alive(pid) for pid in pids))
    until(lambda: not list(lock_folder().iterdir()))
    assert clean(lock_folder()) == []


def supervisor_of(pid: int) -> int:
    found = processes.stat(pid)
    assert found is not None
    return found.parent


def test_what_a_killed_supervisor_left_is_removed_by_the_next_start(tmp_path: Path) -> None:
    with launch(Launch(python(FOREVER))) as other:
        child = launch(Launch(python(f"{FAMILY}\n{FOREVER}", tmp_path / "pids")), Limits(memory=1 << 30))
        pids = family(tmp_path / "pids")
        os.kill(supervisor_of(child.pid), signal.SIGKILL)
        ending = child.ending(30)
        assert ending is not None
        assert ending.why == "lost"
        until(lambda: not alive(pids[0]))  # the engine itself dies with its supervisor; its daemon does not
        assert alive(pids[2])
        locks = set(lock_folder().glob(f"*{SUFFIX}"))
        with launch(Launch(("true",))) as third:
            third.ending(30)
            assert not any(alive(pid) for pid in pids)
            assert alive(other.pid)  # of one that lives nothing is touched
            assert other.output.exists()
        left = set(lock_folder().glob(f"*{SUFFIX}"))
        assert len(locks) == 2
        assert len(left) == 1
        child.close()
    assert list(lock_folder().iterdir()) == []


def test_a_lock_cannot_point_to_what_is_not_its_own(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    path = lock_folder() / f"0123{SUFFIX}"
    path.write_text(f'{{"pid": 1, "started": 1, "boot": "x", "cgroup": "{victim}"}}')
    broken = lock_folder() / f"0124{SUFFIX}"
    broken.write_text("{")
    assert clean(lock_folder()) == ["0123", "0124"]
    assert victim.exists()
    assert not path.exists()


def test_a_lock_that_was_never_finished_goes_after_an_hour() -> None:
    fresh, old = lock_folder() / f"a{SUFFIX}.new", lock_folder() / f"b{SUFFIX}.new"
    fresh.touch()
    old.touch()
    os.utime(old, (0, 0))
    clean(lock_folder())
    assert fresh.exists()
    assert not old.exists()


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = lock_folder()
    folder.chmod(0o777)
    with pytest.raises(UsageProblem, match="others can write"):
        launch(Launch(("true",)))


def test_an_ending_survives_being_written_down() -> None:
    ending, _output = finished(("sh", "-c", "kill -9 $$"))
    assert Ending.from_dict(ending.to_dict()) == ending
    assert ending.why == "killed"  # by somebody, not by the kernel for memory
