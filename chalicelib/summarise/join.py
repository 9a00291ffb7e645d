"""Calls from halves: which caller and callee make an edge, and what new halves change.

For each key (the caller's trace and span id), with all callers and callees that are known under it:

* every pair of different services is a call; its error is either half's, its latency and minute the caller's;
* a caller without any callee is a call to its virtual name, if it has one. (A service that calls itself is no edge.)

That is a pure function of two sets, so the order in which halves arrive cannot matter: new halves add
`calls(old + new) - calls(old)`, in which a caller's first callee takes the call under the virtual name away.
Two halves pair only if they were folded within `PENDING_WINDOW_SECONDS` of each other.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.model.edges import EdgeKind, Edges, smallest_exemplar
from chalicelib.model.measure import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.model.halves import Callee, Caller, HalfKey, Halves
    from chalicelib.store.remembered import Kept

    EdgeOfMinute = tuple[int, str, str, int]
    """Minute, caller, callee, kind."""

_CALLERS_OF_KEY_MAX = 16
"""Different spans under one id are a sender's fault; this many of them still count. Bounds the pairs of a key."""


_RPC, _MESSAGING = int(EdgeKind.RPC), int(EdgeKind.MESSAGING)
_NOTHING = Measure()


class KnownHalves:
    """Halves by key, each with the time at which it was folded (Unix seconds): of copies, the first."""

    def __init__(self) -> None:
        self.callers: dict[HalfKey, dict[Caller, int]] = defaultdict(dict)
        self.callees: dict[HalfKey, dict[Callee, int]] = defaultdict(dict)

    def add(self, halves: Halves, folded_unix_seconds: int) -> None:
        # Two loops, without a function between: a fold adds thousands.
        callers, callees = self.callers, self.callees
        for caller in halves.callers:
            of_key = callers[caller[:2]]
            if of_key.get(caller, folded_unix_seconds) >= folded_unix_seconds:
                of_key[caller] = folded_unix_seconds
        for callee in halves.callees:
            callees_of_key = callees[callee[:2]]
            if callees_of_key.get(callee, folded_unix_seconds) >= folded_unix_seconds:
                callees_of_key[callee] = folded_unix_seconds

    def take(self, new: KnownHalves) -> None:
        """Know these as well; `new` is used up."""
        pairs: Any = ((self.callers, new.callers), (self.callees, new.callees))
        for known, added in pairs:
            for key in known.keys() & added.keys():
                for half, time in known[key].items():
                    added[key][half] = min(time, added[key].get(half, time))
            known.update(added)

    def keys_in_common(self, other: KnownHalves) -> set[HalfKey]:
        # Of two sets of keys the smaller is gone through: what is known may be much more than what is new.
        mine, others = (self.callers, self.callees), (other.callers, other.callees)
        return set().union(*(one.keys() & two.keys() for one in mine for two in others))

    def of_keys(self, keys: Iterable[HalfKey]) -> KnownHalves:
        """A copy of what is known under these keys.

        Of no other key: a step has hundreds of entries, and copying everything for each took half a minute.
        """
        found = KnownHalves()
        for key in keys:
            if key in self.callers:
                found.callers[key] = dict(self.callers[key])
            if key in self.callees:
                found.callees[key] = dict(self.callees[key])
        return found


class Call(NamedTuple):
    minute: int
    caller: str
    callee: str
    kind: int
    bucket: int
    is_error: bool


def halves_at(halves: Halves, folded_unix_seconds: int) -> KnownHalves:
    """What is known of halves that are folded together."""
    known = KnownHalves()
    known.add(halves, folded_unix_seconds)
    return known


def known_among(waiting: Iterable[Kept], wanted: set[HalfKey]) -> KnownHalves:
    """The waiting halves of these keys."""
    wanted_traces = {trace_id for trace_id, _ in wanted}
    known = KnownHalves()
    for kept in waiting:
        if halves := kept.halves(wanted, wanted_traces):
            known.add(halves, kept.folded_unix_seconds)
    return known


def added_edges(known: KnownHalves, new: KnownHalves, window_seconds: int) -> dict[int, Edges]:
    """Minute → what `new` changes, where `known` holds at least every earlier half of the new ones' keys."""
    counts: dict[Call, int] = defaultdict(int)
    trace_ids: dict[EdgeOfMinute, list[bytes]] = defaultdict(list)
    met = new.keys_in_common(known)
    if met:
        united = known.of_keys(met)
        united.take(new.of_keys(met))
        for key in met:
            for call, _ in calls_of(key, known, window_seconds):
                counts[call] -= 1
            for call, trace_id in calls_of(key, united, window_seconds):
                counts[call] += 1
                trace_ids[call[:4]].append(trace_id)
    for key in new.callers.keys() - met if met else new.callers:
        for call, trace_id in calls_of(key, new, window_seconds):
            counts[call] += 1
            trace_ids[call[:4]].append(trace_id)
    # A virtual edge's exemplar is any call under that name, found out or not: else it would depend on the order.
    for caller in chain.from_iterable(new.callers.values()):
        if caller.peer:
            edge = (caller.minute, caller.service, caller.peer, caller.kind)
            trace_ids[edge].append(caller.trace_id)
    return _edges(counts, trace_ids)


def calls_of(key: HalfKey, halves: KnownHalves, window_seconds: int) -> list[tuple[Call, bytes]]:
    """The calls under one key, each with the caller's trace id."""
    callers, callees = halves.callers.get(key), halves.callees.get(key)
    if not callers:
        return []
    if len(callers) > _CALLERS_OF_KEY_MAX:
        callers = dict(sorted(callers.items())[:_CALLERS_OF_KEY_MAX])
    calls: list[tuple[Call, bytes]] = []
    for caller, caller_time in callers.items():
        has_partner = False
        for callee, callee_time in callees.items() if callees else ():
            if abs(caller_time - callee_time) <= window_seconds:
                has_partner = True
                if callee.service != caller.service:
                    calls.append((_call(caller, callee), caller.trace_id))
        if caller.peer and not has_partner:
            virtual = (caller.minute, caller.service, caller.peer, caller.kind)
            calls.append((Call(*virtual, caller.bucket, caller.is_error), caller.trace_id))
    return calls


def _call(caller: Caller, callee: Callee) -> Call:
    is_messaging = _MESSAGING in (caller.kind, callee.kind)
    return Call(
        caller.minute,
        caller.service,
        callee.service,
        _MESSAGING if is_messaging else _RPC,
        caller.bucket,
        caller.is_error or callee.is_error,
    )


def _edges(counts: dict[Call, int], trace_ids: dict[EdgeOfMinute, list[bytes]]) -> dict[int, Edges]:
    measures: dict[EdgeOfMinute, Measure] = defaultdict(Measure)
    for call, times in counts.items():
        if times:
            measures[call[:4]].count(call.bucket, is_error=call.is_error, times=times)
    found: dict[int, Edges] = defaultdict(Edges)
    for edge in measures.keys() | trace_ids.keys():
        minute, caller, callee, kind = edge
        of_edge = trace_ids.get(edge)
        exemplar = smallest_exemplar(of_edge) if of_edge else b""
        found[minute].offer((caller, callee, kind), measures.get(edge, _NOTHING), exemplar)
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
