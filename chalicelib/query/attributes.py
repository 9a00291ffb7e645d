"""Which attributes a service's spans have: a sample of its newest traces, for those who fill in a search.

Counting all would mean reading all; what the newest traces have is what is asked for next.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.budget import Held
from chalicelib.model.attribute import key_and_text
from chalicelib.query.parameters import Search
from chalicelib.query.search import Conditions, Searcher, missing_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.model.span import Span
    from chalicelib.query.parameters import Range
    from chalicelib.store.items import ItemStore

TRACES_MAX = 50
SPANS_OF_A_TRACE_MAX = 1_000
"""The spans that the service has in one trace: this bounds what one very large trace costs, and its part of the
sample."""
KEYS_MAX = 200
VALUES_MAX = 20
VALUE_CHARACTERS_MAX = 256
"""Longer ones (statements, stack traces) are not chosen from a list."""
_TEXT_BYTES_KEPT_MAX = 4 * VALUE_CHARACTERS_MAX
"""A character has at most so many bytes."""
ATTRIBUTES_COUNTED_MAX = 1_000_000
"""The attributes of all spans of the sample: twenty of each. They take a second of CPU."""
TEXT_BYTES_MAX = 20_000_000
"""The bytes of what is different among them."""
_STOPPED = "the sample stopped at its limit of work: it has fewer traces than there are"


class AttributeKey(NamedTuple):
    key: str
    span_count: int
    """Spans of the sample that have it, or whose resource has it."""
    values: list[tuple[str, int]]
    """(String form, spans), most spans first."""


class Sample(NamedTuple):
    attributes: list[AttributeKey]
    """Most spans first."""
    trace_count: int
    warnings: list[str]


class _Room:
    """What a sample may still count."""

    def __init__(self) -> None:
        self.attributes = ATTRIBUTES_COUNTED_MAX
        self.text_bytes = TEXT_BYTES_MAX

    @property
    def is_full(self) -> bool:
        return self.attributes <= 0 or self.text_bytes <= 0


class _Counts:
    """Spans by key, and by key and string form, in UTF-8."""

    def __init__(self, room: _Room) -> None:
        self._room = room
        self.keys: Counter[bytes] = Counter()
        self.values: Counter[tuple[bytes, bytes]] = Counter()

    def count(self, spans: Iterable[Span]) -> None:
        room = self._room
        known = _KeysAndTexts(room)
        for span in spans:
            if room.is_full:
                return
            attributes = (*span.attributes, *span.scope.resource_attributes)
            room.attributes -= len(attributes)
            pairs = {known[raw] for raw in attributes}
            self.values.update(pairs)
            self.keys.update({key for key, _ in pairs})

    def add(self, other: _Counts) -> None:
        self.keys.update(other.keys)
        self.values.update(other.values)


class _KeysAndTexts(dict[bytes, tuple[bytes, bytes]]):
    """The keys and texts of a trace. A text that is too long to be shown is not kept."""

    def __init__(self, room: _Room) -> None:
        super().__init__()
        self._room = room

    def __missing__(self, raw: bytes) -> tuple[bytes, bytes]:
        key, text = key_and_text(raw)
        text = text[: _TEXT_BYTES_KEPT_MAX + 1]
        self._room.text_bytes -= len(key) + len(text)
        self[raw] = key, text
        return key, text


def attributes_of_service(
    store: ItemStore,
    service: str,
    asked: Range,
    now_unix_seconds: int,
    time_left: Callable[[], bool] = lambda: True,
) -> Sample:
    """The attributes of a service's spans that started in a range, of the newest traces with any."""
    search = Search(service, None, [], False, None, None, asked, TRACES_MAX, None)
    conditions = Conditions(search)

    room = _Room()

    def counts_of(spans: Iterable[Span]) -> _Counts:
        counts = _Counts(room)
        counts.count(islice(filter(conditions.met_by, spans), SPANS_OF_A_TRACE_MAX))
        return counts

    result = Searcher(
        store,
        search,
        now_unix_seconds,
        lambda: time_left() and not room.is_full,
        counts_of,
        held_by=lambda *_: Held(),
    ).run()
    total = _Counts(room)
    for counts in result.answers:
        total.add(counts)
    warnings = missing_warnings(result.missing)
    if result.stopped or room.is_full:
        warnings.append(_STOPPED)
    return Sample(_most_common(total), len(result.answers), warnings)


def _most_common(counts: _Counts) -> list[AttributeKey]:
    # A search cannot name a key with an equals sign: it ends there.
    keys = {key: count for key, count in counts.keys.items() if key and b"=" not in key}
    kept = dict(_highest(keys, KEYS_MAX))
    values: dict[bytes, dict[bytes, int]] = {key: {} for key in kept}
    for (key, text), count in counts.values.items():
        is_whole = len(text) <= _TEXT_BYTES_KEPT_MAX
        if key in kept and is_whole and len(text.decode()) <= VALUE_CHARACTERS_MAX:
            values[key][text] = count
    return [
        AttributeKey(
            key.decode(),
            count,
            [(text.decode(), of_value) for text, of_value in _highest(values[key], VALUES_MAX)],
        )
        for key, count in kept.items()
    ]


def _highest(counts: dict[bytes, int], count_max: int) -> list[tuple[bytes, int]]:
    """The entries with the highest counts, highest first; equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:count_max]
