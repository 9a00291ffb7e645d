"""Search blocks: the index. Rows share items.

    SearchRow by hour ──blocks_of──▶ Block (table `index`) ──rows_in──▶ SearchRow

A block has its rows column by column. docs/item-layout.md has the layout.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from itertools import accumulate, chain, pairwise, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chalicelib.model.clew_pb2 import SearchBlock
from chalicelib.model.frame import message_in, reading, seal
from chalicelib.store.search_row import DURATION_STEP_MAX, SearchRow, new_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

EVERY_SERVICE = ""
"""The partition of an hour's blocks in which services share; no service has this name."""
VERSION = 2
"""In blocks of version 1 a row's hashes ascend, on which their readers rely."""
_SHARED_BYTES_MAX = 4_000
"""Estimated: a service with more than that in a group gets a block of its own."""
_BLOCK_BYTES_MAX = 250_000
"""Estimated, uncompressed: keeps a block below DynamoDB's 400 KB an item whatever it compresses to."""
_DIGEST_BYTES = 8
_HASH_BYTES = 2
_LONGEST_HAS_ERROR = 3
_ERROR_BYTES = {(False, False): 0, (True, False): 1, (True, True): _LONGEST_HAS_ERROR}
"""Whether any span failed, and whether the longest did."""
_COMMON_ROWS_MIN, _COMMON_ROWS_LOOKED_AT = 8, 64
_COMMON_NAMES_MAX = 16
"""A hash that more names have narrows little, and would take many bytes."""

Parts = TypeVar("Parts", "list[Any]", "array[Any]")


class Block(NamedTuple):
    hour: int
    """The hour of the rows' first starts, since the epoch."""
    service: str
    """The service of the rows, or EVERY_SERVICE."""
    key: bytes
    """Latest first start of its rows (8 bytes, big-endian), then 8 bytes of the content's SHA-256: blocks of a
    partition sort by time, and the same content is one item."""
    value: bytes


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
        has_scope_and_link_hashes=True,
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
    names, trace_ids = list(block.names), block.trace_ids
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
        _parts(array("H", block.attribute_hashes), block.attribute_hash_counts),
        repeat(block.has_event_hashes and block.has_scope_and_link_hashes, rows),
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
    return list(map(new_row, columns))


def _parts(values: Parts, counts: Sequence[int]) -> list[Parts]:
    """The values of each part in order, given how many each has."""
    return [values[start:end] for start, end in pairwise(accumulate(counts, initial=0))]


def _names_of_common_hashes(block: SearchBlock, names: list[str]) -> dict[int, frozenset[str]]:
    indices_of_hashes = _parts(list(block.common_hash_names), block.common_hash_name_counts)
    return {
        common: frozenset(map(names.__getitem__, indices))
        for common, indices in zip(array("H", block.common_hashes), indices_of_hashes, strict=True)
    }
