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


def _good(span_bytes: int, piece: bytes) -> Make:
    """Good spans of so many bytes each, with ids of their own."""
    time = struct.pack("<Q", 1_767_268_800 * 10**9)
    rest = field(5, b"n") + b"\x30\x02\x39" + time + b"\x41" + time

    def span(number: int) -> bytes:
        ids = field(1, number.to_bytes(16, "big")) + field(2, number.to_bytes(8, "big"))
        room = span_bytes - len(ids) - len(rest)
        return field(2, ids + rest + piece * (room // len(piece) if piece else 0))

    def make(size: int) -> bytes:
        count = (size - 100) // len(span(1))
        return field(1, field(2, b"".join(map(span, range(1, count + 1)))))

    return make


SECRET_PIECES = {
    "keys": lambda n: field(9, field(1, b"%x.pwd" % n) + field(2, field(1, b"x"))),
    "pairs": lambda n: field(9, field(1, b"a") + field(2, field(1, b"pwd=%d" % n))),
    "texts of pairs": lambda n: field(
        9, field(1, b"a") + field(2, field(1, b"%d" % n + b"&pwd=x" * 700))
    ),
    "userinfo": lambda n: field(9, field(1, b"a") + field(2, field(1, b"h://u:p%d@h" % n))),
    "tokens": lambda n: field(
        9, field(1, b"a") + field(2, field(1, b"eyJ%d.abcdefgh.abcdefgh" % n))
    ),
    "bearers": lambda n: field(9, field(1, b"a") + field(2, field(1, b"bearer %d" % n))),
    "cards": lambda n: field(9, field(1, b"a") + field(2, field(1, b"411111%010d" % n))),
    "names that are clean": lambda n: field(9, field(1, b"pass%x" % n)),
    "event names": lambda n: field(11, field(2, b"pwd=%d" % n)),
    "event attributes": lambda n: field(
        11, field(3, field(1, b"pwd") + field(2, field(1, b"%d" % n)))
    ),
    "link states": lambda n: field(13, _IDS + field(3, b"pwd=%d" % n)),
    "arrays": lambda n: field(
        9, field(1, b"%d" % n) + field(2, field(5, field(1, field(1, b"pwd=x")) * 1_500))
    ),
    "maps": lambda n: field(
        9,
        field(1, b"%d" % n)
        + field(2, field(6, field(1, field(1, b"pwd") + field(2, field(1, b"x"))) * 900)),
    ),
    "one among empty attributes": lambda n: field(5, b"pwd=%d" % n) + field(9, b"") * 500,
}
"""What has a secret of its own, by a number."""
_SECRET_SPAN_BYTES = 16_000
"""Not much more of the smallest would be above what a span may have of attributes."""


def _secrets(piece: Callable[[int], bytes], span_bytes: int) -> Make:
    """Good spans of so many bytes, each piece of which has another secret."""

    def make(size: int) -> bytes:
        spans: list[bytes] = []
        number, made_bytes = 0, 0
        while made_bytes < size - span_bytes - 300:
            ids = field(1, (number + 1).to_bytes(16, "big")) + field(
                2, (number + 1).to_bytes(8, "big")
            )
            pieces = [ids]
            pieces_bytes = 0
            while not pieces_bytes or pieces_bytes < span_bytes:
                number += 1
                pieces.append(piece(number))
                pieces_bytes += len(pieces[-1])
            spans.append(field(2, b"".join(pieces)))
            made_bytes += len(spans[-1])
        return field(1, field(2, b"".join(spans)))

    return make


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
    # So that each is apart from the others, and none is forgotten as seen before.
    made["good: spans alone"] = _good(161, b"")
    made["good: events of a time"] = _good(SPAN_BYTES, field(11, b"\x09" + b"\x01" * 8))
    made["good: named events"] = _good(SPAN_BYTES, field(11, field(2, b"ab")))
    made["good: links"] = _good(SPAN_BYTES, field(13, _IDS))
    made["good: attributes"] = _good(10_000, field(9, field(1, b"k") + field(2, field(1, b"v"))))
    for name, secret in SECRET_PIECES.items():
        made[f"secrets: {name}"] = _secrets(secret, _SECRET_SPAN_BYTES)
        made[f"secrets: {name}, small spans"] = _secrets(secret, 1)
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


def _binary_map(before: bytes, after: bytes) -> Make:
    """A map of as many booleans to booleans as there is room for."""

    def make(size: int) -> bytes:
        count = (size - len(before) - len(after) - 6) // 2
        return before + struct.pack(">BBi", _BOOL, _BOOL, count) + b"\x01\x01" * count + after

    return make


def _binary_struct(field_of: Callable[[int], bytes], before: bytes, after: bytes) -> Make:
    """A struct of as many fields as there is room for, whose numbers begin again after 200."""

    def make(size: int) -> bytes:
        some = b"".join(map(field_of, range(1, 201)))
        count = (size - len(before) - len(after) - 1) // len(some)
        return before + some * count + b"\x00" + after

    return make


def _structs(before: bytes, after: bytes) -> Make:
    """Lists of a thousand structs of thirty empty structs each, in each other's elements."""
    one = b"".join([_head(_STRUCT, number) + b"\x00" for number in range(1, 31)]) + b"\x00"
    lists = struct.pack(">Bi", _STRUCT, 1_000) + one * 1_000

    def make(size: int) -> bytes:
        count = (size - len(before) - len(after) - 5) // len(lists)
        return before + struct.pack(">Bi", _LIST, count) + lists * count + after

    return make


def _binary_bodies(places: dict[str, tuple[bytes, bytes]]) -> dict[str, Make]:
    """`places`: what is before and after a list, whose field's head is the last three bytes before."""
    made = {
        f"{place}: {name}": _binary_list(kind, piece, *around)
        for place, around in places.items()
        for name, (kind, piece) in _ELEMENTS.items()
    }
    before, after = places["unknown field"]
    of_struct = before[:-3] + _head(_STRUCT, 99), after
    return made | {
        "a map of booleans": _binary_map(before[:-3] + _head(_MAP, 99), after),
        "structs of structs": _structs(before, after),
        "one field again and again": _binary_struct(
            lambda _: _head(_BOOL, 1) + b"\x01", *of_struct
        ),
        "fields of booleans": _binary_struct(lambda n: _head(_BOOL, n) + b"\x01", *of_struct),
        "fields of empty structs": _binary_struct(
            lambda n: _head(_STRUCT, n) + b"\x00", *of_struct
        ),
        "fields of empty texts": _binary_struct(lambda n: _head(_STRING, n) + bytes(4), *of_struct),
    }


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


def _of_structs(before: bytes, one: bytes, after: bytes) -> Make:
    return _binary_list(_STRUCT, one, before, after)


def _tag(value: bytes) -> bytes:
    """A string tag as short as one can be."""
    key = _head(_STRING, 1) + struct.pack(">i", 1) + b"k"
    kind = _head(8, 2) + bytes(4)
    return key + kind + _head(_STRING, 3) + struct.pack(">i", len(value)) + value + b"\x00"


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
    spans = _PROCESS + _head(_LIST, 2)
    tags = _head(_LIST, 10) + struct.pack(">Bi", _STRUCT, 900) + _tag(b"v") * 900
    fields = struct.pack(">Bi", _STRUCT, 1) + _tag(b"log")
    log = _head(_I64, 1) + bytes(8) + _head(_LIST, 2) + fields + b"\x00"
    logs = _head(_LIST, 11) + struct.pack(">Bi", _STRUCT, 5_000) + log * 5_000
    return _binary_bodies(places) | {
        "good: short tags": _of_structs(spans, _jaeger_ids() + tags + b"\x00", b"\x00"),
        "good: logs": _of_structs(spans, _jaeger_ids() + logs + b"\x00", b"\x00"),
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
    annotation = _head(_I64, 1) + struct.pack(">q", 1_767_268_800_000_000)
    annotation += _head(_STRING, 2) + struct.pack(">i", 1) + b"a" + b"\x00"
    annotations = _head(_LIST, 6) + struct.pack(">Bi", _STRUCT, 5_000) + annotation * 5_000
    binary = _head(_STRING, 1) + struct.pack(">i", 1) + b"k" + _head(_STRING, 2) + bytes(4)
    binary += _head(8, 3) + struct.pack(">i", 6) + b"\x00"
    binaries = _head(_LIST, 8) + struct.pack(">Bi", _STRUCT, 900) + binary * 900
    return _binary_bodies(places) | {
        "good: short annotations": _of_structs(b"", ids + annotations + b"\x00", b""),
        "good: binary annotations": _of_structs(b"", ids + binaries + b"\x00", b""),
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
