"""Bodies of protobuf and Thrift that cost as much as they can, at whatever length is asked for.

name ──WIRE_BODIES[dialect][name](size)──▶ body of about `size` bytes
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from chalicelib.model.wire import varint

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[int], bytes]


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _repeated(piece: bytes, *numbers: int, before: bytes = b"") -> Make:
    """As many of a piece as there is room for, in messages of these numbers, each in the one before."""

    def make(size: int) -> bytes:
        content = before + piece * ((size - 64) // len(piece))
        for number in reversed(numbers):
            content = field(number, content)
        return content

    return make


def _spans(span: Callable[[int], bytes], span_bytes: int, *numbers: int) -> Make:
    """Spans of so many bytes each, as many as there is room for."""

    def make(size: int) -> bytes:
        one = span(span_bytes)
        return _repeated(field(numbers[-1], one), *numbers[:-1])(size)

    return make


def _filled(before: bytes, piece: bytes, *numbers: int) -> Callable[[int], bytes]:
    return lambda size: before + _repeated(piece, *numbers)(size)


_IDS = field(1, bytes(range(1, 17))) + field(2, bytes(range(1, 9)))
_EMPTY_VALUE = field(9, field(2, b""))
_UNKNOWN_GROUP = varint(100 << 3 | 3) + varint(100 << 3 | 4)
_PIECES = {
    "empty attributes": field(9, b""),
    "attributes of nothing": field(9, field(1, b"") + field(2, b"")),
    "attributes of one character": field(9, field(1, b"k")),
    "empty events": field(11, b""),
    "events of an empty attribute": field(11, field(3, b"")),
    "empty links": field(13, b""),
    "links of an empty attribute": field(13, field(4, b"")),
    "statuses": field(15, b""),
    "names": field(5, b""),
    "unknown fields": field(100, b""),
    "unknown numbers": varint(100 << 3) + b"\x01",
    "empty groups": _UNKNOWN_GROUP,
    "long varints": b"\x30" + b"\x80" * 9 + b"\x00",
}
_VALUES = {
    "array of empty values": (field(1, b""), (9, 2, 5)),
    "list of empty pairs": (field(1, b""), (9, 2, 6)),
    "values again and again": (field(2, b""), (9,)),
    "arrays again and again": (field(5, b""), (9, 2)),
    "event attributes": (field(3, b""), (11,)),
    "link attributes": (field(4, b""), (13,)),
}
SPAN_BYTES = 180_000
"""Half of what a span may have."""


def _deep(size: int) -> bytes:
    """Values in each other, as deep as protobuf's parsers go."""
    value = b""
    for _ in range(40):
        value = field(5, field(1, value))
    one = field(9, field(2, value))
    return _IDS + one * (size // len(one))


def _otlp() -> dict[str, Make]:
    made: dict[str, Make] = {
        "resources": _repeated(field(1, b"")),
        "resources of a scope": _repeated(field(1, field(2, b""))),
        "scopes": _repeated(field(2, b""), 1),
        "spans": _repeated(field(2, b""), 1, 2),
        "spans of a byte": _repeated(field(2, b"\x30\x01"), 1, 2),
        "resource attributes": _repeated(field(1, b""), 1, 1),
        "entity references": _repeated(field(3, b""), 1, 1),
        "scope attributes": _repeated(field(3, b""), 1, 2, 1),
        "resources again and again": _repeated(field(1, b""), 1),
        "unknown fields of the request": _repeated(field(9, b"")),
        "unknown groups of the request": _repeated(_UNKNOWN_GROUP),
        "attributes of nesting": _spans(_deep, SPAN_BYTES, 1, 2, 2),
    }
    for name, piece in _PIECES.items():
        made[f"one span, {name}"] = _repeated(piece, 1, 2, 2, before=_IDS)
        made[f"spans, {name}"] = _spans(_filled(_IDS, piece), SPAN_BYTES, 1, 2, 2)
        made[f"small spans, {name}"] = _spans(_filled(_IDS, piece), 1_000, 1, 2, 2)
    for name, (piece, numbers) in _VALUES.items():
        made[f"one span, {name}"] = _repeated(piece, 1, 2, 2, *numbers, before=b"")
        made[f"spans, {name}"] = _spans(_filled(_IDS, piece, *numbers), SPAN_BYTES, 1, 2, 2)
    return made


_ZIPKIN_IDS = field(1, bytes(range(1, 17))) + field(3, bytes(range(1, 9)))
_ZIPKIN_PIECES = {
    "empty tags": field(11, b""),
    "tags of a character": field(11, field(1, b"k") + field(2, b"v")),
    "empty annotations": field(10, b""),
    "annotations of a time": field(10, b"\x09" + b"\x01" * 8),
    "endpoints again and again": field(8, b""),
    "unknown fields": field(100, b""),
    "empty groups": _UNKNOWN_GROUP,
}


def _zipkin() -> dict[str, Make]:
    made: dict[str, Make] = {
        "empty spans": _repeated(field(1, b"")),
        "unknown fields of the list": _repeated(field(9, b"")),
    }
    for name, piece in _ZIPKIN_PIECES.items():
        made[f"one span, {name}"] = _repeated(piece, 1, before=_ZIPKIN_IDS)
        made[f"spans, {name}"] = _spans(_filled(_ZIPKIN_IDS, piece), SPAN_BYTES, 1)
    return made


def _binary_list(kind: int, piece: bytes, before: bytes, after: bytes) -> Make:
    """A list of as many equal elements as there is room for."""

    def make(size: int) -> bytes:
        count = (size - len(before) - len(after) - 5) // len(piece)
        return before + struct.pack(">Bi", kind, count) + piece * count + after

    return make


def _head(kind: int, number: int) -> bytes:
    return struct.pack(">Bh", kind, number)


_STOP, _LIST, _STRUCT, _MAP, _BOOL, _BYTE, _STRING, _I64 = 0, 15, 12, 13, 2, 3, 11, 10
_ELEMENTS = {
    "empty structs": (_STRUCT, b"\x00"),
    "bytes": (_BYTE, b"\x01"),
    "booleans": (_BOOL, b"\x01"),
    "empty lists": (_LIST, b"\x03" + bytes(4)),
    "empty maps": (_MAP, b"\x03\x03" + bytes(4)),
    "empty texts": (_STRING, bytes(4)),
    "structs of a boolean": (_STRUCT, _head(_BOOL, 1) + b"\x01\x00"),
}
_PROCESS = _head(_STRUCT, 1) + _head(_STRING, 1) + struct.pack(">i", 1) + b"a" + b"\x00"


def _jaeger_ids() -> bytes:
    numbers = ((1, 1), (2, 1), (3, 1), (4, 0), (8, 1), (9, 1))
    ids = b"".join(_head(_I64, number) + struct.pack(">q", value) for number, value in numbers)
    return ids + _head(_STRING, 5) + bytes(4)


def _jaeger() -> dict[str, Make]:
    in_span = _PROCESS + _head(_LIST, 2) + struct.pack(">Bi", _STRUCT, 1) + _jaeger_ids()
    places = {
        "spans": (_PROCESS + _head(_LIST, 2), b"\x00"),
        "unknown field": (_PROCESS + _head(_LIST, 99), b"\x00"),
        "tags": (in_span + _head(_LIST, 10), b"\x00\x00"),
        "logs": (in_span + _head(_LIST, 11), b"\x00\x00"),
        "references": (in_span + _head(_LIST, 6), b"\x00\x00"),
        "process tags": (
            _head(_STRUCT, 1) + _head(_STRING, 1) + bytes(4) + _head(_LIST, 2),
            b"\x00\x00",
        ),
    }
    return {
        f"{place}: {name}": _binary_list(kind, piece, *around)
        for place, around in places.items()
        for name, (kind, piece) in _ELEMENTS.items()
    }


def _zipkin_v1() -> dict[str, Make]:
    ids = _head(_I64, 1) + struct.pack(">q", 1) + _head(_I64, 4) + struct.pack(">q", 1)
    in_span = struct.pack(">Bi", _STRUCT, 1) + ids
    places = {
        "spans": (b"", b""),
        "annotations": (in_span + _head(_LIST, 6), b"\x00"),
        "binary annotations": (in_span + _head(_LIST, 8), b"\x00"),
        "unknown field": (in_span + _head(_LIST, 99), b"\x00"),
    }
    return {
        f"{place}: {name}": _binary_list(kind, piece, *around)
        for place, around in places.items()
        for name, (kind, piece) in _ELEMENTS.items()
    }


def _compact() -> dict[str, Make]:
    """An emitBatch call in the compact protocol."""
    call = b"\x82\x81\x00\x09emitBatch" + b"\x1c"

    def of(kind: int, piece: bytes, number: int) -> Make:
        def make(size: int) -> bytes:
            count = (size - 40) // len(piece)
            listed = bytes((0xF0 | kind,)) + varint(count) + piece * count
            process = b"\x1c\x18\x01a\x00"
            return call + process + bytes(((number - 1) << 4 | 9,)) + listed + b"\x00\x00"

        return make

    kinds = {
        "empty structs": (12, b"\x00"),
        "booleans": (1, b"\x01"),
        "empty lists": (9, b"\x03"),
        "empty maps": (11, b"\x00"),
        "empty texts": (8, b"\x00"),
        "structs of a boolean": (12, b"\x11\x00"),
    }
    return {
        f"{place}: {name}": of(kind, piece, number)
        for place, number in (("spans", 2), ("unknown field", 9))
        for name, (kind, piece) in kinds.items()
    }


WIRE_BODIES: dict[str, dict[str, Make]] = {
    "otlp-protobuf": _otlp(),
    "zipkin-v2-proto3": _zipkin(),
    "zipkin-v1-thrift": _zipkin_v1(),
    "jaeger-binary": _jaeger(),
    "jaeger-compact": _compact(),
}
