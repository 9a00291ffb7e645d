"""Search: the index narrows, the spans decide, newest trace first.

    hours that hold anything, newest first ──▶ rows of their blocks, latest first start first
      ──▶ candidate traces ──▶ their real spans ──▶ those of which one span meets every condition

A trace starts no later than any of its rows, so the search may stop once it has as many traces as were asked for, the
last of which starts no earlier than every row that is still unread.
"""

from __future__ import annotations

import base64
import binascii
import struct
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.errors import InvalidQuery
from chalicelib.model.attribute import attribute_hash, key_and_text
from chalicelib.model.names import key_name
from chalicelib.query.services import hours_of_services
from chalicelib.query.trace import Summary, summary_of
from chalicelib.store.search_block import EVERY_SERVICE, HOUR_NANO
from chalicelib.store.traces import read_rows, read_spans

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator

    from chalicelib.model.span import Span
    from chalicelib.query.parameters import Search
    from chalicelib.store.items import ItemStore
    from chalicelib.store.search_block import SearchRow

TRACES_READ_MAX = 5_000
"""Of one search: bounds what a question that the index narrows badly can cost."""
_CURSOR = struct.Struct(">BQ16s")
_CURSOR_VERSION = 1
Place = tuple[int, bytes]
"""A trace's start and id: what results are sorted by, descending."""


class Found(NamedTuple):
    traces: list[Summary]
    next_cursor: str | None
    warnings: list[str]


class Conditions:
    """What one span must meet, and what a row must show for a span in it to be able to."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._service = key_name(search.service) if search.service else None
        self._span_name = key_name(search.span_name) if search.span_name else None
        self._attributes = [(key.encode(), text.encode()) for key, text in search.attributes]
        self._hashes = [attribute_hash(key, text) for key, text in self._attributes]

    def may_be_in(self, row: SearchRow) -> bool:
        """False only if no span of the row can meet the conditions."""
        search = self._search
        return (
            row.first_start_time_unix_nano < search.range.end
            and (self._service is None or row.service == self._service)
            and (self._span_name is None or self._span_name in row.span_names)
            and (not search.only_errors or row.has_error)
            and (search.min_duration_nano or 0) <= row.longest_duration_nano
            and all(_contains(row.attribute_hashes, each) for each in self._hashes)
        )

    def met_by(self, span: Span) -> bool:
        search = self._search
        return (
            search.range.start <= span.start_time_unix_nano < search.range.end
            and search.service in (None, span.scope.service)
            and search.span_name in (None, span.name)
            and (not search.only_errors or span.is_error)
            and (search.min_duration_nano or 0) <= span.duration_nano
            and (search.max_duration_nano is None or span.duration_nano <= search.max_duration_nano)
            and self._has_attributes(span)
        )

    def _has_attributes(self, span: Span) -> bool:
        if not self._attributes:
            return True
        there = {key_and_text(raw) for raw in (*span.attributes, *span.scope.resource_attributes)}
        return there.issuperset(self._attributes)


def _contains(hashes: array[int], wanted: int) -> bool:
    place = bisect_left(hashes, wanted)
    return place < len(hashes) and hashes[place] == wanted


class Searcher:
    """One search, as it goes."""

    def __init__(
        self, store: ItemStore, search: Search, now_unix_seconds: int, has_time: Callable[[], bool]
    ) -> None:
        self._store = store
        self._search = search
        self._now = now_unix_seconds
        self._has_time = has_time
        self._conditions = Conditions(search)
        self._after = _place_of(search.cursor) if search.cursor else None
        self._seen: set[bytes] = set()
        self._missing = 0
        self._found: list[Summary] = []

    def run(self) -> Found:
        """Raises StoreThrottled or StoreError as the store does."""
        unread_before = self._read_hours()
        self._found.sort(key=_place, reverse=True)
        warnings = []
        if self._missing:
            warnings.append(
                f"{self._missing} traces that the index names are not there (expired, or on their way)"
            )
        limit = self._search.limit
        if unread_before is None:
            page = self._found[:limit]
            has_more = len(self._found) > limit
        else:
            # What starts no earlier than any unread row is final; the rest could still be overtaken.
            page = [each for each in self._found if each.start_time_unix_nano >= unread_before][
                :limit
            ]
            has_more = bool(page)
            warnings.append(
                "the search stopped at its limit of work: narrow it, or go on with next"
            )
            if not page:
                warnings.append("no result is certain yet: narrow the time range")
        cursor = _cursor_of(_place(page[-1])) if page and has_more else None
        return Found(page, cursor, warnings)

    def _read_hours(self) -> int | None:
        """Read rows until the answer is certain; the first start before which rows are unread if work ran out."""
        hours = self._hours()
        for hour in sorted(hours, reverse=True):
            if self._is_certain((hour + 1) * HOUR_NANO):
                return None
            for row in self._rows(hour, hours[hour]):
                start = row.first_start_time_unix_nano
                if self._is_certain(start + 1):
                    return None
                if not self._has_time() or len(self._seen) >= TRACES_READ_MAX:
                    return start + 1
                self._look_at(row.trace_id)
        return None

    def _hours(self) -> dict[int, set[str]]:
        """Hour → services in it that the search is about."""
        hours: dict[int, set[str]] = {}
        wanted = key_name(self._search.service) if self._search.service else None
        for service, of_service in hours_of_services(self._store, self._search.range).items():
            if wanted in (None, service):
                for hour in of_service:
                    hours.setdefault(hour, set()).add(service)
        return hours

    def _rows(self, hour: int, services: set[str]) -> Iterator[SearchRow]:
        """The hour's rows that may hold a match, latest first start first."""
        rows = [
            row
            for partition in (EVERY_SERVICE, *sorted(services))
            for block in read_rows(self._store, hour, partition, self._now)
            for row in block
            if self._conditions.may_be_in(row)
        ]
        rows.sort(key=lambda row: row.first_start_time_unix_nano, reverse=True)
        yield from rows

    def _is_certain(self, unread_before: int) -> bool:
        """Whether the page is full, and no trace whose rows are unread, starting before this, can belong in it."""
        limit = self._search.limit
        if len(self._found) <= limit:
            return False
        # One more than the page, so that it is known whether another follows.
        self._found.sort(key=_place, reverse=True)
        return self._found[limit].start_time_unix_nano >= unread_before

    def _look_at(self, trace_id: bytes) -> None:
        if trace_id in self._seen:
            return
        self._seen.add(trace_id)
        spans = read_spans(self._store, trace_id, self._now)
        if not spans:
            self._missing += 1
            return
        if any(map(self._conditions.met_by, spans)):
            summary = summary_of(spans)
            if self._after is None or _place(summary) < self._after:
                self._found.append(summary)


def search_traces(
    store: ItemStore,
    search: Search,
    now_unix_seconds: int,
    has_time: Callable[[], bool] = lambda: True,
) -> Found:
    """The newest traces (by trace start) of which one span meets every condition.

    Raises InvalidQuery for a cursor that is not one of ours.
    """
    return Searcher(store, search, now_unix_seconds, has_time).run()


def _place(summary: Summary) -> Place:
    return summary.start_time_unix_nano, summary.trace_id


def _cursor_of(place: Place) -> str:
    packed = _CURSOR.pack(_CURSOR_VERSION, *place)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _place_of(cursor: str) -> Place:
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, start, trace_id = _CURSOR.unpack(packed)
    except (binascii.Error, struct.error, ValueError):
        version = None
    if version != _CURSOR_VERSION:
        raise InvalidQuery("cursor must be the `next` of an earlier answer", "cursor")
    return start, trace_id
