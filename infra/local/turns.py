"""Who goes first in one Python: senders before askers, and of askers those whose answers are short before the others.

    request ──kind_of──▶ SEND   threads of their own: what is taken in waits for no answer
                         LIGHT  health, pages, lists of names
                         TRACE  one trace by its id
                         HEAVY  searches, statistics, edges: few at a time, the rest wait in a line, for a while

Python runs one thread at a time, so one answer that is worked on halves what senders get. So of the longer answers one
is worked on at a time, and at each look at its time (`Answering.go_on`) it waits while spans are being taken, though
not for ever, rests if some were taken a moment ago, and lets the next one work. Deployed, the same separation is one of
functions.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET_SECONDS = 0.01
"""After a request of a sender its next one is likely: one that sends in a row is not to wait for each."""
GIVE_WAY_SECONDS_MAX = 0.25
"""Of one wait."""
SHARE = 8
"""How many times as long as it has worked an answer waits at most: it has a ninth of the time, whatever is sent."""
RECENT_SECONDS = 1.0
REST_SECONDS_MAX = 0.05
"""While spans come now and then, an answer rests for as long as it has worked, up to this: half of the time is free."""
TURN_SECONDS_MAX = 1.0
"""How long an answer waits for another to let it work: some work long between two looks."""


class Kind(Enum):
    SEND = "send"
    LIGHT = "light"
    TRACE = "trace"
    HEAVY = "heavy"


SEND_PATHS = frozenset(
    {
        *("/v1/traces", "/v1/metrics", "/v1/logs"),
        *("/api/traces", "/api/v2/spans", "/api/v1/spans"),
    }
)
"""Where spans are posted to."""
_TRACE_PREFIXES = ("/v1/traces/", "/api/traces/", "/api/v2/trace/", "/api/v3/traces/")
_HEAVY_PREFIXES = (
    *("/api/metrics/", "/api/transform", "/api/v2/traceMany", "/api/v3/trace-summaries"),
    *("/v1/edges", "/api/dependencies", "/api/v2/dependencies", "/api/v3/dependencies"),
)
_HEAVY_PATHS = ("/v1/traces", "/api/traces", "/api/v2/traces", "/api/v3/traces")
_HEAVY_SUFFIXES = ("/statistics", "/attributes")


def kind_of(method: str, path: str) -> Kind:
    """What a request asks for, by its method and its path below any base."""
    path = path.removeprefix("/zipkin")
    path = path.rstrip("/") if len(path) > 1 else path
    if method == "POST" and path in SEND_PATHS:
        return Kind.SEND
    if path in _HEAVY_PATHS or path.startswith(_HEAVY_PREFIXES):
        return Kind.HEAVY
    if path.startswith("/v1/services/") and path.endswith(_HEAVY_SUFFIXES):
        return Kind.HEAVY
    return Kind.TRACE if path.startswith(_TRACE_PREFIXES) else Kind.LIGHT


class Turns:
    """Knows who is being served; may be asked from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._senders = 0
        self._sent_at = -1_000.0
        self._working: object = None
        self._line: list[object] = []

    def sender_came(self) -> None:
        with self._changed:
            self._senders += 1

    def sender_left(self) -> None:
        with self._changed:
            self._senders -= 1
            self._sent_at = self._clock()
            self._changed.notify_all()

    @contextmanager
    def sending(self) -> Iterator[None]:
        self.sender_came()
        try:
            yield
        finally:
            self.sender_left()

    def give_way(self, worked_seconds: float) -> None:
        """Wait while spans are being taken, or were a moment ago; no longer than a share of what was worked."""
        since_sent = self._clock() - self._sent_at
        if not self._senders and since_sent > QUIET_SECONDS:
            if since_sent < RECENT_SECONDS:
                self._wait_while(lambda: True, min(worked_seconds, REST_SECONDS_MAX))
            return
        self._wait_while(self._is_sending, min(SHARE * worked_seconds, GIVE_WAY_SECONDS_MAX))

    def _is_sending(self) -> bool:
        return self._senders > 0 or self._clock() < self._sent_at + QUIET_SECONDS

    def _wait_while(self, has_to: Callable[[], bool], seconds: float) -> None:
        ends = self._clock() + seconds
        with self._changed:
            while has_to() and (left := ends - self._clock()) > 0:
                self._changed.wait(left if self._senders else min(left, QUIET_SECONDS))

    def take(self, answer: object) -> None:
        """Let the answer work when those before it have: no two at once, unless one keeps the others for too long."""
        with self._changed:
            self._line.append(answer)
            self._changed.wait_for(
                lambda: self._working is None and self._line[0] is answer, TURN_SECONDS_MAX
            )
            self._line.remove(answer)
            self._working = answer

    def let_go(self, answer: object) -> None:
        """Let another one work, if this one did."""
        with self._changed:
            if self._working is answer:
                self._working = None
                self._changed.notify_all()

    def is_wanted_by_others(self) -> bool:
        return bool(self._line)


class Answering:
    """One answer that is being worked on: gives way to senders, ends with its asker."""

    def __init__(
        self,
        turns: Turns,
        has_gone: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        *,
        takes_turns: bool = False,
    ) -> None:
        """`takes_turns`: whether it may be long, so that it is worked on when no other such answer is."""
        self._turns = turns
        self._has_gone = has_gone
        self._clock = clock
        self._takes_turns = takes_turns
        self._has_turn = False
        self._since = clock()

    def go_on(self) -> bool:
        """Give way; return whether there is still somebody who waits for the answer."""
        self._turns.give_way(self._clock() - self._since)
        if self._takes_turns and not (self._has_turn and not self._turns.is_wanted_by_others()):
            self.end()
            self._turns.take(self)
            self._has_turn = True
        self._since = self._clock()
        return not self._has_gone()

    def end(self) -> None:
        """It is worked on no more."""
        if self._has_turn:
            self._has_turn = False
            self._turns.let_go(self)
