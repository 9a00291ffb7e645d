"""The native API's query parameters: text in, checked values out; every fault names its parameter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.model.ids import span_id_from_text, trace_id_from_text
from chalicelib.model.units import HOUR_NANO, SECOND_NANO
from chalicelib.query.parameters import (
    TIME_NANO_MAX,
    UNITS_NANO,
    Range,
    Search,
    checked_text,
    exact,
    listed_range,
    time_nano,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h|d)", re.ASCII)
_ATTRIBUTES_MAX = 20


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

    def listed_range(self, now_unix_nano: int) -> Range:
        """`start` and `end` of a list of names: where they are absent, all that is kept, as `listed_range` has it."""
        kept = self.time_range(now_unix_nano, config.RETENTION_SECONDS * SECOND_NANO)
        return kept if self.text("end") else Range(kept.start, listed_range(now_unix_nano).end)

    def time_range(self, now_unix_nano: int, default_nano: int = HOUR_NANO) -> Range:
        """`start` and `end`: an absent end is now, an absent start `default_nano` before the end."""
        end_text, start_text = self.text("end"), self.text("start")
        # Now itself is within the range: a span that started this very nanosecond is asked for, too.
        end = time_nano(end_text, "end") if end_text else now_unix_nano + 1
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


SEARCH_PARAMETERS = (
    *("service", "span_name", "attribute", "link", "status", "min_duration", "max_duration"),
    *("start", "end", "limit", "cursor"),
)


def search_from(values: Mapping[str, Sequence[str]], now_unix_nano: int) -> Search:
    """The search that query parameters ask for. Raises InvalidQuery."""
    parameters = Parameters(values, SEARCH_PARAMETERS)
    status, link = parameters.text("status"), parameters.text("link")
    if status not in (None, "error"):
        raise InvalidQuery(f"status must be error, not {status[:50]!r}", "status")
    low, high = parameters.duration_nano("min_duration"), parameters.duration_nano("max_duration")
    if low is not None and high is not None and high < low:
        raise InvalidQuery("max_duration must not be less than min_duration", "max_duration")
    return Search(
        service=parameters.text("service"),
        span_name=parameters.text("span_name"),
        attributes=parameters.attributes(),
        only_errors=status == "error",
        min_duration_nano=low,
        max_duration_nano=high,
        range=parameters.time_range(now_unix_nano),
        limit=parameters.integer("limit", config.SEARCH_LIMIT_DEFAULT, 1, config.SEARCH_LIMIT_MAX),
        cursor=parameters.text("cursor"),
        link=None if link is None else trace_id_parameter(link, "link"),
    )


def trace_id_parameter(text: str, name: str = "trace_id") -> bytes:
    """A trace id, such as the one in a path. Raises InvalidQuery."""
    try:
        return trace_id_from_text(text)
    except ValueError as error:
        raise InvalidQuery(str(error), name) from error


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
