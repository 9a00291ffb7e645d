"""Columns say of every span what its own message says."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from chalicelib.model.span import Scopes, scopes_of
from chalicelib.native.columns import columns_json
from chalicelib.query.trace import ChunkOfSpans, Page
from tests.columns import COPY, DROPPED, ENTRY, ERROR, OK, REVERSED, Row, rows_in
from tests.model.spans import made_spans
from tests.payloads import (
    CLIENT,
    INTERNAL,
    NOON_NANO,
    SERVER,
    Made,
    payload,
    set_attributes,
    span_id,
    trace_id,
)


def page_of(*contents: bytes) -> Page:
    scopes = Scopes()
    chunks = [
        ChunkOfSpans(f"chunk {number}", list(scopes_of(content, scopes)))
        for number, content in enumerate(contents)
    ]
    return Page(trace_id(1), chunks, None)


def answer_of(*contents: bytes, with_attributes: bool = False) -> Any:
    """What we answer, as a client reads it."""
    document = columns_json(page_of(*contents), with_attributes=with_attributes)
    return orjson.loads(orjson.dumps(document))


def rows_of(*contents: bytes) -> list[Row]:
    return rows_in(answer_of(*contents))


def content_of(*spans: Span) -> bytes:
    data = TracesData()
    data.resource_spans.add().scope_spans.add().spans.extend(spans)
    return data.SerializeToString()


def span(**fields: Any) -> Span:
    return Span(**{"trace_id": trace_id(1), "span_id": span_id(1), **fields})


@given(st.lists(st.lists(made_spans, min_size=1, max_size=8), min_size=1, max_size=3))
def test_every_row_is_its_span(batches: list[list[Made]]) -> None:
    """Whatever the spans: the rows, read back, are the spans in their order, and copies are flagged once seen."""
    contents = [payload(batch) for batch in batches]
    seen: set[tuple[bytes, ...]] = set()
    expected = []
    for content in contents:
        for resource_spans in TracesData.FromString(content).resource_spans:
            resource = resource_spans.resource.SerializeToString(deterministic=True)
            for scope, message in (
                (each.scope.SerializeToString(deterministic=True), message)
                for each in resource_spans.scope_spans
                for message in each.spans
            ):
                identity = resource, scope, message.SerializeToString(deterministic=True)
                kind, is_root = message.kind, not message.parent_span_id
                is_parent_remote = message.flags & 0x300 == 0x300
                expected.append(
                    (
                        message.span_id,
                        message.parent_span_id,
                        message.start_time_unix_nano,
                        message.end_time_unix_nano - message.start_time_unix_nano,
                        message.name,
                        resource_spans.resource.attributes[0].value.string_value,
                        kind,
                        (ERROR if message.status.code == 2 else 0)
                        | (ENTRY if is_root or is_parent_remote or kind in (2, 5) else 0)
                        | (COPY if identity in seen else 0),
                        [(link.trace_id, link.span_id) for link in message.links],
                    )
                )
                seen.add(identity)
    assert [
        (
            row.span_id,
            row.parent_span_id,
            row.start_time_unix_nano,
            row.duration_nano,
            row.name,
            row.service,
            row.kind,
            row.flags,
            row.links,
        )
        for row in rows_of(*contents)
    ] == expected


def test_the_frame_of_a_page():
    """A page says whose it is, when it begins, where it goes on, and how many rows each chunk has."""
    contents = payload([Made(1, 1, start=7), Made(1, 2, start=5)]), payload([Made(1, 3, start=6)])
    answer = columns_json(page_of(*contents)._replace(next_cursor="more"))
    assert answer["version"] == 1
    assert answer["trace_id"] == trace_id(1).hex()
    assert answer["start_time_unix_nano"] == "5"
    assert answer["next"] == "more"
    assert answer["chunks"] == [
        {"key": "chunk 0", "span_count": 2},
        {"key": "chunk 1", "span_count": 1},
    ]
    assert "attributes" not in answer


def test_an_empty_page():
    """A page without a chunk, which the expiry of those that were left makes, has no rows."""
    assert rows_of() == []
    assert answer_of()["start_time_unix_nano"] == "0"


def test_a_parent_is_its_first_row_or_a_foreign_id():
    """A parent in the page is the first row with its id, wherever it stands; another has its id kept, once."""
    answer = answer_of(
        content_of(
            span(span_id=span_id(2), parent_span_id=span_id(1)),
            span(name="first"),
            span(name="second"),
            span(span_id=span_id(3), parent_span_id=span_id(9)),
            span(span_id=span_id(4), parent_span_id=span_id(9)),
            span(span_id=span_id(5), parent_span_id=bytes(8)),
        )
    )
    assert [row.parent_span_id for row in rows_in(answer)] == [
        *(span_id(1), b"", b"", span_id(9), span_id(9), b"")
    ]
    assert len(answer["columns"]["foreign_ids"]) == 12


def test_each_flag_says_its_own_thing():
    """Each flag says its own thing, and nothing else sets it."""
    times = {"start_time_unix_nano": 5, "end_time_unix_nano": 5}
    of_parent = {"parent_span_id": span_id(9), **times}

    def flags(**fields: Any) -> int:
        (row,) = rows_of(content_of(span(**{**of_parent, **fields})))
        assert row.duration_nano == 0
        return row.flags

    assert flags() == 0
    assert flags(kind=CLIENT) == flags(kind=INTERNAL) == flags(flags=0x100) == 0
    assert flags(parent_span_id=b"") == flags(kind=SERVER) == flags(flags=0x300) == ENTRY
    assert flags(status={"code": 2}) == ERROR
    assert flags(status={"code": 1}) == OK
    assert flags(end_time_unix_nano=4) == REVERSED
    for dropped in ("attributes", "events", "links"):
        assert flags(**{f"dropped_{dropped}_count": 1}) == DROPPED


def test_only_a_whole_copy_is_a_copy():
    """A span under a known id is a copy if scope and every byte are the same; the third copy is one too."""
    first, other = span(name="a"), span(name="b")
    assert [
        bool(row.flags & COPY)
        for row in rows_of(content_of(first, other, first), content_of(other, first))
    ] == [False, False, True, True, True]
    elsewhere = TracesData.FromString(content_of(first))
    elsewhere.resource_spans[0].scope_spans[0].scope.name = "another"
    assert [
        bool(row.flags & COPY) for row in rows_of(content_of(first), elsewhere.SerializeToString())
    ] == [False, False]


def test_scope_and_status_message():
    """A row's scope has name and version, and its status its message."""
    data = TracesData.FromString(
        content_of(span(name="x", kind=9, status={"code": 2, "message": "no"}))
    )
    scope = data.resource_spans[0].scope_spans[0].scope
    scope.name, scope.version = "library", "1.2"
    (row,) = rows_of(data.SerializeToString())
    assert (row.scope_name, row.scope_version, row.status_message) == ("library", "1.2", "no")
    assert row.kind == 0


def test_an_event_has_its_row_time_and_name():
    """An event has its row, time (clamped to the page's begin) and name; an exception shows by name or attribute."""
    typed = Span.Event(time_unix_nano=8, name="failure")
    set_attributes(typed.attributes, (("a", "exception.type"), ("exception.type", "E")))
    similar = Span.Event(time_unix_nano=9, name="note")
    set_attributes(similar.attributes, (("a", "exception.type"),))
    early = Span.Event(time_unix_nano=1, name="early")
    named = Span.Event(time_unix_nano=7, name="exception")
    content = content_of(
        span(start_time_unix_nano=5, events=[early, named]),
        span(span_id=span_id(2), start_time_unix_nano=6),
        span(span_id=span_id(3), start_time_unix_nano=6, events=[typed, similar]),
    )
    assert [row.events for row in rows_of(content)] == [
        [(5, "early", 0), (7, "exception", 1)],
        [],
        [(8, "failure", 1), (9, "note", 0)],
    ]


def test_a_link_without_ids_is_left_out():
    """A link that leads nowhere has no place in columns of ids."""
    good = Span.Link(trace_id=trace_id(7), span_id=span_id(8))
    links = [Span.Link(trace_id=b"short", span_id=span_id(1)), good, Span.Link()]
    (row,) = rows_of(content_of(span(links=links)))
    assert row.links == [(trace_id(7), span_id(8))]


def test_attributes_stand_in_order_and_equal_ones_once():
    """With attributes, each row has its own in order, each scope its resource's, and equal ones are written once."""
    content = payload(
        [
            Made(1, 1, start=NOON_NANO, attributes=(("n", 1), ("s", "x"))),
            Made(1, 2, start=NOON_NANO),
            Made(1, 3, attributes=(("s", "x"), ("n", 2)), resource=(("host", "a"),)),
        ]
    )
    answer = answer_of(content, with_attributes=True)
    rows = rows_in(answer)
    n1, s = {"key": "n", "value": {"intValue": "1"}}, {"key": "s", "value": {"stringValue": "x"}}
    assert [row.attributes for row in rows] == [
        [n1, s],
        [],
        [s, {"key": "n", "value": {"intValue": "2"}}],
    ]
    service = {"key": "service.name", "value": {"stringValue": "shop"}}
    host = {"key": "host", "value": {"stringValue": "a"}}
    assert [row.resource_attributes for row in rows] == [[service], [service], [service, host]]
    distinct = [orjson.dumps(each) for each in answer["attributes"]["distinct"]]
    assert len(set(distinct)) == len(distinct) == 5
