"""Requests that are parsed in parts are what they are when parsed whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.model.canonical import canonical_of, without_empty_groups
from chalicelib.model.wire import field, varint
from chalicelib.receive.bounds import has_more_fields

_UNKNOWN = st.sampled_from([b"", varint(100 << 3) + b"\x01", varint(101 << 3 | 2) + b"\x01x"])
_ATTRIBUTE = field(2, field(1, b"v")) + field(1, b"k")
_SPAN = st.sampled_from(
    [b"", field(5, b"b") + field(1, b"a" * 16), field(9, _ATTRIBUTE), field(5, b"x" * 40)]
)
_HEAD = st.sampled_from(
    [b"", field(1, b""), field(1, field(1, _ATTRIBUTE)), field(1, varint(800) + b"\x01")]
)
_SCHEMA = st.sampled_from([b"", field(3, b"https://a"), field(3, b"a") + field(3, b"b")])


def _joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """The parts of a message in any order."""
    return st.tuples(*parts).flatmap(st.permutations).map(b"".join)


def _fields(number: int, content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(content.map(lambda each: field(number, each)), max_size=4).map(b"".join)


_SCOPE_HEAD = st.sampled_from([b"", field(1, b""), field(1, field(2, b"1") + field(1, b"lib"))])
_SCOPES = _joined(_SCOPE_HEAD, _fields(2, _SPAN), _SCHEMA, _UNKNOWN)
_RESOURCES = _joined(_HEAD, _fields(2, _SCOPES), _SCHEMA, _UNKNOWN)
_REQUESTS = _joined(_fields(1, _RESOURCES), _UNKNOWN)


@given(_REQUESTS, st.integers(1, 100))
def test_parts_make_the_whole(body, part_bytes):
    """Whatever order fields stand in, and whatever is unknown, the bytes are those of parsing it whole."""
    whole = TracesData.FromString(body).SerializeToString(deterministic=True)
    assert canonical_of(body, part_bytes) == whole


@given(_REQUESTS)
def test_what_says_nothing_is_left_out(body):
    """Without its empty groups, resources and scopes a request is what it is if a parser takes them out."""
    data = TracesData.FromString(body)
    for place in range(len(data.resource_spans) - 1, -1, -1):
        group = data.resource_spans[place]
        for at in range(len(group.scope_spans) - 1, -1, -1):
            if not group.scope_spans[at].spans:
                del group.scope_spans[at]
            elif not group.scope_spans[at].scope.ByteSize():
                group.scope_spans[at].ClearField("scope")
        if not group.scope_spans:
            del data.resource_spans[place]
        elif not group.resource.ByteSize():
            group.ClearField("resource")
    expected = data.SerializeToString(deterministic=True)
    assert without_empty_groups(canonical_of(body)) == expected


_FIELD = st.sampled_from(
    [
        field(1, b""),
        field(2, b"x" * 300),
        varint(100 << 3 | 2) + b"\x01x",
        varint(3 << 3) + b"\x80\x01",
        varint(3 << 3 | 1) + bytes(8),
        varint(3 << 3 | 5) + bytes(4),
    ]
)


@given(st.lists(_FIELD, min_size=1, max_size=20), st.integers(0, 20))
def test_fields_are_counted_as_a_parser_finds_them(fields, fields_max):
    """Whether a message has more fields than may be is known before it is parsed, whatever their types are."""
    assert has_more_fields(b"".join(fields), fields_max, 0) == (len(fields) > fields_max)


@given(st.binary(max_size=40))
def test_what_is_no_message_is_left_to_the_parser(data):
    """Bytes that are no message raise nothing where fields are counted."""
    has_more_fields(data, 3, 0)
