"""Work on many deployments, shared between the processors: two hundred manifests are judged one by one otherwise."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MANY = 40
"""From so many items on further processes pay; starting and hearing one takes as long as judging some five."""
MOST = 4
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_parts(items: Sequence[_Item], work: Callable[[Sequence[_Item]], _Result], processors: int) -> list[_Result]:
    """What ``work`` makes of the items, in their order: of all at once, or part by part in processes of their own.

    Args:
        work: must leave nothing behind but its result, which has to be picklable.
        processors: how many may be used. Further processes are copies of this one (``fork``), so there are none on
            systems that have no such call, and none beside threads.
    """
    count = min(processors, MOST)
    if len(items) < MANY or count < 2 or not hasattr(os, "fork") or threading.active_count() > 1:
        return [work(items)]
    import multiprocessing

    size = -(-len(items) // count)
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    context = multiprocessing.get_context("fork")
    others = []
    for part in parts[1:]:
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(work, part, send), daemon=True)
        process.start()  # it ends with this one, whose own part may fail
        send.close()
        others.append((process, receive, part))
    results = [work(parts[0])]
    for process, receive, part in others:
        try:
            result: _Result = receive.recv()
        except EOFError:  # it failed, or was killed: here the error can be told
            result = work(part)
        results.append(result)
        process.join()
    return results


def _child(work: Callable[[Any], Any], part: Sequence[Any], send: Connection) -> None:
    with contextlib.suppress(BaseException):
        send.send(work(part))
