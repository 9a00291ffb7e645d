"""Search: the index narrows, the spans decide, newest trace first.

    hours that hold anything, newest first ──▶ rows of their blocks, latest first start first
      ──▶ candidate traces ──▶ their real spans ──▶ those of which one span meets every condition

A trace starts no later than any of its rows, so the search may stop once it has as many traces as were asked for, the
last of which starts no earlier than every row that is still unread.
"""

from __future__ import annotations

import base64
import struct
from bisect import insort
from enum import Enum, auto
from heapq import heappop, heappush, nsmallest
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from chalicelib import config
from chalicelib.budget import Held
from chalicelib.errors import InvalidQuery, OutOfTime, TooMuchAsked
from chalicelib.model.attribute import (
    attribute_hash,
    double_spelling,
    has_double,
    key_and_text,
    link_hash,
)
from chalicelib.model.names import OTHER_SERVICES, is_cut, is_named, key_name, may_stand_for_others
from chalicelib.model.units import HOUR_NANO
from chalicelib.query.services import hours_of_services
from chalicelib.query.trace import Summary, summary_of
from chalicelib.store.metered import budget_of
from chalicelib.store.read_ahead import THREADS, ReadAhead
from chalicelib.store.search_block import EVERY_SERVICE
from chalicelib.store.search_row import duration_step
from chalicelib.store.traces import begun, read_rows, searched_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chalicelib.model.span import Span
    from chalicelib.query.parameters import Search
    from chalicelib.store.items import Item, ItemStore
    from chalicelib.store.search_row import SearchRow
    from chalicelib.store.traces import SearchedTrace

TRACES_READ_MAX = 5_000
"""The traces that one search reads: this bounds what a question that the index narrows badly can cost."""
_FIRST_BLOCKS = 16
"""Read at first of a partition of the two newest hours (the newest may have just begun): most pages of an answer are
full after two or three. Of further hours as much as the table gives at once: who gets there looks at many."""
_CURSOR = struct.Struct(">BQ16sQ")
_CURSOR_VERSION = 1
Answer = TypeVar("Answer")
Place = tuple[int, bytes]
"""A trace's start and id: what results are sorted by, descending."""


class Cursor(NamedTuple):
    """Where a page begins. Later pages go on with the rows that the pages before left: they do not read all again."""

    after: Place
    """Every trace of the page comes after this one."""
    row_start_time_unix_nano: int
    """Rows that start later lead to no trace of this page or any after it."""


_FIRST_PAGE = Cursor((1 << 64, b""), (1 << 64) - 1)


Tick = tuple[int, "SearchRow | None"]
"""The start before which rows are unread, and the next row, if it is one's turn."""


class Stopped(Enum):
    """What may end a search early."""

    TIME = auto()
    """The time of the search is over: later, or for less, it may come to its end."""
    WORK = auto()
    """The search has looked at as much as it may, and would again."""


class Result(NamedTuple, Generic[Answer]):
    """How a search ended."""

    answers: list[Answer]
    """The answers of the page's traces, newest first."""
    next_cursor: str | None
    missing: int
    """Traces that the index names, and that are not there."""
    stopped: Stopped | None
    """What ended it before its page was certain."""
    cut_off: int = 0
    """Traces of so many spans that not all of them were looked at."""
    too_large: int = 0
    """Traces so large that not all of their spans were looked at, though there are not that many."""
    has_unnamed: bool = False
    """Whether an hour has services whose names are not listed: what of them has blocks of its own was not read."""


class Found(NamedTuple):
    traces: list[Summary]
    next_cursor: str | None
    warnings: list[str]


class TraceConditions(Protocol):
    """Which traces are wanted, and what the index must show of them."""

    def want_service(self, service: str) -> bool:
        """False only if rows of a service (as `key_name` bounds it) lead to no trace that is wanted."""

    def may_be_in(self, row: SearchRow) -> bool:
        """False only if the row need not lead to its trace: it is not wanted, or another row leads to it."""

    def are_met_by(self, spans: Sequence[Span]) -> bool:
        """Whether a trace with these spans is wanted."""


class Conditions:
    """What one span must meet, and what a row must show for a span in it to be able to."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._service = key_name(search.service) if search.service else None
        self._span_name = key_name(search.span_name) if search.span_name else None
        self._attributes = [WantedAttribute.of(*each) for each in search.attributes]
        self._pairs = {each.pair for each in self._attributes}
        self._link_hash = link_hash(search.link) if search.link else None
        self._min_step = duration_step(search.min_duration_nano or 0)

    def want_service(self, service: str) -> bool:
        return self._service in (None, service)

    def are_met_by(self, spans: Sequence[Span]) -> bool:
        return any(map(self.met_by, spans))

    def may_be_in(self, row: SearchRow) -> bool:
        """False only if no span of the row can meet the conditions."""
        search = self._search
        return (
            (search.min_duration_nano or 0) <= row.longest_duration_nano
            and row.first_start_time_unix_nano < search.range.end
            and (self._service is None or row.service == self._service)
            and (
                search.max_duration_nano is None
                or row.shortest_duration_nano <= search.max_duration_nano
            )
            and self._may_meet(row, only_longest=self.asks_for_longest(row))
        )

    def asks_for_longest(self, row: SearchRow) -> bool:
        """Whether no other span than the row's longest lasts long enough."""
        return row.others_longest_step < self._min_step

    def _may_meet(self, row: SearchRow, *, only_longest: bool) -> bool:
        names = frozenset([row.longest_span_name]) if only_longest else row.span_names
        has_error = row.longest_has_error if only_longest else row.has_error
        return (
            self._may_name(names)
            and (has_error or not self._search.only_errors)
            and all(each.may_be_in(row, only_longest=only_longest) for each in self._attributes)
            and (
                self._link_hash is None or has_hash(row, self._link_hash, only_longest=only_longest)
            )
        )

    def _may_name(self, span_names: frozenset[str]) -> bool:
        wanted = self._span_name
        return (
            wanted is None
            or wanted in span_names
            # A name that was cut in the index does not show its ids.
            or (
                may_stand_for_others(wanted)
                and any(is_cut(name) or is_named(name, wanted) for name in span_names)
            )
        )

    def met_by(self, span: Span) -> bool:
        search = self._search
        return (
            search.range.start <= span.start_time_unix_nano < search.range.end
            # Long names as they are listed, shortened, and as they were sent.
            and self._service in (None, key_name(span.scope.service))
            and (self._span_name is None or is_named(span.name, self._span_name))
            and (not search.only_errors or span.is_error)
            and search.kind in (None, span.kind)
            and (search.min_duration_nano or 0) <= span.duration_nano
            and (search.max_duration_nano is None or span.duration_nano <= search.max_duration_nano)
            and self._has_attributes(span)
            and (search.link is None or any(search.link == linked for linked, _ in span.links))
        )

    def _has_attributes(self, span: Span) -> bool:
        if not self._attributes:
            return True
        attributes = (*span.attributes, *span.scope.resource_attributes)
        left = self._pairs.difference(map(key_and_text, attributes))
        return not left or all(
            each.is_double_of(attributes) for each in self._attributes if each.pair in left
        )


def has_hash(row: SearchRow, wanted: int, *, only_longest: bool = False) -> bool:
    """Whether a row's attributes have this hash; with `only_longest`, whether those of its longest span may."""
    if wanted not in row.attribute_hashes:
        return False
    names = row.names_of_common_hashes.get(wanted) if only_longest else None
    return names is None or row.longest_span_name in names


class WantedAttribute(NamedTuple):
    """A key and the string form of its value, and that of the double that this text spells in another way."""

    pair: tuple[bytes, bytes]
    double: tuple[bytes, bytes] | None
    hash: int
    double_hash: int

    @classmethod
    def of(cls, key: str, text: str) -> WantedAttribute:
        pair = key.encode(), text.encode()
        spelling = double_spelling(text)
        double = None if spelling is None else (pair[0], spelling.encode())
        return cls(pair, double, attribute_hash(*pair), attribute_hash(*(double or pair)))

    def may_be_in(self, row: SearchRow, *, only_longest: bool = False) -> bool:
        return has_hash(row, self.hash, only_longest=only_longest) or (
            self.double is not None and has_hash(row, self.double_hash, only_longest=only_longest)
        )

    def is_double_of(self, attributes: Iterable[bytes]) -> bool:
        """Whether one of these attributes (KeyValue wire bytes) is the double that is spelt in another way."""
        return self.double is not None and has_double(attributes, *self.double)


class Hit(NamedTuple, Generic[Answer]):
    """A trace that matches; sorts by trace start, then trace id."""

    start_time_unix_nano: int
    trace_id: bytes
    row_start_time_unix_nano: int
    """The start of the row by which the trace was found."""
    answer: Answer | None
    """None once so many newer ones are found that it can be on no page of this search."""
    held: Held
    """What the answer holds."""

    @property
    def place(self) -> Place:
        return self.start_time_unix_nano, self.trace_id


_place_of = attrgetter("place")


class Searcher(Generic[Answer]):
    """One search, as it goes."""

    def __init__(
        self,
        store: ItemStore,
        search: Search,
        now_unix_seconds: int,
        time_left: Callable[[], bool],
        answer_of: Callable[[list[Span]], Answer],
        conditions: TraceConditions | None = None,
        *,
        held_by: Callable[[Answer, SearchedTrace], Held] = lambda _, trace: trace.held,
    ) -> None:
        """`answer_of` makes what is wanted of a trace that matches, from all its spans; `held_by` says what it holds of
        the trace.

        The search's own conditions, unless others are given.
        """
        self._store = store
        self._budget = budget_of(store)
        self._held_by = held_by
        self._spans_read = 0
        self._search = search
        self._now = now_unix_seconds
        self._time_left = time_left
        self._answer_of = answer_of
        self._conditions = conditions or Conditions(search)
        self._cursor = _cursor_from(search.cursor) if search.cursor else _FIRST_PAGE
        self._seen: set[bytes] = set()
        self._missing = 0
        self._cut_off = self._too_large = 0
        self._has_unnamed = False
        self._found: list[Hit[Answer]] = []
        """Ascending."""
        self._rows: list[tuple[int, int, SearchRow]] = []
        """A heap of the candidates of the hour that is being read, by negated start."""

    def run(self) -> Result[Answer]:
        """Raises StoreThrottled or StoreError as the store does, and TooMuchAsked or OutOfTime as its budget does."""
        with ReadAhead(lambda trace_id: begun(self._store, trace_id)) as ahead:
            unread_before, stopped = self._read(ahead)
        # What starts no earlier than any unread row is final; the rest could still be overtaken.
        final = [hit for hit in reversed(self._found) if hit.start_time_unix_nano >= unread_before]
        page = final[: self._search.limit]
        cursor = self._next(page, unread_before)
        next_cursor = cursor and _cursor_text(cursor)
        answers = [hit.answer for hit in page if hit.answer is not None]
        return Result(
            answers,
            next_cursor,
            self._missing,
            stopped,
            self._cut_off,
            self._too_large,
            self._has_unnamed,
        )

    def _next(self, page: list[Hit[Answer]], unread_before: int) -> Cursor | None:
        """Where the next page begins; None if there is none, or if no page would ever get further."""
        left = [hit.row_start_time_unix_nano for hit in self._found[: len(self._found) - len(page)]]
        if not left and not unread_before:
            return None
        # Nothing else is left that starts at `unread_before` or later.
        after = page[-1].place if page else min(self._cursor.after, (unread_before, bytes(16)))
        following = Cursor(after, max([*left, unread_before - 1]))
        return None if following == self._cursor else following

    def _read(self, ahead: ReadAhead[Iterator[Item]]) -> tuple[int, Stopped | None]:
        """Read until the page is certain; the start before which rows are unread (0: none), what ended it early."""
        for unread_before, row in self._ticks():
            if self._is_certain(unread_before):
                return unread_before, None
            if stopped := self._stopped():
                return unread_before, stopped
            if row:
                self._look_at(row, ahead)
        return 0, None

    def _stopped(self) -> Stopped | None:
        """Whether it has done all the work that a search may do, or has no time for more."""
        if not self._time_left():
            return Stopped.TIME
        has_done_all = (
            len(self._seen) >= TRACES_READ_MAX
            or self._spans_read >= config.SEARCH_SPANS_MAX
            or len(self._rows) > config.SEARCH_ROWS_HELD_MAX
        )
        return Stopped.WORK if has_done_all else None

    def _ticks(self) -> Iterator[Tick]:
        """Every row that may hold a match, latest first start first, with pauses where the index is read."""
        hours = self._hours()
        newest = self._cursor.row_start_time_unix_nano // HOUR_NANO
        for place, hour in enumerate(sorted(filter(newest.__ge__, hours), reverse=True)):
            yield from self._ticks_of_hour(hour, hours[hour], _FIRST_BLOCKS if place < 2 else None)

    def _hours(self) -> dict[int, set[str]]:
        """Hour → services in it that the search is about."""
        hours: dict[int, set[str]] = {}
        of_services = hours_of_services(self._store, self._search.range, self._now, self._names)
        for service, of_service in of_services.items():
            if service == OTHER_SERVICES:
                # The one that is asked for may be among them.
                named = {key_name(self._search.service)} if self._search.service else set()
                self._has_unnamed |= not named
                for hour in of_service:
                    hours.setdefault(hour, set()).update(named)
            else:
                for hour in of_service:
                    hours.setdefault(hour, set()).add(service)
        return hours

    def _names(self, service: str) -> bool:
        """Whether a service's hours are looked at: it is wanted, or stands for those that are not listed."""
        return service == OTHER_SERVICES or self._conditions.want_service(service)

    def _ticks_of_hour(
        self, hour: int, services: set[str], first_blocks: int | None
    ) -> Iterator[Tick]:
        """Blocks are read only when their latest row's turn may have come: an hour may hold very many."""
        latest_of_all = min((hour + 1) * HOUR_NANO - 1, self._cursor.row_start_time_unix_nano)
        partitions = [
            read_rows(self._store, hour, partition, self._now, shard, first_blocks)
            for partition in (EVERY_SERVICE, *sorted(services))
            for shard in range(config.INDEX_SHARDS_READ)
        ]
        # Heaps, of negated times: the latest start that a partition's next block may have, and rows already read.
        unread = [(-latest_of_all, place) for place in range(len(partitions))]
        rows = self._rows
        order = count()
        while unread or rows:
            if not unread or (rows and rows[0][0] < unread[0][0]):
                negated, _, row = heappop(rows)
                yield 1 - negated, row
                continue
            negated, place = heappop(unread)
            yield 1 - negated, None
            block = next(partitions[place], None)
            if block is not None:
                latest = max(row.first_start_time_unix_nano for row in block)
                heappush(unread, (-min(latest, latest_of_all), place))
                for row in block:
                    if self._is_candidate(row):
                        heappush(rows, (-row.first_start_time_unix_nano, next(order), row))

    def _is_candidate(self, row: SearchRow) -> bool:
        in_page = row.first_start_time_unix_nano <= self._cursor.row_start_time_unix_nano
        return in_page and row.trace_id not in self._seen and self._conditions.may_be_in(row)

    def _is_certain(self, unread_before: int) -> bool:
        """Whether the page is full, and no trace of an unread row, all of which start before this, can belong in it."""
        # One more than the page, so that it is known whether another follows.
        place = len(self._found) - 1 - self._search.limit
        return place >= 0 and self._found[place].start_time_unix_nano >= unread_before

    def _look_at(self, row: SearchRow, ahead: ReadAhead[Iterator[Item]]) -> None:
        if row.trace_id in self._seen:
            return
        self._seen.add(row.trace_id)
        # The heap's beginning holds nearly all of those that are next, and is soon looked through.
        following = nsmallest(self._soon(), self._rows[: 8 * THREADS])
        soon = (each.trace_id for _, _, each in following)
        items = ahead.of(row.trace_id, [each for each in soon if each not in self._seen])
        trace = searched_trace(self._store, items, self._now)
        spans = trace.spans
        self._spans_read += len(spans)
        if len(spans) >= config.TRACE_SPANS_SEARCHED_MAX:
            self._cut_off += 1
        else:
            self._too_large += trace.is_cut_off
        if not spans:
            self._missing += 1
        elif self._conditions.are_met_by(spans):
            start = min(span.start_time_unix_nano for span in spans)
            if (start, row.trace_id) < self._cursor.after:
                answer = self._answer_of(spans)
                held = self._held_by(answer, trace)
                hit = Hit(start, row.trace_id, row.first_start_time_unix_nano, answer, held)
                insort(self._found, hit, key=_place_of)
                self._let_go()
                self._budget.hold(held)

    def _let_go(self) -> None:
        """Let go of what no page holds among what was found: the one before the newest `limit`; there was none before
        the last came."""
        place = len(self._found) - 1 - self._search.limit
        if place >= 0 and (hit := self._found[place]).answer is not None:
            self._found[place] = hit._replace(answer=None)
            self._budget.let_go(hit.held)

    def _soon(self) -> int:
        """How many traces are to be read ahead: what the page still takes, if as many match as did before."""
        lacking = self._search.limit + 1 - len(self._found)
        expected = lacking * (len(self._seen) + 1) // (len(self._found) + 1)
        return max(0, min(THREADS, expected))


def search_traces(
    store: ItemStore,
    search: Search,
    now_unix_seconds: int,
    time_left: Callable[[], bool] = lambda: True,
) -> Found:
    """The newest traces (by trace start) of which one span meets every condition.

    Raises InvalidQuery for a cursor that is not one of ours.
    """
    searcher = Searcher(
        store,
        search,
        now_unix_seconds,
        time_left,
        summary_of,
        held_by=lambda summary, _: held_by_names(summary.services),
    )
    result = searcher.run()
    return Found(result.answers, result.next_cursor, search_warnings(result))


def certain(result: Result[Answer]) -> tuple[list[Answer], list[str]]:
    """What was found, and what is left out, for an answer that cannot be gone on with.

    One that is empty would say that there is nothing. So where nothing is certain yet this raises OutOfTime, or
    TooMuchAsked if it never would be.
    """
    if result.stopped and not result.answers:
        message = "the search stopped before it found anything, and there may be more: narrow its time range"
        if result.stopped is Stopped.TIME:
            raise OutOfTime(f"{message}, or ask again")
        raise TooMuchAsked(message)
    return result.answers, search_warnings(result)


def held_by_names(services: Sequence[str]) -> Held:
    """What a line of a list of traces holds: it names its services."""
    return Held(content_bytes=sum(map(len, services)), parts=len(services))


def search_warnings(result: Result[Any]) -> list[str]:
    """What a result leaves out."""
    warnings = missing_warnings(result.missing)
    if result.stopped:
        advice = "go on with next, or narrow it" if result.next_cursor else "narrow its time range"
        warnings.append(f"the search stopped at its limit of work: {advice}")
    if result.cut_off:
        warnings.append(
            f"{result.cut_off} traces have more spans than a search looks at: "
            f"of each, {config.TRACE_SPANS_SEARCHED_MAX} were"
        )
    if result.too_large:
        warnings.append(
            f"{result.too_large} traces are larger than a search looks at: "
            f"of each, {config.TRACE_CONTENT_BYTES_SEARCHED_MAX} bytes or {config.TRACE_PARTS_SEARCHED_MAX} distinct "
            "attributes, events and links were"
        )
    if result.has_unnamed:
        warnings.append(
            f"there are more services than are listed, {OTHER_SERVICES}: "
            "not all of their traces were looked at; ask for a service by its name"
        )
    return warnings


def missing_warnings(missing: int) -> list[str]:
    """What is said of traces that the index names, and that are not there."""
    if not missing:
        return []
    return [f"{missing} traces that the index names are not there (expired, or on their way)"]


def _cursor_text(cursor: Cursor) -> str:
    (start, trace_id), row_start = cursor
    packed = _CURSOR.pack(_CURSOR_VERSION, start, trace_id, row_start)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _cursor_from(text: str) -> Cursor:
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, start, trace_id, row_start = _CURSOR.unpack(packed)
    except (ValueError, struct.error):
        version = None
    if version != _CURSOR_VERSION:
        raise InvalidQuery("cursor must be the `next` of an earlier answer", "cursor")
    return Cursor((start, trace_id), row_start)
