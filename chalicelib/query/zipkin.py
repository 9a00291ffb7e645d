"""Zipkin's query parameters, and which traces they ask for.

Each condition holds on some span of the trace, if a service is given on one of that service; different conditions may
hold on different spans. Source: openzipkin/zipkin, storage/QueryRequest.java, Span.java (normalizeTraceId).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.model.ids import trace_id_from_text
from chalicelib.model.names import key_name, may_stand_for_others, statistics_name
from chalicelib.query.parameters import TIME_NANO_MAX, Range, Search
from chalicelib.query.search import WantedAttribute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.model.span import Span
    from chalicelib.store.search_row import SearchRow

    Parameters = Mapping[str, Sequence[str]]

_MICRO_NANO, _MILLI_NANO, _HOUR_NANO = 1_000, 1_000_000, 3_600 * 10**9
_LOOKBACK_MILLISECONDS = 86_400_000
_LIMIT = 10
_TERMS_MAX = 100
_TRACE_IDS_MAX = 1_000
_INT64_MAX = 2**63 - 1
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_SHORT_NAME_CHARACTERS = 60
"""A longer name may stand in the index shortened (see `key_name`)."""
_WIDENED_NANO = _HOUR_NANO
"""A trace's time is its root's; the spans by which it is found may start so much earlier or later."""


_TRACES_KEPT_MAX = 200_000
"""Of those whose rows have met some of the conditions: bounds the memory of a search."""

RowCondition = Callable[["SearchRow"], bool]
_HAS_ERROR: RowCondition = attrgetter("has_error")


Spellings = frozenset[str]
"""Of a name that is asked for, lower-cased: as it is, and as a list has it where it is long; none ask for nothing."""


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
        start = self.first_timestamp * _MICRO_NANO - _WIDENED_NANO
        end = (self.last_timestamp + 1) * _MICRO_NANO + _WIDENED_NANO
        within = Range(max(0, start), min(end, TIME_NANO_MAX))
        return Search(None, None, [], False, None, None, within, self.limit, None)

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
        return row.longest_duration_nano >= (low * _MICRO_NANO if low > 1 else 1) and (
            high is None or row.shortest_duration_nano < (high + 1) * _MICRO_NANO
        )

    def may_be_of(self, starts_unix_nano: Iterable[int]) -> bool:
        """False only if no span of a trace starts in the range: so its timestamp is not in it."""
        first, last = self.first_timestamp, self.last_timestamp
        return any(first <= start // _MICRO_NANO <= last for start in starts_unix_nano)

    def asks_for(self, trace: Iterable[Mapping[str, Any]], stored: Iterable[Span]) -> bool:
        """Whether a trace, as Zipkin's JSON has its spans, is asked for; `stored` are the same spans.

        Goes through them once.
        """
        first_root = earliest = 0
        terms = {term: WantedAttribute.of(*term) for term in self.terms.items()}
        is_there = has_duration = False
        has_name, has_remote = not self.span_name, not self.remote_service
        for span, of_span in zip(trace, stored, strict=True):
            if timestamp := span.get("timestamp", 0):
                earliest = min(earliest or timestamp, timestamp)
                if not first_root and "parentId" not in span:
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
            has_duration = has_duration or self._has_duration(span.get("duration", 0))
        # A trace's time is its root's, else that of its earliest span; 0 if no span has one.
        is_in_range = (
            max(1, self.first_timestamp) <= (first_root or earliest) <= self.last_timestamp
        )
        return is_in_range and is_there and not terms and has_name and has_remote and has_duration

    def _has_service(self, span: Mapping[str, Any], stored: Span) -> bool:
        return (
            not self.service
            or _name_of(span, "localEndpoint") in self.service
            or stored.scope.service_key.lower() in self.service
        )

    def _has_name(self, stored: Span) -> bool:
        return not self.span_name.isdisjoint(_listed_as(stored.name, self.span_name))

    def _has_remote(self, span: Mapping[str, Any]) -> bool:
        name = _name_of(span, "remoteEndpoint")
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


def _name_of(span: Mapping[str, Any], endpoint: str) -> str:
    name: str = span.get(endpoint, {}).get("serviceName", "")
    return name


def _may_be(indexed: str, wanted: Spellings) -> bool:
    return len(indexed) > _SHORT_NAME_CHARACTERS or indexed.lower() in wanted


def _has(span: Mapping[str, Any], key: str, value: str) -> bool:
    tags = span.get("tags", {})
    if value:
        return bool(tags.get(key) == value)
    return key in tags or any(each["value"] == key for each in span.get("annotations", ()))


def _has_double(stored: Span, wanted: WantedAttribute) -> bool:
    return wanted.double is not None and wanted.is_double_of(
        (*stored.attributes, *stored.scope.resource_attributes)
    )


def question_of(parameters: Parameters, now_nano: int) -> Question:
    """Of `GET /api/v2/traces`. Raises InvalidQuery in Zipkin's words."""
    end = _long(parameters, "endTs", now_nano // _MILLI_NANO)
    limit = _long(parameters, "limit", _LIMIT)
    lookback = _long(parameters, "lookback", _LOOKBACK_MILLISECONDS)
    for name, value in (("endTs", end), ("limit", limit), ("lookback", lookback)):
        if value <= 0:
            raise InvalidQuery(f"{name} <= 0", name)
    span_name = first(parameters, "spanName")
    return Question(
        spellings(first(parameters, "serviceName")),
        spellings(first(parameters, "remoteServiceName")),
        spellings("" if span_name.lower() == "all" else span_name),
        terms_of(first(parameters, "annotationQuery")),
        *_durations(parameters),
        max(0, end - lookback) * _MICRO_NANO,
        end * _MICRO_NANO,
        min(limit, config.SEARCH_LIMIT_MAX),
    )


def _durations(parameters: Parameters) -> tuple[int | None, int | None]:
    low, high = (
        _long(parameters, name, 0) if first(parameters, name) else None
        for name in ("minDuration", "maxDuration")
    )
    if low is None and high is not None:
        raise InvalidQuery("maxDuration is only valid with minDuration", "maxDuration")
    if low is not None and low <= 0:
        raise InvalidQuery("minDuration <= 0", "minDuration")
    if low is not None and high is not None and high < low:
        raise InvalidQuery("maxDuration < minDuration", "maxDuration")
    return low, high


def terms_of(annotation_query: str) -> dict[str, str]:
    """The terms between ` and `: `key=value`, or a tag's key or an annotation's value → ""."""
    terms: dict[str, str] = {}
    if not annotation_query:
        return terms
    for part in annotation_query.split(" and ", _TERMS_MAX - 1):
        key, equals, value = part.partition("=")
        if equals:
            terms[key.strip()] = value.strip()
        else:
            terms.setdefault(key.strip(), "")
    return terms


def dependencies_range(parameters: Parameters) -> Range:
    """`endTs`, which is required, and `lookback`: milliseconds. Raises InvalidQuery."""
    required(parameters, "endTs")
    end = _long(parameters, "endTs", 0)
    lookback = _long(parameters, "lookback", _LOOKBACK_MILLISECONDS)
    for name, value in (("endTs", end), ("lookback", lookback)):
        if value <= 0:
            raise InvalidQuery(f"{name} <= 0", name)
    within = Range(max(0, end - lookback) * _MILLI_NANO, end * _MILLI_NANO)
    if within.end > TIME_NANO_MAX:
        raise InvalidQuery("endTs is after 2554", "endTs")
    return within


def required(parameters: Parameters, name: str) -> str:
    """Raises InvalidQuery for a parameter that is not there."""
    if not parameters.get(name):
        raise InvalidQuery(f"Mandatory parameter/header/attribute is missing: {name}", name)
    return first(parameters, name)


def first(parameters: Parameters, name: str) -> str:
    values = parameters.get(name)
    return values[0] if values else ""


def trace_id(text: str) -> bytes:
    """In any of the forms that Clew takes. Raises InvalidQuery in Zipkin's words."""
    text = text.strip()
    try:
        return trace_id_from_text(text)
    except ValueError as error:
        fault = f"{ascii(text)[1:-1]} should be lower-hex encoded with no prefix"
        if not text.strip("0"):
            fault = "traceId is all zeros" if text else "traceId is empty"
        elif len(text) > 32:
            fault = "traceId.length > 32"
        raise InvalidQuery(fault, "traceId") from error


def trace_ids(parameters: Parameters) -> list[bytes]:
    """Of `GET /api/v2/traceMany`: several, different. Raises InvalidQuery."""
    texts = required(parameters, "traceIds")
    if not texts:
        raise InvalidQuery("traceIds parameter is empty", "traceIds")
    found: list[bytes] = []
    for text in texts.split(",", _TRACE_IDS_MAX - 1):
        each = trace_id(text)
        if each in found:
            raise InvalidQuery(f"redundant traceId: {text}", "traceIds")
        found.append(each)
    if len(found) == 1:
        raise InvalidQuery(
            "Use /api/v2/trace/{traceId} endpoint to retrieve a single trace", "traceIds"
        )
    return found


def _long(parameters: Parameters, name: str, default: int) -> int:
    text = first(parameters, name)
    if not text:
        return default
    if not _INTEGER.fullmatch(text) or abs(int(text)) > _INT64_MAX:
        raise InvalidQuery(f'For input string: "{ascii(text[:50])[1:-1]}"', name)
    return int(text)
