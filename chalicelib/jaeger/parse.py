"""Jaeger's query parameters as Clew's searches and ranges. Source: jaeger, query_parser.go, apiv3/query_parser.go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import orjson

from chalicelib import config
from chalicelib.errors import InvalidQuery, TooMuchAsked
from chalicelib.model.ids import trace_id_from_text
from chalicelib.model.units import MICRO_NANO, MILLI_NANO
from chalicelib.query.parameters import (
    TIME_NANO_MAX,
    UNITS_NANO,
    Range,
    Search,
    checked_text,
    exact,
    time_nano,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.jaeger.tags import Tag

    Parameters = Mapping[str, Sequence[str]]

_LIMIT = 100
_DAY_MILLISECONDS = 86_400_000
_HOUR_MILLISECONDS = 3_600_000
_TAGS_MAX = 20
_INTEGER = re.compile(r"\d{1,19}", re.ASCII)
_DURATION_CHARACTERS_MAX = 500
_DURATION_MAX_NANO = 2**63 - 1
"""The longest duration of Go's time.Duration."""
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"[+-]?(?:{_DURATION_PART.pattern})+", re.ASCII)
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_KIND_KEY = "span.kind"
"""OpenTelemetry has a field for it, and no tag."""
_KIND_PREFIX = "SPAN_KIND_"


class Question(NamedTuple):
    search: Search
    """All but the tags."""
    tags: list[Tag]


def question_v1(parameters: Parameters, now_unix_nano: int) -> Question:
    """`GET /api/traces`: times in microseconds, durations as Go writes them. Raises InvalidQuery."""
    end = _integer(parameters, "end", now_unix_nano // MICRO_NANO) * MICRO_NANO + MICRO_NANO
    start = _integer(parameters, "start", max(0, end // MICRO_NANO - 172_800_000_000)) * MICRO_NANO
    tags = [_colon_tag(text) for text in parameters.get("tag", ())]
    for text in parameters.get("tags", ()):
        tags += _json_tags(text, "tags")
    return _question(
        _first(parameters, "service"),
        _first(parameters, "operation"),
        tags,
        (_duration(parameters, "minDuration"), _duration(parameters, "maxDuration")),
        Range(start, min(end, TIME_NANO_MAX)),
        _integer(parameters, "limit", _LIMIT),
    )


def question_v3(parameters: Parameters) -> Question:
    """`GET /api/v3/traces`: `query.*`, in camel or snake case. Raises InvalidQuery."""
    tags = _json_tags(_query(parameters, "attributes"), "query.attributes")
    start, end = _query(parameters, "startTimeMin"), _query(parameters, "startTimeMax")
    if not start or not end:
        raise InvalidQuery("query.startTimeMin and query.startTimeMax are required")
    durations = [_query(parameters, name) for name in ("durationMin", "durationMax")]
    low, high = (
        _bound_nano(text, f"query.{name}")
        for name, text in zip(("durationMin", "durationMax"), durations, strict=True)
    )
    depth = _query(parameters, "searchDepth") or _first(parameters, "query.num_traces")
    return _question(
        _query(parameters, "serviceName"),
        _query(parameters, "operationName"),
        tags,
        (low, high),
        Range(time_nano(start, "query.startTimeMin"), time_nano(end, "query.startTimeMax")),
        _whole(depth, "query.searchDepth") if depth else _LIMIT,
    )


def _question(
    service: str,
    span_name: str,
    tags: list[tuple[str, str]],
    durations: tuple[int | None, int | None],
    within: Range,
    limit: int,
) -> Question:
    low, high = durations
    if low is not None and high is not None and high < low:
        raise InvalidQuery("maxDuration must not be less than minDuration", "maxDuration")
    if within.start >= within.end:
        raise InvalidQuery("the start must be before the end", "start")
    if len(tags) > _TAGS_MAX:
        raise InvalidQuery(f"there may be {_TAGS_MAX} tags", "tags")
    kinds = {_kind(value) for key, value in tags if key == _KIND_KEY}
    if len(kinds) > 1:
        raise InvalidQuery(f"a span has one {_KIND_KEY}", "tags")
    search = Search(
        checked_text(service, "service") if service else None,
        checked_text(span_name, "operation") if span_name else None,
        [],
        False,
        low,
        high,
        within,
        min(max(limit, 1), config.SEARCH_LIMIT_MAX),
        None,
        kind=next(iter(kinds), None),
    )
    return Question(search, [tag for tag in tags if tag[0] != _KIND_KEY])


def trace_ids(parameters: Parameters) -> list[bytes]:
    """Every `traceID`, once. Raises InvalidQuery."""
    ids = list(dict.fromkeys(map(trace_id, parameters.get("traceID", ()))))
    if len(ids) > config.TRACES_ASKED_MAX:
        raise TooMuchAsked(f"at most {config.TRACES_ASKED_MAX} traces may be asked for", "traceID")
    return ids


def trace_id(text: str) -> bytes:
    try:
        return trace_id_from_text(text)
    except ValueError as error:
        raise InvalidQuery(str(error), "traceID") from error


def is_raw(parameters: Parameters) -> bool:
    return _first(parameters, "raw").lower() in ("true", "1")


def is_pretty(parameters: Parameters) -> bool:
    """Whether a person is to read the answer: Jaeger takes anything but `false` for yes."""
    return _first(parameters, "prettyPrint") not in ("", "false")


def dependencies_range(parameters: Parameters, now_unix_nano: int) -> Range:
    """`endTs` and `lookback`, in milliseconds; a day by default. Raises InvalidQuery."""
    return _lookback(parameters, now_unix_nano, _DAY_MILLISECONDS)


class MetricsQuestion(NamedTuple):
    services: list[str]
    kinds: frozenset[int]
    by_operation: bool
    range: Range
    step_nano: int
    quantile: float


def metrics_question(
    parameters: Parameters, now_unix_nano: int, *, wants_quantile: bool
) -> MetricsQuestion:
    """The question of `GET /api/metrics/…`. Raises InvalidQuery."""
    # Jaeger's UI joins several services to `service=a,service=b`.
    services = list(
        dict.fromkeys(
            name.removeprefix("service=")
            for text in parameters.get("service", ())
            for name in text.split(",service=")
        )
    )
    if len(services) > config.METRICS_SERVICES_MAX:
        raise TooMuchAsked(
            f"at most {config.METRICS_SERVICES_MAX} services may be asked for at once", "service"
        )
    if not services:
        raise InvalidQuery("parameter 'service' is required", "service")
    quantile = _first(parameters, "quantile")
    if wants_quantile and not quantile:
        raise InvalidQuery("parameter 'quantile' is required", "quantile")
    return MetricsQuestion(
        [checked_text(name, "service") for name in services],
        frozenset(_kind(text) for text in parameters.get("spanKind", ["server"])),
        _first(parameters, "groupByOperation").lower() in ("true", "1"),
        _lookback(parameters, now_unix_nano, _HOUR_MILLISECONDS),
        max(1, _integer(parameters, "step", 60_000)) * MILLI_NANO,
        _share(quantile) if quantile else 0,
    )


def kind_asked(parameters: Parameters) -> int | None:
    """`spanKind` of a list of operations; None for any. Raises InvalidQuery."""
    text = _first(parameters, "spanKind") or _first(parameters, "span_kind")
    return _kind(text) if text else None


def _kind(text: str) -> int:
    name = text.lower().removeprefix(_KIND_PREFIX.lower())
    if name not in _KINDS:
        raise InvalidQuery(f"unsupported span kind: {text[:50]!r}", "spanKind")
    return _KINDS.index(name)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise InvalidQuery(f"quantile must be from 0 to 1, not {text[:50]!r}", "quantile")
    return value


def moment(text: str, name: str, default_nano: int) -> int:
    """Nanoseconds of RFC 3339; the default where there is no text. Raises InvalidQuery."""
    return time_nano(text, name) if text else default_nano


def _lookback(parameters: Parameters, now_unix_nano: int, default_milliseconds: int) -> Range:
    end = _integer(parameters, "endTs", now_unix_nano // MILLI_NANO) * MILLI_NANO
    width = _integer(parameters, "lookback", default_milliseconds) * MILLI_NANO
    if not width or end > TIME_NANO_MAX:
        raise InvalidQuery("lookback must be more than nothing, and endTs before 2554", "lookback")
    return Range(max(0, end - width), max(1, end))


def _first(parameters: Parameters, name: str) -> str:
    values = parameters.get(name)
    return values[0] if values else ""


def _query(parameters: Parameters, name: str) -> str:
    snake = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    return _first(parameters, f"query.{name}") or _first(parameters, f"query.{snake}")


def _duration(parameters: Parameters, name: str) -> int | None:
    return _bound_nano(_first(parameters, name), name)


def _bound_nano(text: str, name: str) -> int | None:
    """A bound of durations; None for none, which is what Jaeger takes 0 for. Raises InvalidQuery."""
    return (go_duration_nano(text, name) or None) if text else None


def go_duration_nano(text: str, name: str) -> int:
    """Nanoseconds of a duration as Go writes it, such as `250ms`, `1h2m`, `.5s`, `-1µs` or `0`; days are taken too.

    Source: Go, time.ParseDuration. Raises InvalidQuery.
    """
    # A `+` that nobody percent-encoded arrives as a space.
    text = f"+{text[1:]}" if text[:1] == " " else text
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    is_duration = len(text) <= _DURATION_CHARACTERS_MAX and _DURATION.fullmatch(text)
    parts = _DURATION_PART.findall(unsigned) if is_duration else []
    if not parts:
        raise InvalidQuery(
            f"unable to parse param '{name}': time: invalid duration {text[:50]!r}; "
            "such are 250ms, 1.5s, 1h2m",
            name,
        )
    total = sum(exact(f"0{number}", UNITS_NANO[unit]) for number, unit in parts)
    if total > _DURATION_MAX_NANO:
        raise InvalidQuery(f"{name} is longer than any span", name)
    return -total if text[0] == "-" else total


def _integer(parameters: Parameters, name: str, default: int) -> int:
    text = _first(parameters, name)
    return _whole(text, name) if text else default


def _whole(text: str, name: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InvalidQuery(f"{name} must be a whole number, not {text[:50]!r}", name)
    return int(text)


def _colon_tag(text: str) -> tuple[str, str]:
    key, colon, value = text.partition(":")
    if not colon or not key:
        raise InvalidQuery(
            f"malformed 'tag' parameter, expecting key:value, received: {text[:100]}", "tag"
        )
    return key, value


def _json_tags(text: str, name: str) -> list[tuple[str, str]]:
    try:
        tags = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        tags = None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise InvalidQuery(
            f"malformed {name!r} parameter, expecting a JSON object of strings", name
        )
    return list(tags.items())
