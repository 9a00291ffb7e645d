"""Spans in every spelling that protobuf allows: as SDKs write them, in any order, with fields twice or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from chalicelib.model.wire import field
from tests.payloads import NOON_NANO, span_id, trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMES = (0, 5, 77, NOON_NANO, NOON_NANO + 1_000_000, 2**64 - 1)
_ATTRIBUTES = (KeyValue(), KeyValue(key="a"), KeyValue(key="b", value=AnyValue(int_value=77)))
_STATUSES = (
    Status(),
    Status(code=Status.STATUS_CODE_ERROR),
    Status(code=Status.STATUS_CODE_OK),
    Status(message="no"),
)
_SPELLINGS: dict[str, list[bytes]] = {
    "trace_id": [field(1, trace_id(1)), field(1, trace_id(2)), field(1, b"0" * 16)],
    "span_id": [field(2, span_id(i)) for i in (1, 2, 3, 0x3941_0000_0000_0001)],
    "trace_state": [field(3, each) for each in (b"a=b", b"", b"s" * 127, b"s" * 128)],
    "parent": [field(4, span_id(i)) for i in (1, 2, 0)] + [field(4, b"")],
    "name": [field(5, each.encode()) for each in ("GET", "ü0x", "", "n" * 127, "n" * 128)],
    "kind": [b"0" + bytes((kind,)) for kind in (0, 1, 2, 3, 5, 77)]
    + [b"0\x80\x00", b"0\x82\x00", b"0" + b"\xff" * 9 + b"\x01"],
    "start": [b"9" + each.to_bytes(8, "little") for each in _TIMES],
    "end": [b"A" + each.to_bytes(8, "little") for each in _TIMES],
    "attribute": [field(9, each.SerializeToString()) for each in _ATTRIBUTES],
    "dropped": [b"P\x03"],
    "event": [field(11, Span.Event(name=name).SerializeToString()) for name in ("", "retry")],
    "link": [field(13, Span.Link(trace_id=trace_id(9)).SerializeToString())],
    "status": [field(15, each.SerializeToString()) for each in _STATUSES],
    "flags": [Span(flags=flags).SerializeToString() for flags in (1, 77, 0x101, 0x301)],
    "unknown": [b"\xa0\x06\x05"],
    # Numbers that are written as bytes are no fields of a span.
    "packed": [
        b"2\x01\x02",
        b"2\x01\x80",
        b":\x08" + bytes(8),
        b"\x82\x01\x04\x01\x03\x00\x00",
        b"\x82\x01\x01\x01",
    ],
}


def _spelt(name: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from(_SPELLINGS[name])


_USUAL_RESTS = [
    *("attribute", "attribute", "status", "status", "flags", "flags", "flags", "packed"),
    *("event", "link", "dropped", "unknown"),
]


def _as_sdks_do() -> st.SearchStrategy[bytes]:
    """With nothing of the beginning again, but now and then."""
    beginning = st.tuples(
        *map(_spelt, ("trace_id", "span_id")),
        st.sampled_from([b"", b"", *_SPELLINGS["trace_state"][:3]]),
        st.sampled_from([b"", *_SPELLINGS["parent"][:3]]),
        st.sampled_from(_SPELLINGS["name"][:2]),
        st.sampled_from([b"", b"0\x01", b"0\x02", b"0\x03", b"0\x05", b"0\x4d"]),
        st.sampled_from(_SPELLINGS["start"][1:4]),
        st.sampled_from(_SPELLINGS["end"][3:]),
    )
    rest = st.lists(st.sampled_from(_USUAL_RESTS).flatmap(_spelt), max_size=4)
    again = st.sampled_from([b""] * 12 + [each[0] for each in _SPELLINGS.values()])
    return st.tuples(beginning.map(b"".join), rest.map(b"".join), again).map(b"".join)


def _anyhow() -> st.SearchStrategy[bytes]:
    ids: st.SearchStrategy[Sequence[bytes]] = st.tuples(_spelt("trace_id"), _spelt("span_id"))
    further = st.lists(st.sampled_from([*_SPELLINGS]).flatmap(_spelt), max_size=9)
    return st.tuples(ids, further).flatmap(
        lambda both: st.permutations([*both[0], *both[1]]).map(b"".join)
    )


spans_as_sdks_write_them = _as_sdks_do()
raw_spans = st.one_of(spans_as_sdks_write_them, spans_as_sdks_write_them, _anyhow())
"""Wire bytes of spans that are accepted."""


def payload_of(raws: Sequence[bytes], service: str = "shop") -> bytes:
    """TracesData bytes of spans of one scope."""
    resource = field(
        1, KeyValue(key="service.name", value=AnyValue(string_value=service)).SerializeToString()
    )
    return field(1, field(1, resource) + field(2, b"".join(field(2, raw) for raw in raws)))
