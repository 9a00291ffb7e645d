"""Calls from halves: which caller and callee make an edge, and what new halves change.

For each key (the caller's trace and span id), with all callers and callees that are known under it:

* every pair of different services is a call; its error is either half's, its latency and minute the caller's;
* a caller without any callee is a call to its virtual name, if it has one. (A service that calls itself is no edge.)

That is a pure function of two sets, so the order in which halves arrive cannot matter: new halves add
`calls(old + new) - calls(old)`, in which a caller's first callee takes the call under the virtual name away.
Two halves pair only if they were folded within `PENDING_WINDOW_SECONDS` of each other.

Under most keys nothing is known and one caller comes, with at most one callee. These are not looked at one by one:
they are gathered by what makes them alike.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.model.edges import EdgeKind, Edges, smallest_exemplar
from chalicelib.model.halves import callees_by_key, callers_by_key, halves_from, traces_of
from chalicelib.model.measure import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.halves import (
        Callee,
        CalleeProfile,
        Caller,
        CallerProfile,
        HalfKey,
        Halves,
    )
    from chalicelib.store.remembered import Kept

    EdgeOfMinute = tuple[int, str, str, int]
    """Minute, caller, callee, kind."""
    Alike = tuple[CallerProfile, int, CalleeProfile | None]
    """What callers of one minute have in common, and their callees, if they have any."""

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

    def keys_among(self, keys: set[HalfKey]) -> set[HalfKey]:
        """Those of the keys under which anything is known."""
        return (self.callers.keys() & keys) | (self.callees.keys() & keys)

    def of_keys(self, keys: Iterable[HalfKey]) -> KnownHalves:
        """A copy of what is known under these keys."""
        found = KnownHalves()
        for key in keys:
            if key in self.callers:
                found.callers[key] = dict(self.callers[key])
            if key in self.callees:
                found.callees[key] = dict(self.callees[key])
        return found


class NewHalves:
    """Halves that are folded together, opened only as far as joining those takes that meet no others."""

    def __init__(self, messages: Sequence[HalvesMessage], folded_unix_seconds: int) -> None:
        self._messages = messages
        self._folded = folded_unix_seconds
        self._callers = list(chain.from_iterable(map(callers_by_key, messages)))
        callees = list(chain.from_iterable(map(callees_by_key, messages)))
        self._callee_of = dict(callees)
        caller_keys = {key for key, _ in self._callers}
        self.keys: set[HalfKey] = caller_keys | self._callee_of.keys()
        self.repeated_keys: set[HalfKey] = set()
        """Those that several callers have, or several callees."""
        if len(caller_keys) < len(self._callers) or len(self._callee_of) < len(callees):
            self.repeated_keys = _repeated(self._callers) | _repeated(callees)

    def of_keys(self, keys: set[HalfKey]) -> KnownHalves:
        """What there is under these keys."""
        found = KnownHalves()
        for message in self._messages:
            found.add(halves_from(message, keys), self._folded)
        return found

    def alike(self, without: set[HalfKey]) -> dict[Alike, list[tuple[int, bytes]]]:
        """Buckets and trace ids of the callers, but for those of some keys, by what they have in common."""
        found: dict[Alike, list[tuple[int, bytes]]] = defaultdict(list)
        callee_of = self._callee_of.get
        for key, (profile, minute, bucket) in self._callers:
            if key not in without:
                found[profile, minute, callee_of(key)].append((bucket, key[0]))
        return found


def _repeated(keyed: Iterable[tuple[HalfKey, object]]) -> set[HalfKey]:
    return {key for key, count in Counter([key for key, _ in keyed]).items() if count > 1}


class Call(NamedTuple):
    minute: int
    caller: str
    callee: str
    kind: int
    bucket: int
    is_error: bool


def known_among(waiting: Iterable[Kept], wanted: set[HalfKey]) -> KnownHalves:
    """The waiting halves of these keys."""
    wanted_traces = traces_of(wanted)
    known = KnownHalves()
    for kept in waiting:
        if halves := kept.halves(wanted, wanted_traces):
            known.add(halves, kept.folded_unix_seconds)
    return known


def added_edges(known: KnownHalves, new: NewHalves, window_seconds: int) -> dict[int, Edges]:
    """Minute → what `new` changes, where `known` holds at least every earlier half of the new ones' keys."""
    looked_at = known.keys_among(new.keys) | new.repeated_keys
    found: dict[int, Edges] = defaultdict(Edges)
    if looked_at:
        found.update(_changes(known, new.of_keys(looked_at), window_seconds))
    for alike, of_alike in new.alike(without=looked_at).items():
        _offer(found, alike, of_alike)
    return found


def _changes(known: KnownHalves, new: KnownHalves, window_seconds: int) -> dict[int, Edges]:
    """What these halves change, key by key."""
    trace_ids: dict[EdgeOfMinute, list[bytes]] = defaultdict(list)
    # A virtual edge's exemplar is any call under that name, found out or not: else it would depend on the order.
    for caller in chain.from_iterable(new.callers.values()):
        if caller.peer:
            edge = (caller.minute, caller.service, caller.peer, caller.kind)
            trace_ids[edge].append(caller.trace_id)
    keys = {*new.callers, *new.callees}
    counts: Counter[Call] = Counter()
    counts.subtract(_calls_before(keys, known, window_seconds))
    united = known.of_keys(keys)
    united.take(new)
    for key in keys:
        for call, trace_id in calls_of(key, united, window_seconds):
            counts[call] += 1
            trace_ids[call[:4]].append(trace_id)
    return _edges(counts, trace_ids)


def _calls_before(
    keys: Iterable[HalfKey], known: KnownHalves, window_seconds: int
) -> Iterator[Call]:
    for key in keys:
        for call, _ in calls_of(key, known, window_seconds):
            yield call


def _offer(found: dict[int, Edges], alike: Alike, of_alike: list[tuple[int, bytes]]) -> None:
    """Add the calls of callers that are alike and meet no others but one callee each, or none."""
    (service, peer, kind, is_error), minute, callee = alike
    buckets, trace_ids = zip(*of_alike, strict=True)
    exemplar = smallest_exemplar(trace_ids)
    if peer:
        # See `_changes` of exemplars.
        measure = _NOTHING if callee else _measure(buckets, is_error=is_error)
        found[minute].offer((service, peer, kind), measure, exemplar)
    if callee and callee[0] != service:
        callee_service, callee_kind, callee_is_error = callee
        edge = (service, callee_service, _kind_of_call(kind, callee_kind))
        measure = _measure(buckets, is_error=is_error or callee_is_error)
        found[minute].offer(edge, measure, exemplar)


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
    return Call(
        caller.minute,
        caller.service,
        callee.service,
        _kind_of_call(caller.kind, callee.kind),
        caller.bucket,
        caller.is_error or callee.is_error,
    )


def _kind_of_call(caller_kind: int, callee_kind: int) -> int:
    return _MESSAGING if _MESSAGING in (caller_kind, callee_kind) else _RPC


def _measure(buckets: Sequence[int], *, is_error: bool) -> Measure:
    calls = len(buckets)
    return Measure(calls, calls if is_error else 0, 0, Counter(buckets))


def _edges(counts: Counter[Call], trace_ids: dict[EdgeOfMinute, list[bytes]]) -> dict[int, Edges]:
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
