"""Calls from halves: which caller and callee make an edge, and what new halves change.

For each key (the caller's trace and span id), with all callers and callees that are known under it:

* every pair of different services is a call; its error is either half's, its latency and minute the caller's;
* a caller without any callee is a call to its virtual name, if it has one. (A service that calls itself is no edge.)
* a *parent*, a caller that stands for no call, is one for callees that no other caller is there for: of several, the
  first in order. The call's error and latency are the callee's.
* a *child*, a callee that is neither SERVER nor CONSUMER, counts only if nothing under the key is of its service: its
  parent is then another's.
* a SERVER whose own id is that of another service's CLIENT or PRODUCER is the other half of that span (Zipkin's way),
  and stands under its key instead of its parent's. Of the own id the CRC-32 is known.

That is a pure function of two sets, so the order in which halves arrive cannot matter: new halves add
`calls(old + new) - calls(old)`, in which a caller's first callee takes the call under the virtual name away.
Two halves pair only if they were folded within `PENDING_WINDOW_SECONDS` of each other.

Under most keys nothing is known and one caller comes, with at most one callee. These are not looked at one by one:
they are gathered by what makes them alike. Traces in which spans share ids are looked at whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from zlib import crc32

from chalicelib.model.edges import EdgeKind, Edges, smallest_exemplar
from chalicelib.model.halves import (
    CHILD_KINDS,
    PARENT_KINDS,
    ROOT_KIND,
    callees_by_key,
    callers_by_key,
    halves_from,
    keys_in,
    traces_of,
)
from chalicelib.model.measure import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.halves import (
        Callee,
        CalleeProfile,
        Caller,
        CallerProfile,
        HalfKey,
        Halves,
    )

    EdgeOfMinute = tuple[int, str, str, int]
    """Minute, caller, callee, kind."""
    OwnKey = tuple[HalfKey, int]
    """A callee's key, and the CRC-32 of its own span id."""
    CallProfile = tuple[CallerProfile, int, CalleeProfile | None]
    """What callers of one minute have in common, and their callees, if they have any."""

_CALLERS_OF_KEY_MAX = 16
"""Different spans under one id are a sender's fault; this many of them still count. Bounds the pairs of a key."""


_RPC, _MESSAGING, _PARENT = int(EdgeKind.RPC), int(EdgeKind.MESSAGING), int(EdgeKind.PARENT)
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
        """The keys among these under which anything is known."""
        return (self.callers.keys() & keys) | (self.callees.keys() & keys)

    def owners(self) -> dict[tuple[bytes, int], list[HalfKey]]:
        """Keys of callers that stand for a call, by trace id and the CRC-32 of their span id; in order."""
        found: dict[tuple[bytes, int], list[HalfKey]] = defaultdict(list)
        for key, callers in sorted(self.callers.items()):
            if any(caller.kind not in PARENT_KINDS for caller in callers):
                found[key[0], crc32(key[1])].append(key)
        return found

    def key_shared_by(
        self,
        callee: Callee,
        folded_unix_seconds: int,
        owners: Mapping[tuple[bytes, int], Sequence[HalfKey]],
        window_seconds: int,
    ) -> HalfKey | None:
        """The key of another service's CLIENT or PRODUCER that has a server's own id; None if there is none."""
        if callee.kind != _RPC:
            return None
        for key in owners.get((callee.trace_id, callee.own), ()):
            for caller, time in self.callers[key].items():
                is_near = abs(time - folded_unix_seconds) <= window_seconds
                is_other = caller.service != callee.service and caller.kind not in PARENT_KINDS
                if is_near and is_other:
                    return key
        return None

    def settled(self, sharing: Set[bytes], window_seconds: int) -> KnownHalves:
        """The same, where the servers of some traces that share a client's id stand under that."""
        if not sharing:
            return self
        owners = self.owners()
        found = KnownHalves()
        found.callers = self.callers
        for key, callees in self.callees.items():
            for callee, time in callees.items():
                shared = (
                    self.key_shared_by(callee, time, owners, window_seconds)
                    if key[0] in sharing
                    else None
                )
                # Under each key a callee is once, as under the one that it came with.
                found.callees[shared or key][callee] = time
        return found

    def keys_of_traces(self, traces: Set[bytes]) -> set[HalfKey]:
        """The keys that are of some traces."""
        return (
            {key for key in chain(self.callers, self.callees) if key[0] in traces}
            if traces
            else set()
        )

    def own_keys(self) -> set[OwnKey]:
        return {(key, callee.own) for key, callees in self.callees.items() for callee in callees}

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
        self._callee_of = {key: profile for key, profile, _ in callees}
        self.caller_keys = {key for key, _ in self._callers}
        self.own_keys: set[OwnKey] = {(key, own) for key, _, own in callees}
        self.keys: set[HalfKey] = self.caller_keys | self._callee_of.keys()
        self.uncommon_keys: set[HalfKey] = set()
        """The keys that several callers have, or several callees, or a parent, or a child."""
        if len(self.caller_keys) < len(self._callers) or len(self._callee_of) < len(callees):
            self.uncommon_keys |= _repeated(key for key, _ in self._callers)
            self.uncommon_keys |= _repeated(key for key, *_ in callees)
        if any(each.kind in PARENT_KINDS for of in messages for each in of.caller_profiles):
            self.uncommon_keys |= {
                key for key, (profile, *_) in self._callers if profile[2] in PARENT_KINDS
            }
        if any(each.kind in CHILD_KINDS for of in messages for each in of.callee_profiles):
            self.uncommon_keys |= {key for key, each, _ in callees if each[1] in CHILD_KINDS}

    def of_keys(self, keys: set[HalfKey]) -> KnownHalves:
        """What there is under these keys."""
        found = KnownHalves()
        for message in self._messages:
            found.add(halves_from(message, keys), self._folded)
        return found

    def traces(self) -> set[bytes]:
        return traces_of(self.keys)

    def by_profile(self, without: set[HalfKey]) -> dict[CallProfile, list[tuple[int, bytes]]]:
        """Buckets and trace ids of the callers, but for those of some keys, by what they have in common."""
        found: dict[CallProfile, list[tuple[int, bytes]]] = defaultdict(list)
        callee_of = self._callee_of.get
        for key, (profile, minute, bucket) in self._callers:
            if key not in without:
                found[profile, minute, callee_of(key)].append((bucket, key[0]))
        return found


def _repeated(keys: Iterable[HalfKey]) -> set[HalfKey]:
    return {key for key, count in Counter(keys).items() if count > 1}


class FoldedHalves(Protocol):
    """A message of half-edges that an earlier step of the fold has kept."""

    @property
    def folded_unix_seconds(self) -> int:
        """When it was folded."""

    @property
    def message(self) -> HalvesMessage: ...

    @property
    def trace_ids(self) -> Set[bytes]:
        """Every trace that the message has a half of."""


class Call(NamedTuple):
    minute: int
    caller: str
    callee: str
    kind: int
    bucket: int
    is_error: bool


def known_among(waiting: Iterable[FoldedHalves], wanted: set[HalfKey]) -> KnownHalves:
    """The waiting halves of these keys."""
    wanted_traces = traces_of(wanted)
    known = KnownHalves()
    for folded in waiting:
        if of_both := folded.trace_ids & wanted_traces:
            known.add(halves_from(folded.message, wanted, of_both), folded.folded_unix_seconds)
    return known


def known_of_traces(waiting: Iterable[FoldedHalves], wanted_traces: Set[bytes]) -> KnownHalves:
    """The waiting halves of these traces."""
    known = KnownHalves()
    for folded in waiting:
        if of_both := folded.trace_ids & wanted_traces:
            known.add(halves_from(folded.message, None, of_both), folded.folded_unix_seconds)
    return known


def known_for(waiting: Iterable[FoldedHalves], new: NewHalves) -> KnownHalves:
    """What must be known to add new halves: the halves of their keys; of traces in which spans share ids, all."""
    waiting, of_new = list(waiting), new.traces()
    known = known_among(waiting, new.keys)
    caller_keys, own_keys = set(new.caller_keys), set(new.own_keys)
    for folded in waiting:
        if of_both := folded.trace_ids & of_new:
            callers, callees = keys_in(folded.message, of_both)
            caller_keys |= callers
            own_keys |= callees
    if traces := sharing_traces(caller_keys, own_keys):
        known.take(known_of_traces(waiting, traces))
    return known


def sharing_traces(caller_keys: Set[HalfKey], own_keys: Iterable[OwnKey]) -> set[bytes]:
    """The traces in which a callee's own id may be that of a caller, and is not the one that it looks for."""
    # Without the trace first: that alone rules nearly all of them out.
    owns = {own for _, own in own_keys}
    callers = {(key[0], crc) for key in caller_keys if (crc := crc32(key[1])) in owns}
    return (
        {key[0] for key, own in own_keys if (key[0], own) in callers and crc32(key[1]) != own}
        if callers
        else set()
    )


def added_edges(known: KnownHalves, new: NewHalves, window_seconds: int) -> dict[int, Edges]:
    """Minute → what `new` changes, where `known` holds at least what `known_for` says of the earlier halves."""
    sharing = sharing_traces(
        known.callers.keys() | new.caller_keys, known.own_keys() | new.own_keys
    )
    looked_at = known.keys_among(new.keys) | new.uncommon_keys
    if sharing:
        looked_at |= {key for key in new.keys if key[0] in sharing}
    found: dict[int, Edges] = defaultdict(Edges)
    if looked_at:
        found.update(_changes(known, new.of_keys(looked_at), window_seconds, sharing))
    for profile, calls in new.by_profile(without=looked_at).items():
        _add_simple_calls(found, profile, calls)
    return found


def _changes(
    known: KnownHalves, new: KnownHalves, window_seconds: int, sharing: Set[bytes] = frozenset()
) -> dict[int, Edges]:
    """What these halves change, key by key; in traces in which spans share ids, at any key."""
    trace_ids: dict[EdgeOfMinute, list[bytes]] = defaultdict(list)
    keys = {*new.callers, *new.callees} | known.keys_of_traces(sharing)
    before, after = known.of_keys(keys), known.of_keys(keys)
    after.take(new)
    counts: Counter[Call] = Counter()
    # An edge's exemplar is any call that it ever had, found out to be another's or not: else it would go by the order.
    settled = after.settled(sharing, window_seconds)
    for key in keys:
        for edge, trace_id in possible_edges(key, after, window_seconds):
            trace_ids[edge].append(trace_id)
        for edge, trace_id in possible_edges(key, settled, window_seconds) if sharing else ():
            trace_ids[edge].append(trace_id)
    for key in keys:
        counts.update(calls_of(key, settled, window_seconds))
    counts.subtract(_calls_before(keys, before.settled(sharing, window_seconds), window_seconds))
    return _edges(counts, trace_ids)


def _calls_before(
    keys: Iterable[HalfKey], halves: KnownHalves, window_seconds: int
) -> Iterator[Call]:
    return chain.from_iterable(calls_of(key, halves, window_seconds) for key in keys)


def _add_simple_calls(
    found: dict[int, Edges], profile: CallProfile, calls: list[tuple[int, bytes]]
) -> None:
    """The fast path: add edges for callers of one profile and minute, each of whose keys has no other caller and at
    most one callee. `calls`: duration bucket and trace id of each."""
    (service, peer, kind, is_error), minute, callee = profile
    buckets, trace_ids = zip(*calls, strict=True)
    exemplar = smallest_exemplar(trace_ids)
    if peer:
        # See `_changes` of exemplars.
        measure = _NOTHING if callee else _measure(buckets, is_error=is_error)
        found[minute].offer((service, peer, kind), measure, exemplar)
    if callee and callee[0] != service:
        callee_service, callee_kind, callee_is_error = callee
        edge = (service, callee_service, kind_of_call(kind, callee_kind))
        measure = _measure(buckets, is_error=is_error or callee_is_error)
        found[minute].offer(edge, measure, exemplar)


def calls_of(key: HalfKey, halves: KnownHalves, window_seconds: int) -> list[Call]:
    """The calls under one key."""
    callers, callees = _bounded(halves.callers.get(key)), halves.callees.get(key)
    if not callers:
        return []
    callees = _without_local_children(key, callers, callees) if callees else {}
    calls: list[Call] = []
    have_caller: set[Callee] = set()
    for caller, caller_time in callers.items():
        if caller.kind in PARENT_KINDS:
            continue
        has_partner = False
        for callee, callee_time in callees.items():
            if abs(caller_time - callee_time) <= window_seconds:
                has_partner = True
                have_caller.add(callee)
                if callee.service != caller.service:
                    calls.append(_call(caller, callee))
        if caller.peer and not has_partner:
            virtual = (caller.minute, caller.service, caller.peer, caller.kind)
            calls.append(Call(*virtual, caller.bucket, caller.is_error))
    parents = {caller: time for caller, time in callers.items() if caller.kind in PARENT_KINDS}
    for callee, callee_time in callees.items() if parents else ():
        near = [
            caller
            for caller, time in parents.items()
            if caller.service != callee.service and abs(time - callee_time) <= window_seconds
        ]
        if near and callee not in have_caller:
            calls.append(_call(min(near), callee))
    return calls


def _bounded(callers: dict[Caller, int] | None) -> dict[Caller, int]:
    if callers and len(callers) > _CALLERS_OF_KEY_MAX:
        return dict(sorted(callers.items())[:_CALLERS_OF_KEY_MAX])
    return callers or {}


def _without_local_children(
    key: HalfKey, callers: Mapping[Caller, int], callees: dict[Callee, int]
) -> dict[Callee, int]:
    """The callees, but for children of a service that has a span of the key's id: that is their parent."""
    if not any(callee.kind in CHILD_KINDS for callee in callees):
        return callees
    services = services_with_id(key, callers, callees)
    return {
        callee: time
        for callee, time in callees.items()
        if callee.kind not in CHILD_KINDS or callee.service not in services
    }


def services_with_id(
    key: HalfKey, callers: Iterable[Caller], callees: Iterable[Callee]
) -> set[str]:
    """The services that have a span with the id of a key: callers, and servers that share it."""
    own = crc32(key[1])
    return {caller.service for caller in callers} | {
        callee.service for callee in callees if callee.own == own and callee.kind not in CHILD_KINDS
    }


def possible_edges(
    key: HalfKey, halves: KnownHalves, window_seconds: int
) -> Iterator[tuple[EdgeOfMinute, bytes]]:
    """Every edge that some of a key's halves would make alone, and the trace."""
    callees = halves.callees.get(key, {}).items()
    for caller, caller_time in _bounded(halves.callers.get(key)).items():
        if caller.peer:
            yield (caller.minute, caller.service, caller.peer, caller.kind), caller.trace_id
        for callee, callee_time in callees:
            is_near = abs(caller_time - callee_time) <= window_seconds
            if is_near and callee.service != caller.service:
                yield _call(caller, callee)[:4], caller.trace_id


def _call(caller: Caller, callee: Callee) -> Call:
    kind = kind_of_call(caller.kind, callee.kind)
    edge = (caller.minute, caller.service, callee.service, kind)
    if caller.kind in PARENT_KINDS:
        return Call(*edge, callee.bucket, callee.is_error)
    return Call(*edge, caller.bucket, caller.is_error or callee.is_error)


def kind_of_call(caller_kind: int, callee_kind: int) -> int:
    """EdgeKind of the call of a caller and a callee of these kinds."""
    if _MESSAGING in (caller_kind, callee_kind):
        return _MESSAGING
    # Of a caller of kind EXTERNAL and a callee of kind RPC, a client and a server, as of a server and a client.
    return _PARENT if _PARENT in (caller_kind, callee_kind) else _RPC


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


def has_caller(callee: Callee, folded: int, known: KnownHalves, window: int) -> bool:
    """Whether a caller within the window of a callee that was folded at `folded` has its key."""
    times = known.callers.get(callee[:2], {}).values()
    return any(abs(time - folded) <= window for time in times)


def unpaired(
    callees: Iterable[Callee], folded: int, known: KnownHalves, window: int
) -> list[Callee]:
    """The callees, folded at `folded`, whose key or own id no caller within the window has the key or own id of. No
    root.

    `known` must hold every half of their traces folded within the window before or after them. Also a caller of the
    same service is a caller: the call is known not to be an edge. A child is not unpaired if its service has a span of
    the id.
    """
    owners = known.owners()
    return [
        callee
        for callee in callees
        if callee.kind != ROOT_KIND
        and not has_caller(callee, folded, known, window)
        and known.key_shared_by(callee, folded, owners, window) is None
        and not (
            callee.kind in CHILD_KINDS
            and callee.service
            in services_with_id(callee[:2], (), known.callees.get(callee[:2], ()))
        )
    ]
