"""How a run ended, from its markers and from what the user or the kernel says about its process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.vocabulary.terms import Outcome

if TYPE_CHECKING:
    from doctor.scan.runs import Run

_STOP_SIGNALS = {"SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"}
_STOP_STATUSES = {129: "SIGHUP", 130: "SIGINT", 143: "SIGTERM"}  # as a shell or a container runtime tells them


def outcome_of(run: Run, *, status: int | None = None, signal: str | None = None, hung: bool = False) -> Outcome:
    """The outcome that the run's own lines and its exit show.

    Args:
        run: with its markers in line order.
        status: exit status, when the user gave it.
        signal: the signal that ended it, as ``SIGKILL``, when the user gave it.
        hung: it was seen to show no sign of life, or never to serve, when it was stopped.
    """
    if signal is None and status is not None and status in _STOP_STATUSES:
        signal, status = _STOP_STATUSES[status], None
    ready = any(marker.means in {"ready", "progress"} for marker in run.markers)
    ended = [marker for marker in run.markers if marker.means == "ended"]
    if signal is not None and signal not in _STOP_SIGNALS:
        return Outcome.KILLED if signal == "SIGKILL" else Outcome.CRASHED
    if ended:
        # The first end is the cause's; what a launcher prints about it afterwards is the echo.
        worst = next((marker.outcome for marker in ended if marker.outcome and marker.outcome.bad), None)
        if worst is Outcome.CRASHED and not ready and any(marker.means == "loading" for marker in run.markers):
            return Outcome.FAILED_TO_START  # it was seen to load, and never served
        return worst or ended[-1].outcome or Outcome.STOPPED
    if status is not None and status > 128:
        return Outcome.KILLED if status == 137 else Outcome.CRASHED
    if status:
        return Outcome.CRASHED if ready else Outcome.FAILED_TO_START
    if hung:
        return Outcome.HUNG
    if signal in _STOP_SIGNALS or any(marker.means == "stopping" for marker in run.markers):
        return Outcome.STOPPED if ready else Outcome.UNKNOWN
    if ready:
        return Outcome.HEALTHY
    return Outcome.UNKNOWN
