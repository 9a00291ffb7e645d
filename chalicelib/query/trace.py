"""A trace by its id: all of it, some of its chunks, or page by page; and what a list of traces says of one.

A chunk's key, as clients have it, is its digest with a mark of its trace, so that no key fits another trace by chance.
The cursor of a page is the key of the last chunk of the page before.
"""

from __future__ import annotations

import base64
import struct
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from chalicelib import config
from chalicelib.budget import Held
from chalicelib.errors import InvalidQuery, NotFound, TooMuchAsked
from chalicelib.model.frame import reading
from chalicelib.model.span import Scope, Scopes, scopes_of
from chalicelib.store.metered import budget_of
from chalicelib.store.read_ahead import THREADS, ReadAhead
from chalicelib.store.traces import (
    Room,
    begun,
    chunks_in,
    distinct_spans,
    read_chunks,
    read_some_chunks,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from chalicelib.budget import Budget
    from chalicelib.model.span import Span
    from chalicelib.store.items import ItemStore
    from chalicelib.store.traces import StoredChunk

_KEY = struct.Struct(">BI16s")
_KEY_VERSION = 1


class Summary(NamedTuple):
    """A trace in a line."""

    trace_id: bytes
    root_service: str
    root_span_name: str
    start_time_unix_nano: int
    duration_nano: int
    """The time from the earliest start to the latest end of the trace's spans."""
    span_count: int
    error_count: int
    service_span_counts: dict[str, int]
    """Service → its spans; sorted by service."""
    service_error_counts: dict[str, int]
    """The errors of each service that has any."""

    @property
    def services(self) -> list[str]:
        """Sorted."""
        return list(self.service_span_counts)


class ChunkOfSpans(NamedTuple):
    key: str
    spans: list[tuple[Scope, Sequence[bytes]]]
    """Scopes, and the wire bytes of their spans, in the chunk's own order."""

    @property
    def span_count(self) -> int:
        return sum(len(raw_spans) for _, raw_spans in self.spans)


class Page(NamedTuple):
    """Some chunks of a trace, by digest."""

    trace_id: bytes
    chunks: list[ChunkOfSpans]
    next_cursor: str | None


class _Room:
    """What a page may still hold; it ends with the chunk that takes the last of it."""

    def __init__(self, *, with_attributes: bool) -> None:
        self._spans = config.PAGE_SPANS
        share = config.PAGE_SHARE_WITH_ATTRIBUTES if with_attributes else 1
        self._stored_bytes = config.PAGE_STORED_BYTES // share
        self._content_bytes = config.PAGE_CONTENT_BYTES // share

    def take(self, chunk: StoredChunk, span_count: int) -> None:
        self._spans -= span_count
        self._stored_bytes -= chunk.value_bytes
        self._content_bytes -= len(chunk.content)

    @property
    def is_spent(self) -> bool:
        return min(self._spans, self._stored_bytes, self._content_bytes) <= 0


def trace_by_id(
    store: ItemStore,
    trace_id: bytes,
    now_unix_seconds: int,
    chunk_keys: Sequence[str] = (),
    span_ids: Collection[bytes] = (),
) -> list[Span]:
    """A trace's spans by start, copies left out: all, or those of some chunks, with some span ids.

    Raises NotFound if there are none, InvalidQuery for the key of no chunk of this trace, and TooMuchAsked for more
    spans, or larger ones, than an answer can hold.
    """
    chunks = _chunks(store, trace_id, now_unix_seconds, chunk_keys)
    spans = _held(chunks, budget_of(store), "chunk" if chunk_keys else "trace_id")
    if span_ids:
        spans = [span for span in spans if span.span_id in span_ids]
    if not spans:
        raise _not_found(trace_id, is_narrowed=bool(chunk_keys or span_ids))
    return in_order(spans)


def traces_by_id(
    store: ItemStore, trace_ids: Sequence[bytes], now_unix_seconds: int
) -> Iterator[tuple[bytes, list[Span]]]:
    """Each id with the spans of its trace by start; none where it is not there. Later ones are read ahead.

    Raises TooMuchAsked once there are more spans, in all of them, than an answer can hold.
    """
    budget = budget_of(store)
    with ReadAhead(lambda trace_id: begun(store, trace_id)) as ahead:
        for place, trace_id in enumerate(trace_ids):
            budget.check()
            items = ahead.of(trace_id, trace_ids[place + 1 : place + THREADS])
            chunks = chunks_in(store, items, now_unix_seconds)
            yield trace_id, in_order(_held(chunks, budget, "trace_id"))


def _held(chunks: Iterable[StoredChunk], budget: Budget, parameter: str) -> list[Span]:
    """The spans of some chunks of a trace, which the budget has room for."""
    left = budget.left
    room = Room(left.content_bytes, left.parts)
    spans = distinct_spans(_checked(chunks, budget), left.spans + 1, room)
    try:
        budget.hold(Held(len(spans), room.content_bytes, room.parts))
    except TooMuchAsked as error:
        what = f"{config.TRACE_SPANS_MAX} spans"
        if len(spans) <= left.spans:
            what = (
                f"{config.TRACE_CONTENT_BYTES_MAX} bytes, or {config.TRACE_PARTS_MAX} distinct attributes, events "
                "and links"
            )
        raise TooMuchAsked(
            f"the trace has more than {what}: ask for it as columns, page by page, or for some of its chunks",
            parameter,
        ) from error
    return spans


def _checked(chunks: Iterable[StoredChunk], budget: Budget) -> Iterator[StoredChunk]:
    for chunk in chunks:
        budget.check()
        yield chunk


def in_order(spans: Iterable[Span]) -> list[Span]:
    """The spans by start."""
    return sorted(spans, key=lambda span: (span.start_time_unix_nano, span.span_id))


def trace_page(
    store: ItemStore,
    trace_id: bytes,
    now_unix_seconds: int,
    cursor: str | None = None,
    *,
    with_attributes: bool = False,
) -> Page:
    """The first page of a trace, or the one at `cursor`. Reads no more than it returns and the chunk that follows.

    Raises NotFound, and InvalidQuery for a cursor that is none of this trace.
    """
    after = _digest_in(cursor, trace_id, "cursor") if cursor else b""
    room, scopes = _Room(with_attributes=with_attributes), Scopes()
    chunks: list[ChunkOfSpans] = []
    for chunk in read_chunks(store, trace_id, now_unix_seconds, after):
        if room.is_spent:
            return Page(trace_id, chunks, chunks[-1].key)
        chunks.append(_taken(chunk, trace_id, scopes, room))
    if not chunks and not after:
        raise _not_found(trace_id)
    return Page(trace_id, chunks, None)


def trace_chunks(
    store: ItemStore,
    trace_id: bytes,
    now_unix_seconds: int,
    chunk_keys: Sequence[str],
    *,
    with_attributes: bool = False,
) -> Page:
    """Some chunks of a trace, as a page; chunks of one page always fit another.

    Raises NotFound if none is there, InvalidQuery for the key of no chunk of this trace, and for too much at once.
    """
    room, scopes = _Room(with_attributes=with_attributes), Scopes()
    chunks: list[ChunkOfSpans] = []
    for chunk in _chunks(store, trace_id, now_unix_seconds, chunk_keys):
        if room.is_spent:
            raise InvalidQuery("these chunks are more than one answer can hold", "chunk")
        chunks.append(_taken(chunk, trace_id, scopes, room))
    if not chunks:
        raise _not_found(trace_id, is_narrowed=True)
    return Page(trace_id, chunks, None)


def _taken(chunk: StoredChunk, trace_id: bytes, scopes: Scopes, room: _Room) -> ChunkOfSpans:
    with reading("chunk"):
        taken = ChunkOfSpans(
            _key_text(trace_id, chunk.digest), list(scopes_of(chunk.content, scopes))
        )
    room.take(chunk, taken.span_count)
    return taken


def _chunks(
    store: ItemStore, trace_id: bytes, now_unix_seconds: int, chunk_keys: Sequence[str]
) -> Iterable[StoredChunk]:
    if not chunk_keys:
        return read_chunks(store, trace_id, now_unix_seconds)
    digests = {_digest_in(key, trace_id, "chunk") for key in chunk_keys}
    return read_some_chunks(store, trace_id, digests, now_unix_seconds)


def _not_found(trace_id: bytes, *, is_narrowed: bool = False) -> NotFound:
    what = "there is nothing of this in trace" if is_narrowed else "there is no trace"
    return NotFound(f"{what} {trace_id.hex()}: never received, or expired")


def _key_text(trace_id: bytes, digest: bytes) -> str:
    return base64.urlsafe_b64encode(_KEY.pack(_KEY_VERSION, crc32(trace_id), digest)).decode()


def _digest_in(text: str, trace_id: bytes, parameter: str) -> bytes:
    """The digest in a chunk's key. Raises InvalidQuery if it is none, or of another trace."""
    try:
        version, mark, digest = _KEY.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, struct.error):
        version = mark = None
    if (version, mark) != (_KEY_VERSION, crc32(trace_id)):
        raise InvalidQuery(
            f"{parameter} must be what an earlier answer said of this trace", parameter
        )
    return bytes(digest)


def root_of(spans: Sequence[Span]) -> Span:
    """The earliest span without a parent; else of those whose parent is not here; else (a circle) of all.

    Clocks differ: a span below another may seem to start first, and is no root for that.
    """
    ids = {span.span_id for span in spans}
    return min(
        spans,
        key=lambda span: (
            bool(span.parent_span_id),
            span.parent_span_id in ids,
            span.start_time_unix_nano,
            span.span_id,
        ),
    )


def summary_of(spans: Sequence[Span]) -> Summary:
    """The summary of the spans of one trace, which are at least one."""
    root = root_of(spans)
    start = min(span.start_time_unix_nano for span in spans)
    end = max(span.start_time_unix_nano + span.duration_nano for span in spans)
    return Summary(
        root.trace_id,
        root.scope.service,
        root.name,
        start,
        end - start,
        len(spans),
        sum(span.is_error for span in spans),
        dict(sorted(Counter(span.scope.service for span in spans).items())),
        dict(sorted(Counter(span.scope.service for span in spans if span.is_error).items())),
    )
