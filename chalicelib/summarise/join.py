"""Calls from halves: which caller and callee make an edge, and what new halves change.

For each key (the caller's trace and span id), with all callers and callees that are known under it:

* every pair of different services is a call; its error is either half's, its latency and minute the caller's;
* a caller without any callee is a call to its virtual name, if it has one. (A service that calls itself is no edge.)

That is a pure function of two sets, so the order in which halves arrive cannot matter: new halves add
`calls(old + new) - calls(old)`, in which a caller's first callee takes the call under the virtual name away.
Two halves pair only if they were folded within `PENDING_WINDOW_SECONDS` of each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.edges import EdgeKind, Edges, smaller_exemplar
from chalicelib.model.halves import keys_of
from chalicelib.model.measure import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.model.halves import Callee, Caller, HalfKey, Halves

_CALLERS_OF_KEY_MAX = 16
"""Different spans under one id are a sender's fault; this many of them still count. Bounds the pairs of a key."""


class KnownHalves:
    """Halves by key, each with the time at which it was folded (Unix seconds): of copies, the first."""

    def __init__(self) -> None:
        self.callers: dict[HalfKey, dict[Caller, int]] = defaultdict(dict)
        self.callees: dict[HalfKey, dict[Callee, int]] = defaultdict(dict)

    def add(self, halves: Halves, folded_unix_seconds: int) -> None:
        for caller in halves.callers:
            known = self.callers[caller[:2]]
            known[caller] = min(known.get(caller, folded_unix_seconds), folded_unix_seconds)
        for callee in halves.callees:
            known_callees = self.callees[callee[:2]]
            known_callees[callee] = min(
                known_callees.get(callee, folded_unix_seconds), folded_unix_seconds
            )

    def with_new(self, halves: Halves, folded_unix_seconds: int) -> KnownHalves:
        """What is known under the keys of new halves, with these, as another object.

        Of no other key: a step has hundreds of entries, and copying everything for each took half a minute.
        """
        united = KnownHalves()
        for key in keys_of(halves):
            if key in self.callers:
                united.callers[key] = dict(self.callers[key])
            if key in self.callees:
                united.callees[key] = dict(self.callees[key])
        united.add(halves, folded_unix_seconds)
        return united


class Call(NamedTuple):
    minute: int
    caller: str
    callee: str
    kind: int
    bucket: int
    is_error: bool


def added_edges(
    known: KnownHalves, new: Halves, folded_unix_seconds: int, window_seconds: int
) -> dict[int, Edges]:
    """Minute → what `new` changes, where `known` holds at least every earlier half of the new ones' keys."""
    united = known.with_new(new, folded_unix_seconds)
    before, after = Counter[Call](), Counter[Call]()
    exemplars: dict[tuple[int, str, str, int], bytes] = {}
    for key in keys_of(new):
        before.update(call for call, _ in calls_of(key, known, window_seconds))
        for call, trace_id in calls_of(key, united, window_seconds):
            after[call] += 1
            _offer(exemplars, call[:4], trace_id)
    # A virtual edge's exemplar is any call under that name, found out or not: else it would depend on the order.
    for caller in new.callers:
        if caller.peer:
            edge = (caller.minute, caller.service, caller.peer, caller.kind)
            _offer(exemplars, edge, caller.trace_id)
    after.subtract(before)
    return _edges(after, exemplars)


def calls_of(
    key: HalfKey, halves: KnownHalves, window_seconds: int
) -> Iterator[tuple[Call, bytes]]:
    """The calls under one key, each with the caller's trace id."""
    callers, callees = halves.callers.get(key, {}), halves.callees.get(key, {})
    for caller, caller_time in sorted(callers.items())[:_CALLERS_OF_KEY_MAX]:
        partners = [
            callee
            for callee, callee_time in callees.items()
            if abs(caller_time - callee_time) <= window_seconds
        ]
        for callee in partners:
            if callee.service != caller.service:
                yield _call(caller, callee), caller.trace_id
        if not partners and caller.peer:
            virtual = (caller.minute, caller.service, caller.peer, caller.kind)
            yield Call(*virtual, caller.bucket, caller.is_error), caller.trace_id


def _call(caller: Caller, callee: Callee) -> Call:
    is_messaging = EdgeKind.MESSAGING in (caller.kind, callee.kind)
    return Call(
        caller.minute,
        caller.service,
        callee.service,
        EdgeKind.MESSAGING if is_messaging else EdgeKind.RPC,
        caller.bucket,
        caller.is_error or callee.is_error,
    )


def _offer(
    exemplars: dict[tuple[int, str, str, int], bytes],
    edge: tuple[int, str, str, int],
    trace_id: bytes,
) -> None:
    exemplars[edge] = smaller_exemplar(exemplars.get(edge, b""), trace_id)


def _edges(
    counts: Counter[Call], exemplars: dict[tuple[int, str, str, int], bytes]
) -> dict[int, Edges]:
    found: dict[int, Edges] = defaultdict(Edges)
    for (minute, caller, callee, kind), trace_id in exemplars.items():
        found[minute].offer((caller, callee, kind), Measure(), trace_id)
    for call, times in counts.items():
        if times:
            measure = Measure()
            measure.count(call.bucket, is_error=call.is_error, times=times)
            found[call.minute].offer((call.caller, call.callee, call.kind), measure, b"")
    return found


def lonely(callees: Iterable[Callee], folded: int, known: KnownHalves, window: int) -> list[Callee]:
    """Those of the callees, folded at `folded`, that no caller within the window has the key of.

    `known` must hold every caller folded within the window before or after them. Also a caller of the same service
    is a caller: the call is known not to be an edge.
    """
    return [
        callee
        for callee in callees
        if not any(
            abs(time - folded) <= window for time in known.callers.get(callee[:2], {}).values()
        )
    ]
