"""The prefixes of spans in canonical form, cut into columns at places that can be found again.

    wire bytes of spans ──span_prefixes_of──▶ SpanPrefixes(trace_ids, span_ids, …, rests), or NotCanonical

A span begins with trace id, span id, perhaps a trace state, perhaps a parent, name (nothing where it is empty), perhaps
a kind, and both times. The same columns are what is stored of it (`store/packed.py`). NotCanonical is raised for spans
in which another field is longer or missing, and for most that are not in canonical form.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.span import CONSUMER, UNSPECIFIED

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN_BYTES = 20
"""Tag, length and trace id; tag and length of the span id."""
_AFTER_ID, _AFTER_PARENT = 28, 38
"""Where the name is, after the span id; and with a parent's id between."""
PARENT = b'"\x08'
"""Tag and length of a parent's id."""
TRACE_STATE_TAG, NAME_TAG, KIND_TAG = b"\x1a", b"*", b"0"
START_TAG, END_TAG = b"9", b"A"
TIMES = struct.Struct("<cQcQ")
"""Start and end, each with its tag."""
_TRACE_STATE, _NAME, _KIND = TRACE_STATE_TAG[0], NAME_TAG[0], KIND_TAG[0]
_NO_NAME = NAME_TAG + b"\0"
_COUNTS_REMEMBERED_MAX = 256
"""The size of the cache of `_struct_of_times`, whose key is the length of a batch: a batch has at most 256 spans."""


class NotCanonical(Exception):
    """At least one of the spans does not begin in the canonical form."""


class SpanPrefixes(NamedTuple):
    """The prefixes of many spans as columns, and what follows each of them."""

    trace_ids: list[bytes]
    span_ids: list[bytes]
    trace_states: dict[int, bytes]
    """Place of a span → its trace state, with tag and length: few senders write any."""
    parents: list[bytes]
    named: list[bytes]
    """Name and kind, with their tags; an empty name too has one, so that what follows is found."""
    names: Sequence[str]
    kinds: Sequence[int]
    start_times_unix_nano: Sequence[int]
    durations_nano: list[int]
    rests: list[bytes]


def span_prefixes_of(raws: Sequence[bytes]) -> SpanPrefixes:
    """The prefixes of spans, given as wire bytes. Raises NotCanonical."""
    span_ids: list[bytes] = []
    trace_states: dict[int, bytes] = {}
    parents: list[bytes] = []
    named: list[bytes] = []
    times: list[bytes] = []
    rests: list[bytes] = []
    has_unnamed = False
    try:
        for raw in raws:
            if raw[_AFTER_ID:30] == PARENT:
                place = _AFTER_PARENT
                parents.append(raw[30:place])
            elif raw[_AFTER_ID] == _TRACE_STATE:
                trace_state, parent, place = _after_id(raw)
                trace_states[len(parents)] = trace_state
                parents.append(parent)
            else:
                place = _AFTER_ID
                parents.append(b"")
            if raw[place] == _NAME:
                start = place + raw[place + 1] + 2
            else:
                start = place
                has_unnamed = True
            if raw[start] == _KIND:
                start += 2
            end = start + TIMES.size
            span_ids.append(raw[BEGIN_BYTES:_AFTER_ID])
            named.append(raw[place:start])
            times.append(raw[start:end])
            rests.append(raw[end:])
    except IndexError:
        raise NotCanonical from None
    starts, ends = _starts_and_ends(b"".join(times), len(raws))
    durations = list(map(sub, ends, starts))
    if min(durations) < 0:
        raise NotCanonical
    # What few spans differ in is looked at once for all that are equal.
    begins = [raw[:BEGIN_BYTES] for raw in raws]
    trace_ids = {begin: _trace_id(begin) for begin in set(begins)}
    if has_unnamed:
        named = [each if each[:1] == NAME_TAG else _NO_NAME + each for each in named]
    names_and_kinds = {each: _name_and_kind(each) for each in set(named)}
    names, kinds = zip(*map(names_and_kinds.__getitem__, named), strict=True)
    return SpanPrefixes(
        list(map(trace_ids.__getitem__, begins)),
        span_ids,
        trace_states,
        parents,
        named,
        names,
        kinds,
        starts,
        durations,
        rests,
    )


def _after_id(raw: bytes) -> tuple[bytes, bytes, int]:
    """What follows the id of a span with a trace state: the trace state with tag and length; its parent's id, empty for
    none; where its name is."""
    size = raw[_AFTER_ID + 1]
    # A first byte of more is a number of several.
    if size > 127:
        raise NotCanonical
    place = _AFTER_ID + 2 + size
    trace_state = raw[_AFTER_ID:place]
    if raw[place : place + 2] == PARENT:
        return trace_state, raw[place + 2 : place + 10], place + 10
    return trace_state, b"", place


def _trace_id(begin: bytes) -> bytes:
    if begin[:2] != b"\n\x10" or begin[18:] != b"\x12\x08":
        raise NotCanonical
    return begin[2:18]


def _name_and_kind(named: bytes) -> tuple[str, int]:
    end = 2 + named[1]
    kind = named[end + 1] if len(named) > end else UNSPECIFIED
    # A first byte of more is a number of several.
    if named[1] > 127 or kind > 127:
        raise NotCanonical
    return named[2:end].decode(), kind if kind <= CONSUMER else UNSPECIFIED


def _starts_and_ends(times: bytes, count: int) -> tuple[Sequence[int], Sequence[int]]:
    if (
        len(times) != count * TIMES.size
        or times[:: TIMES.size] != START_TAG * count
        or times[TIMES.size // 2 :: TIMES.size] != END_TAG * count
    ):
        raise NotCanonical
    both = _struct_of_times(count).unpack(times)
    return both[::2], both[1::2]


@lru_cache(maxsize=_COUNTS_REMEMBERED_MAX)
def _struct_of_times(count: int) -> struct.Struct:
    return struct.Struct("<" + "xQxQ" * count)
