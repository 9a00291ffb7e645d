"""What must come out, computed without any of the product's queues, commits, segments or folds.

Two computations. `figures` counts spans one by one, in a few lines, and pairs every callee with its caller by looking
through all spans: it needs no table. `straightforward` takes the product's own road in its plainest form, one message
at a time, nothing in between: what it leaves must be the same to the byte.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from chalicelib.consume.commit import commit
from chalicelib.store.layout import Level
from chalicelib.store.targets import edges_in, statistics_in
from chalicelib.summarise.job import summarise_shards
from tests.commits import pending_message
from tests.memory_store import MemoryStore
from tests.payloads import CLIENT, CONSUMER, PRODUCER, SERVER, Made, payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Set

Figures = Counter[tuple[Any, ...]]
SpanKey = tuple[int, int]
"""Trace and span id."""
CALLERS, CALLEES = (CLIENT, PRODUCER), (SERVER, CONSUMER)
LOCAL = 0x100
"""Flags: whether the parent is remote is known, and it is not."""


def figures(
    spans: Sequence[Made], level: Level = Level.MINUTE, unseen: Set[SpanKey] = frozenset()
) -> Figures:
    """Calls and errors of series, durations of a service, by minute, hour or day; calls of edges over all time.

    Copies count each time. Spans that are `unseen` are nobody's parents.
    """
    found: Figures = Counter()
    for span in spans:
        number = span.start // (level.seconds * 10**9)
        found["calls", span.service, number, span.name, span.kind] += 1
        found["errors", span.service, number, span.name, span.kind] += span.is_error
        found["duration", span.service, number] += span.duration
        if span.kind in (SERVER, CONSUMER):
            found["entry", span.service, number] += 1
    found.update(_calls(spans, unseen))
    return +found


def _calls(spans: Sequence[Made], unseen: Set[SpanKey]) -> Iterable[tuple[Any, ...]]:
    """An edge for each callee whose caller is among the spans; else for each caller that knows a name."""
    # The same span in two messages is one call: halves are sets.
    spans = list(dict.fromkeys(spans))
    called = set()
    for span in spans:
        for caller in _callers_of(span, spans):
            if caller.kind in CALLERS or (caller.trace, caller.span) not in unseen:
                called.add(caller)
                yield "edge", caller.service, span.service
    for span in spans:
        peer = dict(span.attributes).get("server.address")
        if span.kind in CALLERS and peer and span not in called:
            yield "edge", span.service, peer


def _callers_of(span: Made, spans: Sequence[Made]) -> Sequence[Made]:
    """The clients of other services that share a server's id; else its parents, if they are of other services."""
    of_trace = [each for each in spans if each.trace == span.trace]
    others = [each for each in of_trace if each.service != span.service]
    sharing = [each for each in others if each.span == span.span and each.kind in CALLERS]
    if sharing and span.kind == SERVER:
        return sharing
    if span.kind not in CALLEES:
        is_local = any(each.span == span.parent for each in of_trace if each not in others)
        if is_local or span.flags == LOCAL:
            return []
    above = [each for each in others if span.parent and each.span == span.parent]
    return [each for each in above if each.kind in CALLERS] or above[:1]


def figures_of_targets(
    targets: Mapping[tuple[str, str], bytes], level: Level = Level.MINUTE
) -> Figures:
    """The same of what is stored."""
    found: Figures = Counter()
    for (partition, sort), value in targets.items():
        if not sort.startswith(f"{level.value}|"):
            continue
        kind, _, name = partition.partition("|")
        if kind == "s":
            total = statistics_in(value, pending=False)
            number = int(sort.split("|")[1])
            for (span_name, span_kind), measure in total.series.items():
                found["calls", name, number, span_name, span_kind] += measure.calls
                found["errors", name, number, span_name, span_kind] += measure.errors
                found["duration", name, number] += measure.duration_sum_nano
            found["entry", name, number] += total.entry.calls
        elif kind == "e":
            for edge in edges_in(value, pending=False).edges:
                found["edge", edge.caller, edge.callee] += edge.measure.calls
    return +found


def digest_of(spans: Sequence[Made]) -> bytes:
    return hashlib.sha256(payload(spans)).digest()


def straightforward(
    batches: Sequence[Sequence[Made]], shards: int, times: Sequence[int]
) -> list[dict[tuple[str, str], bytes]]:
    """Each batch committed once, in order, at the first of the times; the targets after summarising at each.

    The first time of all with what the run a minute later looks for.
    """
    store = MemoryStore()
    for batch in batches:
        content = payload(batch)
        counted = pending_message(content, times[0])
        commit(store, [counted], times[0] * 10**9, shards)
    found = []
    summarise_shards(store, range(shards), times[0])
    for now in (times[0] + 60, *times[1:]):
        summarise_shards(store, range(shards), now)
        items = {
            (str(p), str(s)): item["v"] for (_, p, s), item in store.items.items() if "v" in item
        }
        found.append(targets_among(items))
    return found


def targets_among(values: Mapping[tuple[str, str], Any]) -> dict[tuple[str, str], bytes]:
    """Statistics, edges and catalogues, as they are stored."""
    return {key: value for key, value in values.items() if key[0][:2] in ("s|", "e|", "c|")}
