"""The time of a body that is worked on: who takes it apart says when a piece is done, and it may end there.

    within(time_left) ─┬─ decoder ── piece_done(bytes) ── … ── time_left()? ──no──▶ OutOfTime
                      └─ split, redaction ── the same

Deployed, the time is what the function has left. On a laptop, where requests share one process, whoever is asked for
the time also lets shorter requests go first. It is not handed from function to function, for every reader of every
dialect would have to hand it on.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from chalicelib.errors import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK_BYTES = 65_536
"""What is worked on between two looks at the time: a few milliseconds of work."""
_BYTES_OF_A_PIECE = 256
"""What a piece counts for beside its own bytes: an empty span takes as long as so many."""


class _Work:
    """One body's."""

    __slots__ = ("_left_bytes", "_time_left")

    def __init__(self, time_left: Callable[[], bool]) -> None:
        self._time_left = time_left
        self._left_bytes = _LOOK_BYTES

    def done(self, piece_bytes: int) -> None:
        self._left_bytes -= piece_bytes + _BYTES_OF_A_PIECE
        if self._left_bytes < 0:
            self._left_bytes = _LOOK_BYTES
            if not self._time_left():
                raise OutOfTime("there was no time left for the whole body")


_WORK: ContextVar[_Work | None] = ContextVar("clew_work", default=None)


@contextmanager
def within(time_left: Callable[[], bool]) -> Iterator[None]:
    """Have `time_left` asked while a body is worked on in this thread: once it is false, the work ends by OutOfTime."""
    token = _WORK.set(_Work(time_left))
    try:
        yield
    finally:
        _WORK.reset(token)


def piece_done(piece_bytes: int) -> None:
    """Say that so many bytes of the body have been worked on. Raises OutOfTime."""
    if (work := _WORK.get()) is not None:
        work.done(piece_bytes)
