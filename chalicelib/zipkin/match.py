"""Which traces a question in Zipkin's dialect asks for.

Each condition holds on some span of the trace, if a service is given on one of that service; different conditions may
hold on different spans. Source: openzipkin/zipkin, storage/QueryRequest.java.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.names import key_name, may_stand_for_others, statistics_name
from chalicelib.model.units import MICRO_NANO, SECOND_NANO
from chalicelib.query.parameters import TIME_NANO_MAX, Range, Search
from chalicelib.query.search import WantedAttribute

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.model.span import Span
    from chalicelib.store.search_row import SearchRow
    from chalicelib.zipkin.span import ZipkinSpan

_SHORT_NAME_CHARACTERS = 60
"""A longer name may stand in the index shortened (see `key_name`)."""
_WIDENED_NANO = 3_600 * SECOND_NANO
"""A trace's time is its root's; the spans by which it is found may start so much earlier or later."""
_TRACES_KEPT_MAX = 200_000
"""The most traces of which it is kept which conditions their rows have met: this bounds the memory of a search."""

RowCondition = Callable[["SearchRow"], bool]
_HAS_ERROR: RowCondition = attrgetter("has_error")


Spellings = frozenset[str]
"""The spellings of a name that is asked for, lower-cased: as it is, and as a list has it where it is long; none ask for
nothing."""


class Question(NamedTuple):
    """What is asked for; None asks for nothing."""

    service: Spellings
    remote_service: Spellings
    span_name: Spellings
    terms: dict[str, str]
    """Tag key → value, or key of a tag or value of an annotation → ""."""
    min_duration: int | None
    """µs; both durations are in the range."""
    max_duration: int | None
    first_timestamp: int
    """µs, as the last, which is in the range."""
    last_timestamp: int
    limit: int

    @property
    def search(self) -> Search:
        """Where in the index to look."""
        start = self.first_timestamp * MICRO_NANO - _WIDENED_NANO
        end = (self.last_timestamp + 1) * MICRO_NANO + _WIDENED_NANO
        within = Range(max(0, start), min(end, TIME_NANO_MAX))
        return Search(
            service=None,
            span_name=None,
            attributes=[],
            only_errors=False,
            min_duration_nano=None,
            max_duration_nano=None,
            range=within,
            limit=self.limit,
            cursor=None,
        )

    def asks_for_service(self, name: str) -> bool:
        """False only if no span that is asked for can be of a service with this name in the index."""
        return not self.service or _may_be(name, self.service)

    def row_conditions(self, told_tags: tuple[str, ...]) -> list[RowCondition]:
        """What rows of a trace that is asked for must show, each condition one of them.

        `told_tags` begin the keys of tags that are no attributes.
        """
        conditions: list[RowCondition] = [
            WantedAttribute.of(key, value).may_be_in
            for key, value in self.terms.items()
            if value and not key.startswith(told_tags)
        ]
        if self.min_duration is not None:
            conditions.append(self._may_have_duration)
        if self.span_name:
            conditions.append(self._may_have_name)
        if self.terms.get("error"):
            conditions.append(_HAS_ERROR)
        return conditions

    def _may_have_name(self, row: SearchRow) -> bool:
        wanted = self.span_name
        return any(
            _may_be(name, wanted) or not wanted.isdisjoint(_listed_as(name, wanted))
            for name in row.span_names
        )

    def _may_have_duration(self, row: SearchRow) -> bool:
        low, high = self.min_duration, self.max_duration
        assert low is not None
        # What is shorter than a microsecond is shown as one.
        return row.longest_duration_nano >= (low * MICRO_NANO if low > 1 else 1) and (
            high is None or row.shortest_duration_nano < (high + 1) * MICRO_NANO
        )

    def may_be_of(self, starts_unix_nano: Iterable[int]) -> bool:
        """False only if no span of a trace starts in the range: so its timestamp is not in it."""
        first, last = self.first_timestamp, self.last_timestamp
        return any(first <= start // MICRO_NANO <= last for start in starts_unix_nano)

    def asks_for(self, trace: Iterable[ZipkinSpan], stored: Iterable[Span]) -> bool:
        """Whether a trace is asked for; `stored` are the same spans as they are stored.

        Goes through them once.
        """
        first_root = earliest = 0
        terms = {term: WantedAttribute.of(*term) for term in self.terms.items()}
        is_there = has_duration = False
        has_name, has_remote = not self.span_name, not self.remote_service
        for span, of_span in zip(trace, stored, strict=True):
            if timestamp := span.timestamp:
                earliest = min(earliest or timestamp, timestamp)
                if not first_root and not span.parent_id:
                    first_root = timestamp
            if not self._has_service(span, of_span):
                continue
            is_there = True
            if terms:
                terms = {
                    term: wanted
                    for term, wanted in terms.items()
                    if not (_has(span, *term) or _has_double(of_span, wanted))
                }
            has_name = has_name or self._has_name(of_span)
            has_remote = has_remote or self._has_remote(span)
            has_duration = has_duration or self._has_duration(span.duration)
        # A trace's time is its root's, else that of its earliest span; 0 if no span has one.
        is_in_range = (
            max(1, self.first_timestamp) <= (first_root or earliest) <= self.last_timestamp
        )
        return is_in_range and is_there and not terms and has_name and has_remote and has_duration

    def _has_service(self, span: ZipkinSpan, stored: Span) -> bool:
        return (
            not self.service
            or span.local_endpoint.service_name in self.service
            or stored.scope.service_key.lower() in self.service
        )

    def _has_name(self, stored: Span) -> bool:
        return not self.span_name.isdisjoint(_listed_as(stored.name, self.span_name))

    def _has_remote(self, span: ZipkinSpan) -> bool:
        name = span.remote_endpoint.service_name
        return not self.remote_service.isdisjoint({name, key_name(name).lower()})

    def _has_duration(self, duration: int) -> bool:
        low, high = self.min_duration, self.max_duration
        return (low is None or duration >= low) and (high is None or duration <= high)


class Candidates:
    """The traces of whose rows so many are seen that each condition is met by one."""

    def __init__(self, conditions: Sequence[RowCondition]) -> None:
        self._conditions = conditions
        self._all = (1 << len(conditions)) - 1
        self._met: dict[bytes, int] = {}
        """Trace id → a bit for each condition that is met; of those with some."""

    def lead_to(self, row: SearchRow) -> bool:
        """False only if its trace is not wanted, or a row that is still to come leads to it."""
        before = self._met.get(row.trace_id, 0)
        met = before
        for place, is_met_by in enumerate(self._conditions):
            if not met >> place & 1 and is_met_by(row):
                met |= 1 << place
        if met == before:
            return met == self._all
        if before or len(self._met) < _TRACES_KEPT_MAX:
            self._met[row.trace_id] = met
            return met == self._all
        # What is not kept may be met by another row: the trace itself has to be looked at.
        return True


def spellings(name: str) -> Spellings:
    """What a name that is asked for may be listed as; none of no name."""
    lower = name.lower()
    return frozenset({lower, key_name(name).lower(), key_name(lower)}) if name else frozenset()


def _listed_as(name: str, wanted: Spellings) -> set[str]:
    """A span's name as it is sent, and as it is listed."""
    found = {name.lower(), key_name(name).lower()}
    # Short names show no id of others.
    return (
        found | {statistics_name(name).lower()} if any(map(may_stand_for_others, wanted)) else found
    )


def _may_be(indexed: str, wanted: Spellings) -> bool:
    return len(indexed) > _SHORT_NAME_CHARACTERS or indexed.lower() in wanted


def _has(span: ZipkinSpan, key: str, value: str) -> bool:
    if value:
        return span.tags.get(key) == value
    return key in span.tags or any(text == key for _, text in span.annotations)


def _has_double(stored: Span, wanted: WantedAttribute) -> bool:
    return wanted.double is not None and wanted.is_double_of(
        (*stored.attributes, *stored.scope.resource_attributes)
    )
