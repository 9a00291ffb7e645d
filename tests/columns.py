"""Reads columns back, as a client would: by the description in docs/api.md, with nothing of Clew's own."""

from __future__ import annotations

import base64
from array import array
from typing import Any, NamedTuple

ERROR, ENTRY, OK, COPY, REVERSED, DROPPED = 1, 2, 4, 8, 16, 32


class Row(NamedTuple):
    span_id: bytes
    parent_span_id: bytes
    """Empty for none."""
    start_time_unix_nano: int
    duration_nano: int
    name: str
    service: str
    scope_name: str
    scope_version: str
    kind: int
    flags: int
    status_message: str
    events: list[tuple[int, str, int]]
    """Time since the epoch, name, flags."""
    links: list[tuple[bytes, bytes]]
    attributes: list[Any]
    """OTLP/JSON KeyValues; empty if they were not asked for."""
    resource_attributes: list[Any]


def numbers(text: str, code: str) -> list[int]:
    return array(code, base64.b64decode(text, validate=True)).tolist()


def ids(text: str, size: int) -> list[bytes]:
    joined = base64.b64decode(text, validate=True)
    assert len(joined) % size == 0
    return [joined[start : start + size] for start in range(0, len(joined), size)]


def rows_in(answer: Any) -> list[Row]:
    strings, columns = answer["strings"], answer["columns"]
    assert strings[0] == ""
    assert len(set(strings)) == len(strings)
    begin = int(answer["start_time_unix_nano"])
    span_ids = ids(columns["span_id"], 8)
    known_ids = span_ids + ids(columns["foreign_ids"], 8)
    parents = numbers(columns["parent"], "i")
    scopes = [answer["scopes"][place] for place in numbers(columns["scope"], "I")]
    events, links = _events(answer), _links(answer)
    attributes, resources = _attributes(answer)
    of_rows = zip(
        span_ids,
        [b"" if parent == -1 else known_ids[parent] for parent in parents],
        [begin + start for start in numbers(columns["start"], "Q")],
        numbers(columns["duration"], "Q"),
        [strings[place] for place in numbers(columns["name"], "I")],
        [strings[scope["service"]] for scope in scopes],
        [strings[scope["scope_name"]] for scope in scopes],
        [strings[scope["scope_version"]] for scope in scopes],
        numbers(columns["kind"], "B"),
        numbers(columns["flags"], "B"),
        [strings[place] for place in numbers(columns["status_message"], "I")],
        [events.get(row, []) for row in range(len(span_ids))],
        [links.get(row, []) for row in range(len(span_ids))],
        attributes or [[] for _ in span_ids],
        [resources[place] if resources else [] for place in numbers(columns["scope"], "I")],
        strict=True,
    )
    return [Row(*of_row) for of_row in of_rows]


def _events(answer: Any) -> dict[int, list[tuple[int, str, int]]]:
    found: dict[int, list[tuple[int, str, int]]] = {}
    begin, events = int(answer["start_time_unix_nano"]), answer["events"]
    for row, time, name, flags in zip(
        numbers(events["row"], "i"),
        numbers(events["time"], "Q"),
        numbers(events["name"], "I"),
        numbers(events["flags"], "B"),
        strict=True,
    ):
        found.setdefault(row, []).append((begin + time, answer["strings"][name], flags))
    return found


def _links(answer: Any) -> dict[int, list[tuple[bytes, bytes]]]:
    found: dict[int, list[tuple[bytes, bytes]]] = {}
    links = answer["links"]
    trace_ids, span_ids = ids(links["trace_id"], 16), ids(links["span_id"], 8)
    for row, *link in zip(numbers(links["row"], "i"), trace_ids, span_ids, strict=True):
        found.setdefault(row, []).append((link[0], link[1]))
    return found


def _attributes(answer: Any) -> tuple[list[list[Any]], list[list[Any]]]:
    """Of each row, and of each scope's resource; nothing if they were not asked for."""
    attributes = answer.get("attributes")
    if attributes is None:
        return [], []
    distinct = attributes["distinct"]
    return (
        _grouped(distinct, attributes["counts"], attributes["index"]),
        _grouped(distinct, attributes["scope_counts"], attributes["scope_index"]),
    )


def _grouped(distinct: list[Any], counts: str, places: str) -> list[list[Any]]:
    left = iter(numbers(places, "I"))
    groups = [[distinct[next(left)] for _ in range(count)] for count in numbers(counts, "I")]
    assert list(left) == []
    return groups
