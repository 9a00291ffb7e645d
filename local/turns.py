"""Scheduling of requests in one interpreter: short before long, senders before askers, long ones one at a time.

    request ──kind_of──▶ SEND   threads of their own: spans that are sent wait for no answer
                         LIGHT  health, pages, lists of names
                         TRACE  one trace by its id
                         HEAVY  searches, statistics, edges
                           └──SHORT_CPU_SECONDS──▶ long: of each kind a few are worked on, a few wait, more are told 503

Python runs one thread at a time, so a long request halves the time of all others. How long a request will take is not
known: a body of sixteen kilobytes may be sixteen megabytes, and a trace may have three spans or a hundred thousand. So
each request begins as short, and is long after SHORT_CPU_SECONDS of CPU. Of the short answers the one with the least
CPU so far goes on. Of the long ones one is worked on at a time. At each look at its remaining time (`Work.go_on`) it
waits, for a bounded time, while spans are received or short answers are worked on; it rests if there were some a moment
ago, and lets the next long one work. Work that no client waits for, such as storing, lets short answers go first
(`Background`). When deployed, separate Lambda functions do the same.
"""

from __future__ import annotations

import threading
import time
from bisect import insort
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.errors import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT_CPU_SECONDS = 0.01
"""CPU time after which a request is long: a usual batch takes 2 ms, a usual answer 5."""
QUIET_SECONDS = 0.01
"""How long others wait after a sender's request: its next one is likely, and need not wait then."""
GIVE_WAY_SECONDS_MAX = 0.25
"""The longest single wait."""
LONG_SHARE, BODY_SHARE, SHORT_SHARE = 8, 4, 1
"""The longest wait as a multiple of the time worked, for a long answer, a long body and a short answer. So a body gets
a fifth of the time at least, whatever is sent and asked."""
RECENT_SECONDS = 1.0
REST_SECONDS_MAX = 0.05
"""The longest rest of a long request while spans come now and then: it rests as long as it has worked."""
TURN_SECONDS_MAX = 1.0
"""The longest wait for another request to give way: some work long between two looks at their time."""
ROOM_SECONDS_MAX = 8.0
"""How long a long request waits for another of its kind to end, before its client gets 503."""


_SHORT_THREADS = 3


class Room(NamedTuple):
    """The most long requests of a kind at once: each may take a hundred megabytes."""

    worked_on: int
    waiting: int

    @property
    def threads(self) -> int:
        """The threads of the kind: long requests always leave some to short ones."""
        return self.worked_on + self.waiting + _SHORT_THREADS


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
"""The paths that spans are posted to."""
_TRACE_PREFIXES = ("/v1/traces/", "/api/traces/", "/api/v2/trace/", "/api/v3/traces/")
_HEAVY_PREFIXES = (
    *("/api/metrics/", "/api/transform", "/api/v2/traceMany", "/api/v3/trace-summaries"),
    *("/v1/edges", "/api/dependencies", "/api/v2/dependencies", "/api/v3/dependencies"),
)
_HEAVY_PATHS = ("/v1/traces", "/api/traces", "/api/v2/traces", "/api/v3/traces")
_HEAVY_SUFFIXES = ("/statistics", "/attributes")


def kind_of(method: str, path: str) -> Kind:
    """Return the kind of a request, by its method and its path; Zipkin's base `/zipkin` is ignored."""
    path = path.removeprefix("/zipkin")
    path = path.rstrip("/") if len(path) > 1 else path
    if method == "POST" and path in SEND_PATHS:
        return Kind.SEND
    if path in _HEAVY_PATHS or path.startswith(_HEAVY_PREFIXES):
        return Kind.HEAVY
    if path.startswith("/v1/services/") and path.endswith(_HEAVY_SUFFIXES):
        return Kind.HEAVY
    return Kind.TRACE if path.startswith(_TRACE_PREFIXES) else Kind.LIGHT


ROOM = {Kind.SEND: Room(2, 5), Kind.TRACE: Room(2, 3), Kind.HEAVY: Room(2, 6)}
"""Room for long requests by kind; no request of kind LIGHT takes long."""


class NoRoom(OutOfTime):
    """There are too many long requests of this kind: the client gets 503."""

    def __init__(self) -> None:
        super().__init__("too many requests that take as long are being worked on")


class Turns:
    """Knows the requests that are being worked on; any thread may call its methods."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._short = dict.fromkeys(Kind, 0)
        """The number of short requests that are worked on; senders count while they wait for a thread, too."""
        self._sent_at = -1_000.0
        self._working: dict[bool, Work | None] = {False: None, True: None}
        """Whether requests are long → the one of them that may work."""
        self._line: dict[bool, list[Work]] = {False: [], True: []}
        self._long: dict[Kind, list[Work]] = {kind: [] for kind in ROOM}
        """The long requests of each kind in the order in which they became long: the first few are worked on."""

    def came(self, kind: Kind) -> None:
        """Count a short request: others wait for it."""
        with self._changed:
            self._short[kind] += 1

    def left(self, kind: Kind) -> None:
        """Count a short request no more: it has been answered, or has become long."""
        with self._changed:
            self._short[kind] -= 1
            if kind is Kind.SEND:
                self._sent_at = self._clock()
            self._changed.notify_all()

    @property
    def is_sending(self) -> bool:
        """Whether a short request of a sender is being worked on."""
        return self._short[Kind.SEND] > 0

    @property
    def _has_short(self) -> bool:
        return any(self._short.values())

    def long_count(self, kind: Kind) -> int:
        """Return the number of long requests, waiting ones included."""
        return len(self._long[kind])

    def give_way(
        self, worked_seconds: float, share: int = LONG_SHARE, *, is_long: bool = True
    ) -> None:
        """Wait while spans are being received, or were a moment ago; at most `share` times `worked_seconds`.

        A long request waits for short answers too.
        """
        since_sent = self._clock() - self._sent_at
        is_sent = self.is_sending or since_sent <= QUIET_SECONDS
        if is_sent or (is_long and self._has_short):
            seconds = min(share * worked_seconds, GIVE_WAY_SECONDS_MAX)
            self._wait_while(lambda: self._has_to_wait(is_long), seconds)
        elif is_long and since_sent < RECENT_SECONDS:
            self._wait_while(lambda: True, min(worked_seconds, REST_SECONDS_MAX))

    def give_way_to_askers(self, worked_seconds: float) -> None:
        """Wait while short answers are worked on, at most `worked_seconds`: for work that no client waits for."""
        if self._is_asking:
            seconds = min(worked_seconds, GIVE_WAY_SECONDS_MAX)
            self._wait_while(lambda: self._is_asking, seconds)

    @property
    def _is_asking(self) -> bool:
        return any(count for kind, count in self._short.items() if kind is not Kind.SEND)

    def _has_to_wait(self, is_long: bool) -> bool:
        if self.is_sending or self._clock() < self._sent_at + QUIET_SECONDS:
            return True
        return is_long and self._has_short

    def _wait_while(self, has_to: Callable[[], bool], seconds: float) -> None:
        ends = self._clock() + seconds
        with self._changed:
            while has_to() and (left := ends - self._clock()) > 0:
                self._changed.wait(left if self.is_sending else min(left, QUIET_SECONDS))

    def become_long(self, work: Work) -> None:
        """Wait until the work is among the first of its kind. Raises NoRoom if too many wait, or for too long."""
        room = ROOM[work.kind]
        with self._changed:
            long = self._long[work.kind]
            if len(long) >= room.worked_on + room.waiting:
                raise NoRoom
            long.append(work)
            may_work = self._changed.wait_for(
                lambda: work in long[: room.worked_on], ROOM_SECONDS_MAX
            )
            if not may_work:
                self._forget(work)
                raise NoRoom

    def end(self, work: Work) -> None:
        """Count the work no more: its request has been answered."""
        with self._changed:
            self._forget(work)

    def _forget(self, work: Work) -> None:
        if (long := self._long.get(work.kind)) and work in long:
            long.remove(work)
            self._changed.notify_all()

    def take(self, work: Work, *, is_long: bool) -> None:
        """Wait for the turn of the work. One works at a time, unless one keeps the others for TURN_SECONDS_MAX."""
        line = self._line[is_long]
        with self._changed:
            insort(line, work, key=_rank_among_long if is_long else _rank_among_short)
            self._changed.wait_for(
                lambda: self._working[is_long] is None and line[0] is work, TURN_SECONDS_MAX
            )
            line.remove(work)
            self._working[is_long] = work

    def let_go(self, work: Work) -> None:
        """Give the turn back, if the work has it."""
        with self._changed:
            for is_long, working in self._working.items():
                if working is work:
                    self._working[is_long] = None
                    self._changed.notify_all()

    def waiting_count(self, *, is_long: bool) -> int:
        """Return how many wait for their turn."""
        return len(self._line[is_long])


def _rank_among_long(work: Work) -> float:
    """Rank senders before askers; among equals the one that has waited longest goes first."""
    return 0.0 if work.kind is Kind.SEND else 1.0


def _rank_among_short(work: Work) -> float:
    """Rank by CPU seconds so far, least first: a small request does not wait for one that turns out to be large."""
    return work.worked_cpu_seconds


class Background:
    """Work that no client waits for, such as storing and summarising: it lets short answers go first.

    It does so at each call of AWS, and whenever a function asks for its remaining time.
    """

    def __init__(self, turns: Turns, clock: Callable[[], float] = time.monotonic) -> None:
        self._turns = turns
        self._clock = clock
        self._since = threading.local()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Mark what this thread does within as background work."""
        self._since.seconds = self._clock()
        try:
            yield
        finally:
            del self._since.seconds

    def go_on(self) -> bool:
        """Give way if this thread works in the background; return True, for the work is always wanted."""
        since: float | None = getattr(self._since, "seconds", None)
        if since is not None:
            self._turns.give_way_to_askers(self._clock() - since)
            self._since.seconds = self._clock()
        return True


class Work:
    """The work on one request: it gives way to others, and ends if its client goes."""

    def __init__(
        self,
        turns: Turns,
        kind: Kind,
        has_gone: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """Create the work of a request that waits for a thread.

        `has_gone` returns whether the client has gone. For a sender it is not called: a sender may close its own side.
        """
        self.kind = kind
        self._turns = turns
        self._has_gone = has_gone
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._is_long = False
        self._has_turn = False
        self._is_counted = kind is Kind.SEND
        """Whether it counts as a short request, which others wait for."""
        self._since = self._cpu_since = 0.0
        self.worked_cpu_seconds = 0.0
        """CPU seconds of the work at its last look at its time."""
        if self._is_counted:
            turns.came(kind)

    def begin(self) -> None:
        """Begin the work in the calling thread."""
        self._since, self._cpu_since = self._clock(), self._cpu_clock()
        if not self._is_counted:
            self._is_counted = True
            self._turns.came(self.kind)

    def go_on(self) -> bool:
        """Give way to others; return whether the client still waits for the answer. Raises NoRoom."""
        worked_seconds = self._clock() - self._since
        if not self._is_long and self.kind in ROOM:
            self.worked_cpu_seconds = self._cpu_clock() - self._cpu_since
            if self.worked_cpu_seconds >= SHORT_CPU_SECONDS:
                self._become_long()
            elif self.kind is Kind.SEND:
                return True
        self._turns.give_way(worked_seconds, self._share, is_long=self._is_long)
        is_wanted = self._turns.waiting_count(is_long=self._is_long) > 0
        if self.kind in ROOM and (is_wanted or not self._has_turn):
            self._turns.let_go(self)
            self._turns.take(self, is_long=self._is_long)
            self._has_turn = True
        self._since = self._clock()
        return self.kind is Kind.SEND or not self._has_gone()

    @property
    def _share(self) -> int:
        if not self._is_long:
            return SHORT_SHARE
        return BODY_SHARE if self.kind is Kind.SEND else LONG_SHARE

    def _become_long(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turns.let_go(self)
        self._count_no_more()
        self._is_long = True
        self._turns.become_long(self)

    def end(self) -> None:
        """End the work: give back its turn and its place."""
        self._turns.let_go(self)
        self._turns.end(self)
        self._count_no_more()

    def _count_no_more(self) -> None:
        if self._is_counted:
            self._is_counted = False
            self._turns.left(self.kind)
