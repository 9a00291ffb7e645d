"""Requests that are parsed in parts are what they are when parsed whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.model.wire import field, varint
from chalicelib.receive.bounds import rewritten

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


def _whole(body: bytes) -> bytes:
    """Parsed at once, without what is empty, and serialised."""
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
    return data.SerializeToString(deterministic=True)


@given(_REQUESTS, st.integers(1, 100))
def test_parts_make_the_whole(body, part_bytes):
    """Whatever order fields stand in, and whatever is unknown, the bytes are those of parsing it whole."""
    assert rewritten(body, part_bytes) == _whole(body)
