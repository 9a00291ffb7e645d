"""Zipkin's query parameters: text in, checked values out.

Source: openzipkin/zipkin, ZipkinQueryApiV2.java, storage/QueryRequest.java, Span.java (normalizeTraceId).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.model.ids import trace_id_from_text
from chalicelib.model.units import MICRO_NANO, MILLI_NANO
from chalicelib.query.parameters import TIME_NANO_MAX, Range
from chalicelib.zipkin.match import Question, spellings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Parameters = Mapping[str, Sequence[str]]

_LOOKBACK_MILLISECONDS = 86_400_000
_LIMIT = 10
_TERMS_MAX = 100
_TRACE_IDS_MAX = 1_000
_INT64_MAX = 2**63 - 1
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)


def question_of(parameters: Parameters, now_unix_nano: int) -> Question:
    """The question of `GET /api/v2/traces`. Raises InvalidQuery in Zipkin's words."""
    end = _long(parameters, "endTs", now_unix_nano // MILLI_NANO)
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
        max(0, end - lookback) * MICRO_NANO,
        end * MICRO_NANO,
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
    within = Range(max(0, end - lookback) * MILLI_NANO, end * MILLI_NANO)
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
    """A trace id in any of the forms that Clew takes. Raises InvalidQuery in Zipkin's words."""
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
    """The different ids of `GET /api/v2/traceMany`. Raises InvalidQuery."""
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
