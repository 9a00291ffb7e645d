"""Search blocks: the index. A row says what one service holds of one trace in one hour; rows share items.

    batches of spans ──rows_of──▶ SearchRow by hour ──blocks_of──▶ Block (table `index`) ──rows_in──▶ SearchRow

A row may say yes to a question that its spans deny (hashes collide, conditions hold on different spans), never the
other way round: the index narrows, the spans decide.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from functools import lru_cache, partial
from itertools import accumulate, chain, count, pairwise, repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chalicelib.model.attribute import NO_HASH, AttributeHashes, event_hash, link_hash
from chalicelib.model.clew_pb2 import SearchBlock
from chalicelib.model.frame import message_in, reading, seal
from chalicelib.model.names import key_name
from chalicelib.model.span import events_in, links_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
VERSION = 2
"""In blocks of version 1 a row's hashes ascend, on which their readers rely."""
_HASH_BYTES = 2
_LONGEST_HAS_ERROR = 3
_ERROR_BYTES = {(False, False): 0, (True, False): 1, (True, True): _LONGEST_HAS_ERROR}
"""Whether any span failed, and whether the longest did."""
_LONGEST_BITS, _SHORTEST_BITS = 5, 2
"""Of durations that are kept: the digits that nobody asks for do not compress."""
_DURATION_MAX = (1 << 64) - 1
_COMMON_ROWS_MIN, _COMMON_ROWS_LOOKED_AT = 8, 64
_COMMON_NAMES_MAX = 16
"""A hash that more names have narrows little, and would take many bytes."""
_NONE_COMMON: Mapping[int, frozenset[str]] = MappingProxyType({})

_hashes = AttributeHashes()
_hash_of = _hashes.__getitem__

DURATION_STEP_MAX = 255

Parts = TypeVar("Parts", "list[Any]", "array[Any]")


def duration_step(duration_nano: int) -> int:
    """A duration in steps of an eighth to a quarter of it, as fits a byte: a longer one's is never less."""
    bits = duration_nano.bit_length()
    return min(DURATION_STEP_MAX, 4 * bits + (duration_nano << 2 >> bits - 1 & 3)) if bits else 0


class SearchRow(NamedTuple):
    trace_id: bytes
    service: str
    """As `key_name` bounds it; so are the span names."""
    first_start_time_unix_nano: int
    """Of this service's spans of this trace in this hour."""
    longest_duration_nano: int
    """Rounded up, and the shortest down."""
    shortest_duration_nano: int
    has_error: bool
    span_names: frozenset[str]
    attribute_hashes: Sequence[int]
    """Of the attributes of spans, resources and events, of events' names, and of the traces that spans
    link to."""
    has_event_hashes: bool = True
    """False for rows of older blocks: they say nothing of events."""
    others_longest_step: int = DURATION_STEP_MAX
    """`duration_step` of the longest duration among the spans but for one of the longest, of which the rest tells."""
    longest_span_name: str = ""
    longest_has_error: bool = False
    names_of_common_hashes: Mapping[int, frozenset[str]] = _NONE_COMMON
    """Attribute hash → names of those longest spans of the block that have it. Of hashes that are not here nothing is
    known: any span of a row that has them may be the one."""
    longest_span_hashes: Sequence[int] = ()
    """Its attributes', its resource's, events' and links', perhaps with NO_HASH among them; of a row that is made, not
    of one that is read."""


# What SearchRow(…) comes to, at half its price.
_new_row: partial[SearchRow] = partial(tuple.__new__, SearchRow)


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
        of_resource = _resource_hashes(batch.scope.resource_attributes)
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
    """`of_resource` and `of_spans` are the hashes of the resource's and of all of the batch's attributes."""
    # Each column at once: a row is of few spans, and rows are many.
    durations = sorted(batch.durations_nano[start:end])
    longest = batch.durations_nano.index(durations[-1], start, end)
    # As they came, for what mostly comes together then compresses together; each once.
    starts = batch.attributes.starts
    distinct_hashes = dict.fromkeys(of_resource + of_spans[starts[start] : starts[end]])
    del distinct_hashes[NO_HASH]
    of_longest = of_resource + of_spans[starts[longest] : starts[longest + 1]]
    if batch.raw_links or batch.raw_events:
        distinct_hashes |= dict.fromkeys(_hashes_of_links_and_events(batch, start, end))
        of_longest += _hashes_of_links_and_events(batch, longest, longest + 1)
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
        _NONE_COMMON,
        of_longest,
    )
    return _new_row(fields)


def _hashes_of_links_and_events(batch: SpanBatch, start: int, end: int) -> Iterator[int]:
    for links in batch.raw_links[start:end]:
        for trace_id, _ in links_in(links):
            yield link_hash(trace_id)
    for events in batch.raw_events[start:end]:
        for name, attributes in events_in(events):
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
def _resource_hashes(attributes: frozenset[bytes]) -> list[int]:
    return sorted(map(_hash_of, attributes))


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
    return Block(hour, service, latest.to_bytes(8, "big") + digest, seal(content, VERSION))


def _encode(rows: Sequence[SearchRow]) -> bytes:
    # Column by column: rows are many.
    columns = dict(zip(SearchRow._fields, zip(*rows, strict=True), strict=True))
    services, names_of_rows = columns["service"], columns["span_names"]
    names_of_longest, hashes = columns["longest_span_name"], columns["attribute_hashes"]
    sets_of_names = set(names_of_rows)
    names = sorted(set(services).union(*sets_of_names))
    index = {name: position for position, name in enumerate(names)}
    places = {each: sorted(map(index.__getitem__, each)) for each in sets_of_names}
    place_of_longest = {
        (of_row, longest): places[of_row].index(index[longest])
        for of_row, longest in set(zip(names_of_rows, names_of_longest, strict=True))
    }
    common = _common_hashes(rows)
    return SearchBlock(
        names=names,
        trace_ids=b"".join(columns["trace_id"]),
        first_start_time_unix_nano=columns["first_start_time_unix_nano"],
        longest_duration_nano=columns["longest_duration_nano"],
        shortest_duration_nano=columns["shortest_duration_nano"],
        errors=bytes(
            map(
                _ERROR_BYTES.__getitem__,
                zip(columns["has_error"], columns["longest_has_error"], strict=True),
            )
        ),
        service=map(index.__getitem__, services),
        span_name_counts=map(len, names_of_rows),
        span_names=chain.from_iterable(map(places.__getitem__, names_of_rows)),
        attribute_hash_counts=map(len, hashes),
        attribute_hashes=_little_endian(chain.from_iterable(hashes)),
        has_event_hashes=True,
        longest_span_names=bytes(
            map(place_of_longest.__getitem__, zip(names_of_rows, names_of_longest, strict=True))
        ),
        others_longest_steps=bytes(columns["others_longest_step"]),
        common_hashes=_little_endian(common),
        common_hash_name_counts=map(len, common.values()),
        common_hash_names=chain.from_iterable(
            sorted(map(index.__getitem__, of_hash)) for of_hash in common.values()
        ),
    ).SerializeToString(deterministic=True)


def _common_hashes(rows: Sequence[SearchRow]) -> dict[int, list[str]]:
    """Hash that many rows have → names of the longest spans that have it, where these are not all such names.

    Ascending. The first rows show which ones are common; that none of them is missed does not matter.
    """
    first = [row.attribute_hashes for row in rows[:_COMMON_ROWS_LOOKED_AT]]
    counts = Counter(chain.from_iterable(first))
    of_names = _hashes_of_longest_spans(rows)
    names_max = min(_COMMON_NAMES_MAX, len(of_names) - 1)
    found = {
        each: [name for name, hashes in of_names.items() if each in hashes]
        for each in sorted(counts)
        if counts[each] >= _COMMON_ROWS_MIN
    }
    return {each: names for each, names in found.items() if len(names) <= names_max}


def _hashes_of_longest_spans(rows: Sequence[SearchRow]) -> dict[str, set[int]]:
    """Name of longest spans → all hashes that such a span of the rows has."""
    found: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        found[row.longest_span_name].update(row.longest_span_hashes)
    return found


def _little_endian(hashes: Iterable[int]) -> bytes:
    # array uses the machine's order; x86-64 and arm64, all that Lambda has, are little-endian.
    return array("H", [*hashes]).tobytes()


@reading("search block")
def rows_in(value: bytes) -> list[SearchRow]:
    """The rows of a block's value. Raises StoreError as `unseal` does."""
    block = message_in(SearchBlock, value, VERSION)
    names, trace_ids, hashes = (
        list(block.names),
        block.trace_ids,
        array("H", block.attribute_hashes),
    )
    rows = len(block.service)
    # The same few sets of names come again and again.
    indices_of_rows = list(map(tuple, _parts(list(block.span_names), block.span_name_counts)))
    names_at = {
        indices: frozenset(map(names.__getitem__, indices)) for indices in set(indices_of_rows)
    }
    columns = zip(
        [trace_ids[place : place + 16] for place in range(0, len(trace_ids), 16)],
        map(names.__getitem__, block.service),
        block.first_start_time_unix_nano,
        block.longest_duration_nano,
        block.shortest_duration_nano,
        map(bool, block.errors),
        map(names_at.__getitem__, indices_of_rows),
        _parts(hashes, block.attribute_hash_counts),
        repeat(block.has_event_hashes, rows),
        # Of an older block, whose rows do not tell their longest span: any may last as long.
        block.others_longest_steps or repeat(DURATION_STEP_MAX, rows),
        [
            names[indices[place]]
            for indices, place in zip(
                indices_of_rows, block.longest_span_names or bytes(rows), strict=True
            )
        ],
        map(_LONGEST_HAS_ERROR.__eq__, block.errors),
        repeat(_names_of_common_hashes(block, names), rows),
        repeat((), rows),
        strict=True,
    )
    return list(map(_new_row, columns))


def _parts(values: Parts, counts: Sequence[int]) -> list[Parts]:
    """So many of the values in each, in order."""
    return [values[start:end] for start, end in pairwise(accumulate(counts, initial=0))]


def _names_of_common_hashes(block: SearchBlock, names: list[str]) -> dict[int, frozenset[str]]:
    indices = list(block.common_hash_names)
    ranges = pairwise(accumulate(block.common_hash_name_counts, initial=0))
    return {
        common: frozenset(map(names.__getitem__, indices[start:end]))
        for common, (start, end) in zip(array("H", block.common_hashes), ranges, strict=True)
    }
