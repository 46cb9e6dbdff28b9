"""The small process between llmdoctor and an engine: it starts the engine, watches it, and leaves nothing of it behind.

``python -m doctor.trial.supervisor FD``: FD is a socket on which llmdoctor sends a request and then commands, a line of
JSON each, and hears ``{"pid": ...}`` and ``{"ending": {...}}``. End of file on it says that llmdoctor is gone. Standard
library only, as it is started with every trial; and in its own session, so that no Ctrl-C reaches it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from doctor.trial import cgroup as cgroups
from doctor.trial import processes, start
from doctor.trial.kernel import KernelLog, killing
from doctor.trial.lock import Lock, mark_of
from doctor.trial.record import Record
from doctor.trial.relay import Relay, Wiring
from doctor.trial.usage import Sampler

_FIRST_TICK, _TICK = 0.02, 0.25
_TICK_COSTS = 200  # looking may take so small a part of the time
_SWITCH_SECONDS = 0.0005  # so long output may wait for a look at processes
_NATURAL_END = 0.2  # seconds that what is left running has to end by itself,
_ASKED_END = 2.0  # then after SIGTERM
_DRAIN = 2.0  # for output that is still on its way when no process is left
_ALIVE_CPU = 0.02  # share of a core below which a silent process is not at work; a loading one takes more
_ALIVE_CPU_SECONDS = 0.05
_ALIVE_READ = 1 << 20
_KILL_ROUNDS = 500
_MESSAGE_BYTES = 1 << 26


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    sys.setswitchinterval(_SWITCH_SECONDS)
    start.become_subreaper()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    request = _request(control)
    if request is None:
        return
    try:
        supervisor = Supervisor(control, reading, request)
    except OSError as error:
        _send(control, {"failed": {"message": f"{error.strerror}", "subject": str(error.filename or "")}})
        return
    # Told to end, it ends as if llmdoctor were gone. What was ignored stays so (nohup).
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"):
        if signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), lambda *_: supervisor.abandon())
    try:
        supervisor.run()
    finally:
        supervisor.clean()


class Supervisor:
    """One engine's life."""

    def __init__(self, control: socket.socket, wakeup: int, request: dict[str, Any]) -> None:
        self._control, self._wakeup, self._request = control, wakeup, request
        self._limits: dict[str, Any] = request["limits"]
        self._lock = Lock(request["locks"], os.urandom(8).hex())
        self._buffer = b""
        self._gone = self._told = False
        self._troubles: list[str] = []
        self._main = 0
        self._ended: tuple[int, float] | None = None  # wait status and when
        self._cause = ""
        self._kill_at: float | None = None
        self._paused = False
        self._sampler = Sampler(os.getpid())
        self._relays: list[Relay] = []
        self._wiring: Wiring | None = None
        self._left: list[str] = []
        self._waiting: list[str] = []
        self._cgroup: cgroups.Cgroup | None = None
        self._own_cgroup = False
        try:
            output = request["output"] or f"{self._lock.files}/output.log"
            self._record = Record(output, f"{self._lock.files}/rest", int(self._limits["output"]))
        except OSError:
            self._lock.release()
            raise
        self._output = output
        self._kernel = KernelLog()

    # --- its course -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._start()
        except start.Failed as failed:
            _send(self._control, {"failed": start.explained(failed, self._request)})
            return
        _send(self._control, {"pid": self._main, "output": self._output})
        self._watch()
        if not self._gone:
            self._end()
            self._told = True
        while not self._gone:  # the output is the caller's until it lets go
            self._wait(None)

    def clean(self) -> None:
        self._kill_all()
        if self._wiring is not None and not self._told:
            self._wiring.put_back()
        if self._own_cgroup and self._cgroup is not None:
            self._cgroup.remove()
        self._kernel.close()
        self._lock.release()

    def abandon(self) -> None:
        self._gone = True

    def _start(self) -> None:
        self._make_cgroup()
        wiring = self._wiring = Wiring(self._request["streams"])
        self._record.joined = len(wiring.plan) > 1
        words = [bytes.fromhex(word) for word in self._request["words"]]
        environment = {bytes.fromhex(k): bytes.fromhex(v) for k, v in self._request["environment"].items()}
        name, _, value = mark_of(self._lock.token).encode().partition(b"=")
        environment[name] = value
        self._began = self._alive = time.monotonic()
        self._main = start.start(
            words,
            environment,
            self._request["folder"],
            wiring.places,
            terminal=wiring.controlling,
            cgroup=f"{self._cgroup.path}/cgroup.procs" if self._own_cgroup and self._cgroup else None,
            rlimits=start.rlimits_of(self._limits),
        )
        self._relays = wiring.connect(self._record)

    def _make_cgroup(self) -> None:
        if self._limits["memory"] is not None:
            self._lock.note(cgroup=None)
            name = f"llmdoctor-{self._lock.token}"
            self._cgroup, reason = cgroups.make(name, int(self._limits["memory"]))
            if self._cgroup is None:
                self._troubles.append(f"no memory limit: {reason}")
            else:
                self._own_cgroup = True
                self._lock.note(cgroup=self._cgroup.path, version=self._cgroup.version)
        self._cgroup = self._cgroup or cgroups.present()
        found = self._cgroup
        self._before = (found.kills(), found.refusals()) if found else (0, 0)

    def _watch(self) -> None:
        """Until the engine has ended, or llmdoctor has gone."""
        tick, known, look_at = _FIRST_TICK, (0, 0.0, 0, 0), 0.0
        while self._ended is None and not self._gone:
            began = time.monotonic()
            everyone = began >= look_at
            self._sampler.sample(known=not everyone)
            if everyone:
                look_at = began + max(tick, (time.monotonic() - began) * _TICK_COSTS)
            known = self._look_alive(known)
            self._kernel.lines()
            self._keep_limits()
            cost = time.monotonic() - began if not everyone else 0.0
            tick = min(_TICK, tick * 1.1)
            self._wait(max(tick, cost * _TICK_COSTS), until=self._kill_at)

    def _wait(self, seconds: float | None, until: float | None = None) -> None:
        """For a command, the end of a process, or the time."""
        if until is not None:
            seconds = max(0.0, min(seconds or 0.0, until - time.monotonic()))
        waiting: list[Any] = [self._control, self._wakeup]
        ready, _, _ = select.select(waiting, [], [], seconds)
        if self._wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakeup, 4096)
        if self._control in ready:
            self._listen()
        self._reap()

    def _listen(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._gone = True
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, message: dict[str, Any]) -> None:
        if "signal" in message:
            self._signal(message["signal"], group=message["group"])
        elif "pause" in message:
            self._pause(message["pause"])
        elif "stop" in message and self._ended is None:
            self._cause = self._cause or "stopped"
            self._kill_at = time.monotonic() + message["stop"]
            self._pause(False)
            self._signal(message["number"], group=True)

    def _signal(self, number: int, *, group: bool) -> None:
        if self._ended is None:
            with contextlib.suppress(OSError):
                (os.killpg if group else os.kill)(self._main, number)

    def _pause(self, paused: bool) -> None:
        if paused != self._paused:
            self._paused = paused
            processes.kill(processes.below(os.getpid()), signal.SIGSTOP if paused else signal.SIGCONT)
            if paused:
                self._paused_at = time.monotonic()
            else:
                slept = time.monotonic() - self._paused_at
                self._alive += slept
                self._began += slept

    def _look_alive(self, known: tuple[int, float, int, int]) -> tuple[int, float, int, int]:
        """Output, CPU time, disk reads and page faults since the last sign of life; the new state if there was one."""
        now = time.monotonic()
        if self._limits["stall"] is None or self._paused:
            return known
        written, cpu, faults = self._record.written, self._sampler.cpu, self._sampler.faults
        worked = cpu - known[1] > _ALIVE_CPU_SECONDS + _ALIVE_CPU * (now - self._alive)
        if written != known[0] or worked or faults > known[3] or any(relay.passing for relay in self._relays):
            self._alive = now
            return written, cpu, known[2], faults
        read = self._sampler.read()
        if read - known[2] > _ALIVE_READ:
            self._alive = now
            return written, cpu, read, faults
        return known

    def _keep_limits(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_all()
        elif self._paused or self._cause:
            return
        elif self._limits["deadline"] is not None and now - self._began > self._limits["deadline"]:
            self._waiting = self._sampler.waiting()
            self._cause = "deadline"
            self._kill_all()
        elif self._limits["stall"] is not None and now - self._alive > self._limits["stall"]:
            self._waiting = self._sampler.waiting()
            self._cause = "stalled"
            self._kill_all()

    # --- its end --------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        assert self._ended is not None  # noqa: S101
        status, when = self._ended
        if not self._cause:
            self._stop_leftovers()
        self._kill_all()
        self._drain()
        self._record.finish()
        if self._record.trouble:
            self._troubles.append(self._record.trouble)
        self._sampler.all_ended()
        signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        kernel = self._kernel.lines()
        if at_death := killing(kernel, self._main):
            self._sampler.anonymous = max(self._sampler.anonymous, at_death)
        if self._kernel.trouble:
            self._troubles.append(self._kernel.trouble)
        counted = self._counted()
        _send(
            self._control,
            {
                "ending": {
                    "status": None if signalled else os.WEXITSTATUS(status),
                    "signal": _name(signalled) if signalled else None,
                    "why": self._why(status, kernel, counted),
                    "seconds": round(when - self._began, 4),
                    "usage": {
                        "anonymous": self._sampler.anonymous,
                        "mapped": self._sampler.mapped,
                        "read": self._sampler.read(),
                        "cpu": round(self._sampler.cpu, 3),
                        "processes": self._sampler.most,
                    },
                    "cgroup": counted,
                    "kernel": kernel,
                    "written": self._record.written,
                    "left_out": self._record.left_out,
                    "waiting": self._waiting,
                    "left_running": self._left,
                    "troubles": self._troubles,
                }
            },
        )

    def _why(self, status: int, kernel: list[str], counted: dict[str, Any] | None) -> str:
        if self._cause:
            return self._cause
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        bad = killed or not os.WIFEXITED(status) or os.WEXITSTATUS(status) != 0
        if counted and counted["kills"] and (killed or (bad and counted["own"])):
            return "out_of_memory"
        if killed and killing(kernel, self._main):
            return "out_of_memory"
        return "killed" if os.WIFSIGNALED(status) else "exited"

    def _counted(self) -> dict[str, Any] | None:
        found = self._cgroup
        if found is None:
            return None
        return {
            "path": found.path,
            "version": found.version,
            "own": self._own_cgroup,
            "limit": found.limit(),
            "peak": found.peak(),
            "kills": max(0, found.kills() - self._before[0]),
            "refusals": max(0, found.refusals() - self._before[1]),
        }

    def _stop_leftovers(self) -> None:
        """What the engine left running gets a moment to end by itself, then is asked to."""
        for seconds, number in ((_NATURAL_END, None), (_ASKED_END, signal.SIGTERM)):
            left = self._living()
            if not left:
                return
            if number is not None:
                self._left = sorted({process.name for process in left})
                processes.kill(left, number)
            end = time.monotonic() + seconds
            while self._living() and time.monotonic() < end and not self._gone:
                self._wait(0.02)

    def _living(self) -> list[processes.Stat]:
        return [process for process in processes.below(os.getpid()) if process.state not in "ZX"]

    def _kill_all(self) -> None:
        """Until there is nobody left to wait for. What forks all the time is caught by its group, or a round later."""
        for round_ in range(_KILL_ROUNDS):
            found = processes.below(os.getpid())
            if not found and self._reap():
                return
            processes.kill(found)
            if not found and self._main and self._ended is None:  # no /proc: only the group is known
                with contextlib.suppress(OSError):
                    os.killpg(self._main, signal.SIGKILL)
            self._reap()
            time.sleep(0 if round_ < 20 else 0.01)

    def _reap(self) -> bool:
        """Waits for what has ended; whether no child is left."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            self._sampler.ended(used.ru_utime + used.ru_stime, used.ru_inblock)
            if pid == self._main:
                self._ended = (status, time.monotonic())

    def _drain(self) -> None:
        """All that was written is passed on, as long as somebody takes it."""
        end = time.monotonic() + _DRAIN
        for relay in self._relays:
            while relay.is_alive() and not self._gone and (relay.passing or time.monotonic() < end):
                relay.join(0.02)
                self._wait(0)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _request(control: socket.socket) -> dict[str, Any] | None:
    parts = b""
    while not parts.endswith(b"\n") and len(parts) < _MESSAGE_BYTES:
        data = control.recv(1 << 16)
        if not data:
            return None
        parts += data
    found: dict[str, Any] = json.loads(parts)
    return found


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
