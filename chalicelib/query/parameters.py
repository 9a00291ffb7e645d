"""Query parameters: text in, checked values out; every fault names its parameter."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.model.ids import span_id_from_text, trace_id_from_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECOND_NANO = 10**9
TIME_NANO_MAX = 2**64 - 1
_HOUR_NANO = 3_600 * SECOND_NANO
UNITS_NANO = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND_NANO,
    "m": 60 * SECOND_NANO,
    "h": _HOUR_NANO,
    "d": 24 * _HOUR_NANO,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h|d)", re.ASCII)
_UNIX_SECONDS = re.compile(r"\d{1,11}(\.\d{1,9})?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_TEXT_CHARACTERS_MAX = 8_192
"""API Gateway takes 10,240 bytes of request line and headers: what is asked for as it was sent must fit."""
_ATTRIBUTES_MAX = 20


class Range(NamedTuple):
    """[start, end), in nanoseconds since the epoch."""

    start: int
    end: int


class Parameters:
    """The query parameters of one request; one not `known` is a fault, lest a misspelt filter widen a search."""

    def __init__(self, values: Mapping[str, Sequence[str]], known: Sequence[str]) -> None:
        self._values = values
        for name in values:
            if name not in known:
                shown = name[:100].encode(errors="replace").decode()
                takes = f"known are {', '.join(known)}" if known else "none is known here"
                raise InvalidQuery(f"there is no parameter {shown!r}; {takes}", shown)

    def texts(self, name: str) -> list[str]:
        """Every value of a repeatable parameter."""
        return [checked_text(value, name) for value in self._values.get(name, ())]

    def text(self, name: str) -> str | None:
        """The one value of a parameter; None where it is absent."""
        values = self.texts(name)
        if len(values) > 1:
            raise InvalidQuery(f"{name} may be given once", name)
        return values[0] if values else None

    def several(self, name: str, count_max: int) -> list[str]:
        """Every value of a parameter that may be repeated so often."""
        values = self.texts(name)
        if len(values) > count_max:
            raise InvalidQuery(f"{name} may be given {count_max} times", name)
        return values

    def chunk_keys(self) -> list[str]:
        """Every `chunk`."""
        return self.several("chunk", config.CHUNKS_ASKED_MAX)

    def span_ids(self) -> set[bytes]:
        """Every `span_id`."""
        texts = self.several("span_id", config.SPAN_IDS_ASKED_MAX)
        try:
            return set(map(span_id_from_text, texts))
        except ValueError as error:
            raise InvalidQuery(str(error), "span_id") from error

    def flag(self, name: str) -> bool:
        """`true` or `false`, which is what an absent one is."""
        text = self.text(name)
        if text not in (None, "true", "false"):
            raise InvalidQuery(f"{name} must be true or false, not {text[:50]!r}", name)
        return text == "true"

    def duration_nano(self, name: str) -> int | None:
        text = self.text(name)
        return None if text is None else duration_nano(text, name)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        is_number = text.isascii() and text.isdecimal() and len(text) < 20
        if not is_number or not low <= int(text) <= high:
            raise InvalidQuery(
                f"{name} must be a whole number from {low} to {high}, not {text[:50]!r}", name
            )
        return int(text)

    def listed_range(self, now_nano: int) -> Range:
        """`start` and `end` of a list of names: where they are absent, all that is kept, as `listed_range` has it."""
        kept = self.time_range(now_nano, config.RETENTION_SECONDS * SECOND_NANO)
        return kept if self.text("end") else Range(kept.start, listed_range(now_nano).end)

    def time_range(self, now_nano: int, default_nano: int = _HOUR_NANO) -> Range:
        """`start` and `end`: an absent end is now, an absent start `default_nano` before the end."""
        end_text, start_text = self.text("end"), self.text("start")
        # Now itself is within the range: a span that started this very nanosecond is asked for, too.
        end = time_nano(end_text, "end") if end_text else now_nano + 1
        start = time_nano(start_text, "start") if start_text else max(0, end - default_nano)
        if start >= end:
            raise InvalidQuery("start must be before end", "start")
        return Range(start, end)

    def attributes(self) -> list[tuple[str, str]]:
        """Every `attribute=key=value`."""
        found = []
        for text in self.several("attribute", _ATTRIBUTES_MAX):
            key, equals, value = text.partition("=")
            if not key or not equals:
                raise InvalidQuery(f"attribute must be key=value, not {text[:100]!r}", "attribute")
            found.append((key, value))
        return found


def listed_range(now_nano: int) -> Range:
    """What a list of names is of: the retention of spans, and what clocks that are ahead have sent."""
    return Range(
        max(0, now_nano - config.RETENTION_SECONDS * SECOND_NANO),
        now_nano + 1 + config.CLOCK_AHEAD_SECONDS * SECOND_NANO,
    )


def checked_text(value: str, name: str) -> str:
    """`value`, which is text that can be encoded, neither empty nor too long. Raises InvalidQuery."""
    if not value:
        raise InvalidQuery(f"{name} must not be empty", name)
    if len(value) > _TEXT_CHARACTERS_MAX:
        raise InvalidQuery(
            f"{name} may have {_TEXT_CHARACTERS_MAX} characters, not {len(value)}", name
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidQuery(f"{name} is not text", name) from None
    return value


def duration_nano(text: str, name: str) -> int:
    """Nanoseconds of `250ms`, `1.5s`, `1m30s`. Raises InvalidQuery."""
    parts = list(_DURATION_PART.finditer(text[:64]))
    if not parts or "".join(part[0] for part in parts) != text:
        raise InvalidQuery(
            f"{name} must be a duration such as 250ms or 1.5s, not {text[:50]!r}", name
        )
    total = sum(exact(part[1], UNITS_NANO[part[2]]) for part in parts)
    if total > TIME_NANO_MAX:
        raise InvalidQuery(f"{name} is longer than any span", name)
    return total


def exact(number: str, unit_nano: int) -> int:
    """Decimal text times a unit, without the error of floating point."""
    whole, _, fraction = number.partition(".")
    return int(whole) * unit_nano + int((fraction + "0" * 18)[:18]) * unit_nano // 10**18


def time_nano(text: str, name: str) -> int:
    """Nanoseconds since the epoch of RFC 3339 or Unix seconds. Raises InvalidQuery."""
    nano = exact(text, SECOND_NANO) if _UNIX_SECONDS.fullmatch(text) else _rfc3339_nano(text, name)
    if not 0 <= nano <= TIME_NANO_MAX:
        raise InvalidQuery(f"{name} must lie between 1970 and 2554", name)
    return nano


def _rfc3339_nano(text: str, name: str) -> int:
    # A `+` that nobody percent-encoded arrives as a space.
    parts = _RFC3339.fullmatch(text[:19] + text[19:].replace(" ", "+"))
    try:
        moment = datetime.fromisoformat((parts[1] + parts[3]).upper()) if parts else None
    except ValueError:
        moment = None
    if parts is None or moment is None:
        raise InvalidQuery(
            f"{name} must be RFC 3339 with a time zone, or Unix seconds, not {text[:50]!r}", name
        )
    return int(moment.timestamp()) * SECOND_NANO + int((parts[2] or "").ljust(9, "0"))


def trace_id_parameter(text: str, name: str = "trace_id") -> bytes:
    """A trace id, such as the one in a path. Raises InvalidQuery."""
    try:
        return trace_id_from_text(text)
    except ValueError as error:
        raise InvalidQuery(str(error), name) from error


SEARCH_PARAMETERS = (
    *("service", "span_name", "attribute", "link", "status", "min_duration", "max_duration"),
    *("start", "end", "limit", "cursor"),
)


class Search(NamedTuple):
    """What a search asks for. All conditions on spans hold on one span together."""

    service: str | None
    span_name: str | None
    attributes: list[tuple[str, str]]
    only_errors: bool
    min_duration_nano: int | None
    max_duration_nano: int | None
    range: Range
    limit: int
    cursor: str | None
    kind: int | None = None
    """OTLP's number of the span's kind."""
    link: bytes | None = None
    """The trace to which the span has a link."""


def search_from(values: Mapping[str, Sequence[str]], now_nano: int) -> Search:
    """The search that query parameters ask for. Raises InvalidQuery."""
    parameters = Parameters(values, SEARCH_PARAMETERS)
    status, link = parameters.text("status"), parameters.text("link")
    if status not in (None, "error"):
        raise InvalidQuery(f"status must be error, not {status[:50]!r}", "status")
    low, high = parameters.duration_nano("min_duration"), parameters.duration_nano("max_duration")
    if low is not None and high is not None and high < low:
        raise InvalidQuery("max_duration must not be less than min_duration", "max_duration")
    return Search(
        parameters.text("service"),
        parameters.text("span_name"),
        parameters.attributes(),
        status == "error",
        low,
        high,
        parameters.time_range(now_nano),
        parameters.integer("limit", config.SEARCH_LIMIT_DEFAULT, 1, config.SEARCH_LIMIT_MAX),
        parameters.text("cursor"),
        link=None if link is None else trace_id_parameter(link, "link"),
    )
