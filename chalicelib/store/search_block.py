"""Search blocks: the index. A row says what one service holds of one trace in one hour; rows share items.

    spans of a group ──rows_of──▶ SearchRow by hour ──blocks_of──▶ Block (table `index`) ──rows_in──▶ SearchRow

A row may say yes to a question that its spans deny (hashes collide, conditions hold on different spans), never the
other way round: the index narrows, the spans decide.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from functools import lru_cache
from itertools import accumulate, groupby, pairwise, repeat
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.attribute import AttributeHashes, event_hash, link_hash
from chalicelib.model.clew_pb2 import SearchBlock
from chalicelib.model.frame import message_in, reading, seal
from chalicelib.model.names import key_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chalicelib.model.span import Span, Traces

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
_LONGEST_HAS_ERROR = 3

_NEVER = 1 << 64
"""Later than every time, and longer than every duration."""
_hashes = AttributeHashes()
_hash_of = _hashes.__getitem__
_SCOPE = attrgetter("scope")

DURATION_STEP_MAX = 255


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
    shortest_duration_nano: int
    has_error: bool
    span_names: frozenset[str]
    attribute_hashes: array[int]
    """Ascending; of the attributes of spans, resources and events, of events' names, and of the traces that spans
    link to."""
    has_event_hashes: bool = True
    """False for rows of older blocks: they say nothing of events."""
    others_longest_step: int = DURATION_STEP_MAX
    """`duration_step` of the longest duration among the spans but for one of the longest, of which the rest tells."""
    longest_span_name: str = ""
    longest_has_error: bool = False
    names_of_common_hashes: Mapping[int, frozenset[str]] = MappingProxyType({})
    """Attribute hash → names of those longest spans of the block that have it. Of hashes that are not here nothing is
    known: any span of a row that has them may be the one."""


class Block(NamedTuple):
    hour: int
    """Of the rows' first starts, since the epoch."""
    service: str
    """Whose rows these are, or EVERY_SERVICE."""
    key: bytes
    """Latest first start of its rows (8 bytes, big-endian), then 8 bytes of the content's SHA-256: blocks of a
    partition sort by time, and the same content is one item."""
    value: bytes


def rows_of(traces: Traces) -> dict[int, list[SearchRow]]:
    """Hour of span start → its rows: one a trace and service, more where it has many spans."""
    rows: dict[int, list[SearchRow]] = defaultdict(list)
    for trace_id, of_trace in traces.items():
        by_service: dict[str, list[Span]] = defaultdict(list)
        # Spans of one scope mostly come one after the other.
        for scope, of_scope in groupby(of_trace, _SCOPE):
            by_service[scope.service_key] += of_scope
        for service, of_service in by_service.items():
            for part in _parts(of_service):
                row = _row(trace_id, service, part)
                rows[row.first_start_time_unix_nano // HOUR_NANO].append(row)
    return rows


def _parts(spans: list[Span]) -> list[list[Span]]:
    """The spans of each row: of one hour, and not too many."""
    starts = [span.start_time_unix_nano for span in spans]
    if len(spans) <= _SPANS_PER_ROW_MAX and min(starts) // HOUR_NANO == max(starts) // HOUR_NANO:
        return [spans]
    by_hour: dict[int, list[Span]] = defaultdict(list)
    for span in spans:
        by_hour[span.start_time_unix_nano // HOUR_NANO].append(span)
    return [
        of_hour[start : start + _SPANS_PER_ROW_MAX]
        for of_hour in by_hour.values()
        for start in range(0, len(of_hour), _SPANS_PER_ROW_MAX)
    ]


def _row(trace_id: bytes, service: str, spans: Sequence[Span]) -> SearchRow:
    # One loop, each span unpacked at once: rows are of a few spans, and their many.
    hashes: set[int] = set()
    names: set[str] = set()
    first_start = shortest = _NEVER
    longest, has_error = 0, False
    resource = None
    for span in spans:
        _, _, _, name, _, start, duration, is_error, _, scope, _, attributes, events, links = span
        hashes.update(map(_hash_of, attributes))
        names.add(_key_names[name])
        if start < first_start:
            first_start = start
        if duration < shortest:
            shortest = duration
        if duration > longest:
            longest = duration
        if is_error:
            has_error = True
        if scope.resource_attributes is not resource:
            resource = scope.resource_attributes
            hashes.update(_resource_hashes(resource))
        if links:
            hashes.update([link_hash(linked) for linked, _ in span.links])
        if events:
            hashes.update(*[_event_hashes(event, of_event) for event, of_event in span.events])
    return SearchRow(
        trace_id,
        service,
        first_start,
        longest,
        shortest,
        has_error,
        frozenset(names),
        array("H", sorted(hashes)),
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
    return 40 + _HASH_BYTES * len(row.attribute_hashes) + len("".join(row.span_names))


def _blocks_of_service(hour: int, service: str, rows: list[SearchRow]) -> Iterator[Block]:
    batch: list[SearchRow] = []
    batch_bytes = 0
    for row in rows:
        size = _row_bytes(row)
        if batch and batch_bytes + size > _BLOCK_BYTES_MAX:
            yield _block(hour, service, batch)
            batch, batch_bytes = [], 0
        batch.append(row)
        batch_bytes += size
    if batch:
        yield _block(hour, service, batch)


def _block(hour: int, service: str, rows: Sequence[SearchRow]) -> Block:
    content = _encode(rows)
    latest = max(row.first_start_time_unix_nano for row in rows)
    digest = hashlib.sha256(content).digest()[:_DIGEST_BYTES]
    return Block(hour, service, latest.to_bytes(8, "big") + digest, seal(content))


def _encode(rows: Sequence[SearchRow]) -> bytes:
    names = sorted({row.service for row in rows}.union(*(row.span_names for row in rows)))
    index = {name: position for position, name in enumerate(names)}
    return SearchBlock(
        names=names,
        trace_ids=b"".join(row.trace_id for row in rows),
        first_start_time_unix_nano=[row.first_start_time_unix_nano for row in rows],
        longest_duration_nano=[row.longest_duration_nano for row in rows],
        shortest_duration_nano=[row.shortest_duration_nano for row in rows],
        errors=bytes(row.has_error for row in rows),
        service=[index[row.service] for row in rows],
        span_name_counts=[len(row.span_names) for row in rows],
        span_names=[
            place for row in rows for place in sorted(map(index.__getitem__, row.span_names))
        ],
        attribute_hash_counts=[len(row.attribute_hashes) for row in rows],
        attribute_hashes=b"".join(_little_endian(row.attribute_hashes) for row in rows),
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
    names_of_common_hashes = _names_of_common_hashes(block, names)
    columns = zip(
        block.service,
        block.first_start_time_unix_nano,
        block.longest_duration_nano,
        block.shortest_duration_nano,
        block.errors,
        name_ranges,
        hash_ranges,
        # Of an older block, whose rows do not tell their longest span: any may last as long.
        block.others_longest_steps or repeat(DURATION_STEP_MAX, len(block.service)),
        block.longest_span_names or bytes(len(block.service)),
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
            others_step,
            names[name_indices[names_start + longest_name]],
            error == _LONGEST_HAS_ERROR,
            names_of_common_hashes,
        )
        for i, (
            service,
            first_start,
            longest,
            shortest,
            error,
            (names_start, names_end),
            (hashes_start, hashes_end),
            others_step,
            longest_name,
        ) in enumerate(columns)
    ]


def _names_of_common_hashes(block: SearchBlock, names: list[str]) -> dict[int, frozenset[str]]:
    indices = list(block.common_hash_names)
    ranges = pairwise(accumulate(block.common_hash_name_counts, initial=0))
    return {
        common: frozenset(map(names.__getitem__, indices[start:end]))
        for common, (start, end) in zip(array("H", block.common_hashes), ranges, strict=True)
    }
