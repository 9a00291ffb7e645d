"""Rows of the search index: what one service holds of one trace in one hour.

    batches of spans ──rows_of──▶ SearchRow by hour ──▶ `store/search_block.py`

A row may say yes to a question that its spans deny (hashes collide, conditions hold on different spans), never the
other way round: the index narrows, the spans decide.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache, partial
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.attribute import NO_HASH, AttributeHashes, event_hash, link_hash
from chalicelib.model.names import key_name
from chalicelib.model.span import events_in, link_attributes_in, links_in
from chalicelib.model.units import HOUR_NANO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from chalicelib.model.batch import SpanBatch

DURATION_STEP_MAX = 255
NONE_COMMON: Mapping[int, frozenset[str]] = MappingProxyType({})
_SPANS_PER_ROW_MAX = 256
"""Bounds a row. A question's conditions hold on one span, so a trace's spans may be spread over rows at will."""
_NAMES_REMEMBERED_MAX = 10_000
_LONGEST_BITS, _SHORTEST_BITS = 5, 2
"""The bits that are kept of durations: the digits that nobody asks for do not compress."""
_DURATION_MAX = (1 << 64) - 1

_hashes = AttributeHashes()
_hash_of = _hashes.__getitem__


def duration_step(duration_nano: int) -> int:
    """A duration in steps of an eighth to a quarter of it, as fits a byte: a longer one's is never less."""
    bits = duration_nano.bit_length()
    return min(DURATION_STEP_MAX, 4 * bits + (duration_nano << 2 >> bits - 1 & 3)) if bits else 0


class SearchRow(NamedTuple):
    trace_id: bytes
    service: str
    """The service's name, bounded by `key_name`; so are the span names."""
    first_start_time_unix_nano: int
    """The earliest start among this service's spans of this trace in this hour."""
    longest_duration_nano: int
    """Rounded up, and the shortest down."""
    shortest_duration_nano: int
    has_error: bool
    span_names: frozenset[str]
    attribute_hashes: Sequence[int]
    """The hashes of the attributes of spans, resources, scopes, events and links, of events' names, and of the traces
    that spans link to."""
    has_all_hashes: bool = True
    """False for rows of older blocks: they say nothing of events, or of the attributes of scopes and links."""
    others_longest_step: int = DURATION_STEP_MAX
    """`duration_step` of the second-longest span. If that is below a query's `min_duration`, only the longest span can
    match, and the `longest_*` fields decide."""
    longest_span_name: str = ""
    longest_has_error: bool = False
    names_of_common_hashes: Mapping[int, frozenset[str]] = NONE_COMMON
    """For hashes that are frequent in this block: hash → names of the longest spans that carry it. A hash that is
    absent here is unknown: any longest span may carry it."""
    longest_span_hashes: Sequence[int] = ()
    """The hashes of the longest span's attributes, its resource's, events' and links', perhaps with NO_HASH among them;
    only a row that is made has them, not one that is read."""


# What SearchRow(…) comes to, at half its price.
new_row: partial[SearchRow] = partial(tuple.__new__, SearchRow)


def rows_of(batches: Iterable[SpanBatch]) -> dict[int, list[SearchRow]]:
    """Hour of span start → its rows: one a trace and service, more where it has many spans."""
    rows: dict[int, list[SearchRow]] = defaultdict(list)
    last: dict[tuple[int, str], dict[bytes, tuple[int, SearchRow]]] = defaultdict(dict)
    for batch in batches:
        scope = batch.scope
        of_resource = _resource_hashes(scope.resource_attributes, scope.attributes)
        # All at once: a call for each row takes longer than the look-ups.
        of_spans = list(map(_hash_of, batch.attributes.values))
        for trace_id, hour, start, end in _hourly_runs(batch):
            of_service = last[hour, batch.scope.service_key]
            spans, row = end - start, _row(batch, start, end, of_resource, of_spans)
            if trace_id in of_service:
                # Of another scope or batch.
                spans_before, before = of_service[trace_id]
                if spans + spans_before <= _SPANS_PER_ROW_MAX:
                    spans, row = spans + spans_before, _merged(before, row)
                else:
                    rows[hour].append(before)
            of_service[trace_id] = spans, row
    for (hour, _), of_service in last.items():
        rows[hour] += [row for _, row in of_service.values()]
    return rows


def _hourly_runs(batch: SpanBatch) -> Iterator[tuple[bytes, int, int, int]]:
    """Trace id and hour of spans that follow each other, and from where to before where they do."""
    starts = batch.start_times_unix_nano
    hour = min(starts) // HOUR_NANO
    if max(starts) // HOUR_NANO == hour:
        return ((trace_id, hour, start, end) for trace_id, start, end in batch.runs())
    each = zip(batch.trace_ids, starts, count(), count(1), strict=False)
    return ((trace_id, time // HOUR_NANO, start, end) for trace_id, time, start, end in each)


def _row(
    batch: SpanBatch, start: int, end: int, of_resource: list[int], of_spans: list[int]
) -> SearchRow:
    """`of_resource` and `of_spans` are the hashes of the resource's and scope's, and of all the spans' attributes."""
    # Each column at once: a row is of few spans, and rows are many.
    durations = sorted(batch.durations_nano[start:end])
    longest = batch.durations_nano.index(durations[-1], start, end)
    # As they came, for what mostly comes together then compresses together; each once.
    starts = batch.attributes.starts
    distinct_hashes = dict.fromkeys(of_resource + of_spans[starts[start] : starts[end]])
    del distinct_hashes[NO_HASH]
    of_longest = of_resource + of_spans[starts[longest] : starts[longest + 1]]
    if batch.raw_links or batch.raw_events:
        of_row = list(_hashes_of_links_and_events(batch, start, end))
        distinct_hashes |= dict.fromkeys(of_row)
        is_alone = end - start == 1
        of_longest += (
            of_row if is_alone else _hashes_of_links_and_events(batch, longest, longest + 1)
        )
    fields = (
        batch.trace_ids[start],
        batch.scope.service_key,
        min(batch.start_times_unix_nano[start:end]),
        _rounded_up(durations[-1]),
        _rounded_down(durations[0]),
        True in batch.errors[start:end],
        frozenset(map(_key_names.__getitem__, batch.names[start:end])),
        list(distinct_hashes),
        True,
        duration_step(durations[-2]) if len(durations) > 1 else 0,
        _key_names[batch.names[longest]],
        batch.errors[longest],
        NONE_COMMON,
        of_longest,
    )
    return new_row(fields)


def _hashes_of_links_and_events(batch: SpanBatch, start: int, end: int) -> Iterator[int]:
    for links in batch.raw_links[start:end]:
        for trace_id, _ in links_in(links):
            yield link_hash(trace_id)
        yield from map(_hash_of, link_attributes_in(links))
    for events in batch.raw_events[start:end]:
        # Equal ones once: a span may have a hundred thousand.
        distinct = dict.fromkeys(events) if len(events) > 1 else events
        for name, attributes in events_in(distinct):
            yield event_hash(name)
            yield from map(_hash_of, attributes)


def _rounded_up(duration_nano: int) -> int:
    dropped = duration_nano.bit_length() - _LONGEST_BITS
    return (
        min(-(-duration_nano >> dropped) << dropped, _DURATION_MAX)
        if dropped > 0
        else duration_nano
    )


def _rounded_down(duration_nano: int) -> int:
    dropped = duration_nano.bit_length() - _SHORTEST_BITS
    return duration_nano >> dropped << dropped if dropped > 0 else duration_nano


def _merged(one: SearchRow, other: SearchRow) -> SearchRow:
    longer, shorter = (
        (one, other) if one.longest_duration_nano >= other.longest_duration_nano else (other, one)
    )
    return longer._replace(
        first_start_time_unix_nano=min(
            one.first_start_time_unix_nano, other.first_start_time_unix_nano
        ),
        shortest_duration_nano=min(one.shortest_duration_nano, other.shortest_duration_nano),
        has_error=one.has_error or other.has_error,
        span_names=one.span_names | other.span_names,
        attribute_hashes=list(dict.fromkeys((*one.attribute_hashes, *other.attribute_hashes))),
        others_longest_step=max(
            longer.others_longest_step,
            shorter.others_longest_step,
            duration_step(shorter.longest_duration_nano),
        ),
    )


class _KeyNames(dict[str, str]):
    """Span name → as `key_name` bounds it; of short ones, which stay the same, many are remembered."""

    def __missing__(self, name: str) -> str:
        found = key_name(name)
        if len(self) >= _NAMES_REMEMBERED_MAX:
            self.clear()
        if found is name:
            self[name] = found
        return found


_key_names = _KeyNames()


@lru_cache(maxsize=1_000)
def _resource_hashes(resource: frozenset[bytes], scope: frozenset[bytes]) -> list[int]:
    return sorted(map(_hash_of, resource | scope))
