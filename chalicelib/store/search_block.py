"""Search blocks: the index. A row says what one service holds of one trace in one hour; rows share items.

    batches of spans ──rows_of──▶ SearchRow by hour ──blocks_of──▶ Block (table `index`) ──rows_in──▶ SearchRow

A row may say yes to a question that its spans deny (hashes collide, conditions hold on different spans), never the
other way round: the index narrows, the spans decide.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from functools import lru_cache
from itertools import accumulate, chain, count, pairwise
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.attribute import AttributeHashes, event_hash, link_hash
from chalicelib.model.clew_pb2 import SearchBlock
from chalicelib.model.frame import message_in, reading, seal
from chalicelib.model.names import key_name
from chalicelib.model.span import events_in, links_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.model.batch import SpanBatch

HOUR_NANO = 3_600_000_000_000
EVERY_SERVICE = ""
"""The partition of an hour's blocks in which services share; no service has this name."""
_SHARED_BYTES_MAX = 4_000
"""Estimated: a service with more than that in a group gets a block of its own."""
_BLOCK_BYTES_MAX = 250_000
"""Estimated, uncompressed: keeps a block below DynamoDB's 400 KB an item whatever it compresses to."""
_SPANS_PER_ROW_MAX = 256
"""Bounds a row. A question's conditions hold on one span, so a trace's spans may be spread over rows at will."""
_NAMES_REMEMBERED_MAX = 10_000
_DIGEST_BYTES = 8
_HASH_BYTES = 2

_hashes = AttributeHashes()
_hash_of = _hashes.__getitem__


class SearchRow(NamedTuple):
    trace_id: bytes
    service: str
    """As `key_name` bounds it; so are the span names."""
    first_start_time_unix_nano: int
    """Of this service's spans of this trace in this hour."""
    longest_duration_nano: int
    shortest_duration_nano: int
    has_error: bool
    span_names: frozenset[str]
    attribute_hashes: array[int]
    """Ascending; of the attributes of spans, resources and events, of events' names, and of the traces that spans
    link to."""
    has_event_hashes: bool = True
    """False for rows of older blocks: they say nothing of events."""


class Block(NamedTuple):
    hour: int
    """Of the rows' first starts, since the epoch."""
    service: str
    """Whose rows these are, or EVERY_SERVICE."""
    key: bytes
    """Latest first start of its rows (8 bytes, big-endian), then 8 bytes of the content's SHA-256: blocks of a
    partition sort by time, and the same content is one item."""
    value: bytes


def rows_of(batches: Iterable[SpanBatch]) -> dict[int, list[SearchRow]]:
    """Hour of span start → its rows: one a trace and service, more where it has many spans."""
    rows: dict[int, list[SearchRow]] = defaultdict(list)
    last: dict[tuple[int, str], dict[bytes, tuple[int, SearchRow]]] = defaultdict(dict)
    for batch in batches:
        hashes_of_resource = _resource_hashes(batch.scope.resource_attributes)
        for trace_id, hour, start, end in _hourly_runs(batch):
            of_service = last[hour, batch.scope.service_key]
            spans, row = end - start, _row(batch, start, end, hashes_of_resource)
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


def _row(batch: SpanBatch, start: int, end: int, hashes_of_resource: frozenset[int]) -> SearchRow:
    # Each column at once: a row is of few spans, and rows are many.
    durations = batch.durations_nano[start:end]
    hashes = set(hashes_of_resource)
    hashes.update(map(_hash_of, chain.from_iterable(batch.attributes[start:end])))
    if batch.raw_links or batch.raw_events:
        hashes.update(_hashes_of_links_and_events(batch, start, end))
    fields = (
        batch.trace_ids[start],
        batch.scope.service_key,
        min(batch.start_times_unix_nano[start:end]),
        max(durations),
        min(durations),
        True in batch.errors[start:end],
        frozenset(map(_key_names.__getitem__, batch.names[start:end])),
        array("H", sorted(hashes)),
        True,
    )
    # What SearchRow(…) comes to, at half its price.
    return tuple.__new__(SearchRow, fields)


def _hashes_of_links_and_events(batch: SpanBatch, start: int, end: int) -> set[int]:
    hashes: set[int] = set()
    for links in batch.raw_links[start:end]:
        hashes.update(link_hash(linked) for linked, _ in links_in(links))
    for events in batch.raw_events[start:end]:
        hashes.update(*(_event_hashes(*event) for event in events_in(events)))
    return hashes


def _merged(one: SearchRow, other: SearchRow) -> SearchRow:
    return SearchRow(
        one.trace_id,
        one.service,
        min(one.first_start_time_unix_nano, other.first_start_time_unix_nano),
        max(one.longest_duration_nano, other.longest_duration_nano),
        min(one.shortest_duration_nano, other.shortest_duration_nano),
        one.has_error or other.has_error,
        one.span_names | other.span_names,
        array("H", sorted({*one.attribute_hashes, *other.attribute_hashes})),
    )


def _event_hashes(name: str, attributes: Sequence[bytes]) -> set[int]:
    return {event_hash(name), *map(_hash_of, attributes)}


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
def _resource_hashes(attributes: frozenset[bytes]) -> frozenset[int]:
    return frozenset(map(_hash_of, attributes))


def blocks_of(rows_by_hour: dict[int, list[SearchRow]]) -> list[Block]:
    """The blocks that hold these rows: one a service, and one for all the services with little."""
    blocks: list[Block] = []
    for hour, rows in rows_by_hour.items():
        by_service: dict[str, list[SearchRow]] = defaultdict(list)
        for row in rows:
            by_service[row.service].append(row)
        shared: list[SearchRow] = []
        for service, of_service in by_service.items():
            if sum(map(_row_bytes, of_service)) < _SHARED_BYTES_MAX:
                shared += of_service
            else:
                blocks += _blocks_of_service(hour, service, of_service)
        blocks += _blocks_of_service(hour, EVERY_SERVICE, shared)
    return blocks


def _row_bytes(row: SearchRow) -> int:
    return 40 + _HASH_BYTES * len(row.attribute_hashes) + sum(map(len, row.span_names))


def _blocks_of_service(hour: int, service: str, rows: Sequence[SearchRow]) -> Iterator[Block]:
    if len(rows) > 1 and sum(map(_row_bytes, rows)) > _BLOCK_BYTES_MAX:
        middle = len(rows) // 2
        yield from _blocks_of_service(hour, service, rows[:middle])
        yield from _blocks_of_service(hour, service, rows[middle:])
    elif rows:
        yield _block(hour, service, rows)


def _block(hour: int, service: str, rows: Sequence[SearchRow]) -> Block:
    content = _encode(rows)
    latest = max(row.first_start_time_unix_nano for row in rows)
    digest = hashlib.sha256(content).digest()[:_DIGEST_BYTES]
    return Block(hour, service, latest.to_bytes(8, "big") + digest, seal(content))


def _encode(rows: Sequence[SearchRow]) -> bytes:
    # Column by column: rows are many.
    trace_ids, services, firsts, longest, shortest, errors, names_of_rows, hashes, _ = zip(
        *rows, strict=True
    )
    sets_of_names = set(names_of_rows)
    names = sorted(set(services).union(*sets_of_names))
    index = {name: position for position, name in enumerate(names)}
    places = {each: sorted(map(index.__getitem__, each)) for each in sets_of_names}
    return SearchBlock(
        names=names,
        trace_ids=b"".join(trace_ids),
        first_start_time_unix_nano=firsts,
        longest_duration_nano=longest,
        shortest_duration_nano=shortest,
        errors=bytes(errors),
        service=map(index.__getitem__, services),
        span_name_counts=map(len, names_of_rows),
        span_names=chain.from_iterable(map(places.__getitem__, names_of_rows)),
        attribute_hash_counts=map(len, hashes),
        attribute_hashes=b"".join(map(_little_endian, hashes)),
        has_event_hashes=True,
    ).SerializeToString(deterministic=True)


def _little_endian(hashes: array[int]) -> bytes:
    # array uses the machine's order; x86-64 and arm64, all that Lambda has, are little-endian.
    return hashes.tobytes()


@reading("search block")
def rows_in(value: bytes) -> list[SearchRow]:
    """The rows of a block's value. Raises StoreError as `unseal` does."""
    block = message_in(SearchBlock, value)
    names, trace_ids = list(block.names), block.trace_ids
    has_event_hashes = block.has_event_hashes
    name_indices = list(block.span_names)
    hashes = array("H", block.attribute_hashes)
    name_ranges = pairwise(accumulate(block.span_name_counts, initial=0))
    hash_ranges = pairwise(accumulate(block.attribute_hash_counts, initial=0))
    columns = zip(
        block.service,
        block.first_start_time_unix_nano,
        block.longest_duration_nano,
        block.shortest_duration_nano,
        block.errors,
        name_ranges,
        hash_ranges,
        strict=True,
    )
    return [
        SearchRow(
            trace_ids[16 * i : 16 * i + 16],
            names[service],
            first_start,
            longest,
            shortest,
            bool(error),
            frozenset(map(names.__getitem__, name_indices[names_start:names_end])),
            hashes[hashes_start:hashes_end],
            has_event_hashes,
        )
        for i, (
            service,
            first_start,
            longest,
            shortest,
            error,
            (names_start, names_end),
            (hashes_start, hashes_end),
        ) in enumerate(columns)
    ]
