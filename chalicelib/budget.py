"""What one question may take: time, items and bytes read, spans and figures held, bytes written.

Whoever works for a question says what it spends, piece by piece; what is over ends it at once, by TooMuchAsked (less
can be asked for) or OutOfTime. A budget only refuses: an answer that is within it is the same as without. Clock and
asker are given: `time_left` is false once the time is over, or nobody waits for the answer any more; whoever tells it
may let others have their turn first.
"""

from __future__ import annotations

from operator import add, sub
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.errors import OutOfTime, TooMuchAsked

if TYPE_CHECKING:
    from collections.abc import Callable

_UNCHECKED_MAX = 64
"""Pieces (items, spans) between two looks at the clock: a look takes a microsecond, these some hundred."""
_BYTES_OF_A_PIECE = 4_096
"""Stored: what is larger takes as long as several."""


class Held(NamedTuple):
    """Spans that are kept for an answer, and what they consist of."""

    spans: int = 0
    content_bytes: int = 0
    parts: int = 0
    """Distinct attributes, events and links: each is an object."""


class Limits(NamedTuple):
    """How much one question may spend."""

    items: int
    stored_bytes: int
    held: Held
    figures_held: int
    written_bytes: int


def usual_limits() -> Limits:
    """The limits of `config.py`."""
    return Limits(
        config.ANSWER_ITEMS_READ_MAX,
        config.ANSWER_BYTES_READ_MAX,
        Held(config.TRACE_SPANS_MAX, config.TRACE_CONTENT_BYTES_MAX, config.TRACE_PARTS_MAX),
        config.ANSWER_FIGURES_MAX,
        config.ANSWER_BYTES_MAX,
    )


class Budget:
    """The budget of one question. It may be spent from several threads."""

    def __init__(
        self,
        time_left: Callable[[], bool] = lambda: True,
        limits: Limits | None = None,
    ) -> None:
        self._time_left = time_left
        self._limits = limits or usual_limits()
        self._lock = Lock()
        self._unchecked = 0
        self.items = 0
        self.stored_bytes = 0
        self.held = Held()
        self.figures_held = 0
        self.written_bytes = 0

    def check(self) -> None:
        """Raise OutOfTime if the time is over, or if whoever asked has gone."""
        self._unchecked = 0
        if not self._time_left():
            raise OutOfTime(
                "there was no time left for the whole answer: ask for less, or ask again"
            )

    def read(self, items: int, stored_bytes: int) -> None:
        """Spend items that were read of the store, and their values' bytes."""
        with self._lock:
            self.items += items
            self.stored_bytes += stored_bytes
        _bound("items to read", self.items, self._limits.items)
        _bound("stored bytes to read", self.stored_bytes, self._limits.stored_bytes)
        self._count(items + stored_bytes // _BYTES_OF_A_PIECE)

    def hold(self, held: Held) -> None:
        """Spend spans that are kept for the answer."""
        with self._lock:
            self.held = Held(*map(add, self.held, held))
        most = self._limits.held
        _bound("spans", self.held.spans, most.spans)
        _bound("bytes of spans", self.held.content_bytes, most.content_bytes)
        _bound("attributes, events and links", self.held.parts, most.parts)
        self._count(1)

    def let_go(self, held: Held) -> None:
        """Take back what `hold` spent, once the answer does without it."""
        with self._lock:
            self.held = Held(*map(sub, self.held, held))

    @property
    def left(self) -> Held:
        """What may still be held."""
        return Held(*map(sub, self._limits.held, self.held))

    def hold_figures(self, figures: int) -> None:
        """Spend figures (series, their buckets, services of an hour) which are kept for the answer; negative ones are
        let go."""
        self.figures_held += figures
        _bound("figures", self.figures_held, self._limits.figures_held)
        self.check()

    def write(self, written_bytes: int) -> None:
        """Spend bytes of the answer, a part of it, before they are compressed."""
        self.written_bytes += written_bytes
        _bound("bytes", self.written_bytes, self._limits.written_bytes)
        self.check()

    def _count(self, pieces: int) -> None:
        self._unchecked += pieces
        if self._unchecked >= _UNCHECKED_MAX:
            self.check()


def _bound(what: str, spent: int, limit: int) -> None:
    if spent > limit:
        raise TooMuchAsked(
            f"the answer needs more than {limit} {what}, which is the limit: ask for less, or for a shorter time"
        )
