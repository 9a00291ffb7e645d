"""What questions are made of, whatever dialect they come in: ranges, searches, checked texts and times."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.model.units import HOUR_NANO, SECOND_NANO

TIME_NANO_MAX = 2**64 - 1
UNITS_NANO = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND_NANO,
    "m": 60 * SECOND_NANO,
    "h": HOUR_NANO,
    "d": 24 * HOUR_NANO,
}
_UNIX_SECONDS = re.compile(r"\d{1,11}(\.\d{1,9})?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_TEXT_CHARACTERS_MAX = 8_192
"""API Gateway takes 10,240 bytes of request line and headers: what is asked for as it was sent must fit."""


class Range(NamedTuple):
    """[start, end), in nanoseconds since the epoch."""

    start: int
    end: int


def listed_range(now_unix_nano: int) -> Range:
    """What a list of names is of: the retention of spans, and what clocks that are ahead have sent."""
    return Range(
        max(0, now_unix_nano - config.RETENTION_SECONDS * SECOND_NANO),
        now_unix_nano + 1 + config.CLOCK_AHEAD_SECONDS * SECOND_NANO,
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
