"""Any valid encoding of an OTLP message: another order of fields, longer numbers, pieces, repetitions, defaults.

    bytes ──fields_of──▶ fields ──as_collector_writes, as_dotnet_writes, anyhow──▶ other bytes that say the same

Written anew from protobuf's own rules, so that it shares nothing with what it tests.
Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from google.protobuf.descriptor import Descriptor

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
_MESSAGE, _STRING, _BYTES = (
    FieldDescriptor.TYPE_MESSAGE,
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
)
_WIRE_TYPES = {
    FieldDescriptor.TYPE_FIXED64: FIXED64,
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
    **dict.fromkeys((_MESSAGE, _STRING, _BYTES), DELIMITED),
}
_OTHER_VALUES = {VARINT: b"\x01", FIXED64: b"othernum", DELIMITED: b"other", FIXED32: b"four"}
_NOTHING = {VARINT: b"\0", FIXED64: bytes(8), DELIMITED: b"", FIXED32: bytes(4)}


class Field(NamedTuple):
    number: int
    wire_type: int
    value: bytes
    """Without its length."""


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields_of(data: bytes) -> Iterator[Field]:
    """The fields of a message, in their order."""
    at = 0
    while at < len(data):
        tag, at = _varint_at(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            end = _varint_at(data, at)[1]
        elif wire_type == DELIMITED:
            length, at = _varint_at(data, at)
            end = at + length
        else:
            end = at + {FIXED64: 8, FIXED32: 4}[wire_type]
        yield Field(number, wire_type, data[at:end])
        at = end


def varint(value: int, size: int = 1) -> bytes:
    """Of at least `size` bytes."""
    encoded = bytearray()
    while value > 0x7F or len(encoded) + 1 < size:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def joined(fields: Sequence[Field], length_bytes: Callable[[Field], int] = lambda _: 1) -> bytes:
    """Fields as bytes, their lengths in at least so many bytes."""
    parts = []
    for field in fields:
        parts.append(varint(field.number << 3 | field.wire_type))
        if field.wire_type == DELIMITED:
            parts.append(varint(len(field.value), length_bytes(field)))
        parts.append(field.value)
    return b"".join(parts)


def _in_each(
    data: bytes, of: Descriptor, write: Callable[[list[Field], Descriptor], bytes]
) -> bytes:
    """A message written anew from the innermost outwards."""
    found = []
    for field in fields_of(data):
        known = of.fields_by_number.get(field.number)
        if known and known.message_type:
            field = field._replace(value=_in_each(field.value, known.message_type, write))
        found.append(field)
    return write(found, of)


def as_collector_writes(body: bytes) -> bytes:
    """Fields from the last to the first, repeated ones in their own order, as Collectors do from 0.133 on."""

    def write(fields: list[Field], _: Descriptor) -> bytes:
        return joined(sorted(fields, key=lambda field: -field.number))

    return _in_each(body, TracesData.DESCRIPTOR, write)


def as_dotnet_writes(body: bytes) -> bytes:
    """Lengths of messages in four bytes, and a span's flags before its name, as .NET's exporter does."""

    def write(fields: list[Field], of: Descriptor) -> bytes:
        if of.name == "Span":
            fields = sorted(fields, key=lambda field: 4.5 if field.number == 16 else field.number)
        messages = {each.number for each in of.fields if each.type == _MESSAGE}
        return joined(fields, lambda field: 4 if field.number in messages else 1)

    return _in_each(body, TracesData.DESCRIPTOR, write)


def anyhow(body: bytes, random: Random) -> bytes:
    """A TracesData in another valid encoding of the same spans. What its schema does not know keeps its own order."""

    def write(fields: list[Field], of: Descriptor) -> bytes:
        added = [*_saying_nothing(of, fields, random), *_overruled(of, fields, random), *fields]
        pieces = [piece for field in added for piece in _pieces(field, of, random)]
        return b"".join([_padded(field, of, random) for field in _shuffled(pieces, of, random)])

    return _in_each(body, TracesData.DESCRIPTOR, write)


def _wire_type(known: FieldDescriptor) -> int:
    return _WIRE_TYPES.get(known.type, VARINT)


def _saying_nothing(of: Descriptor, fields: Sequence[Field], random: Random) -> Iterator[Field]:
    """Defaults written out, and groups without spans."""
    there = {field.number for field in fields}
    for known in of.fields:
        wire_type = _wire_type(known)
        is_scalar = not known.is_repeated and not known.has_presence
        is_group = known.name in ("resource_spans", "scope_spans", "resource", "scope")
        if (is_scalar or is_group) and known.number not in there and random.random() < 0.5:
            yield Field(known.number, wire_type, _NOTHING[wire_type])


def _overruled(of: Descriptor, fields: Sequence[Field], random: Random) -> Iterator[Field]:
    """Singular fields with another value, before their own."""
    for field in fields:
        known = of.fields_by_number.get(field.number)
        if known and known.type != _MESSAGE and not known.is_repeated and random.random() < 0.3:
            yield field._replace(value=_OTHER_VALUES[field.wire_type])


def _pieces(field: Field, of: Descriptor, random: Random) -> list[Field]:
    """A message that stands once may come in two pieces."""
    known = of.fields_by_number.get(field.number)
    if known is None or known.type != _MESSAGE or known.is_repeated or random.random() < 0.5:
        return [field]
    ends = [0]
    for each in _raw_fields(field.value):
        ends.append(ends[-1] + len(each))
    at = random.choice(ends)
    return [field._replace(value=field.value[:at]), field._replace(value=field.value[at:])]


def _raw_fields(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint_at(data, at)
        if tag & 7 == VARINT:
            at = _varint_at(data, at)[1]
        elif tag & 7 == DELIMITED:
            length, at = _varint_at(data, at)
            at += length
        else:
            at += {FIXED64: 8, FIXED32: 4}[tag & 7]
        yield data[start:at]


def _shuffled(fields: Sequence[Field], of: Descriptor, random: Random) -> list[Field]:
    """In any order, but for fields of one number, members of one choice, and what is not known."""
    queues: dict[str, list[Field]] = {}
    for field in fields:
        known = of.fields_by_number.get(field.number)
        choice = known and known.containing_oneof
        name = choice.name if choice else known.name if known else ""
        queues.setdefault(name, []).append(field)
    places = [name for name, queue in queues.items() for _ in queue]
    random.shuffle(places)
    waiting = {name: iter(queue) for name, queue in queues.items()}
    return [next(waiting[name]) for name in places]


def _padded(field: Field, of: Descriptor, random: Random) -> bytes:
    """Tag, length and number in more bytes than they need."""
    if field.number not in of.fields_by_number:
        return joined([field])
    tag = varint(field.number << 3 | field.wire_type, random.choice((1, 1, 2, 5)))
    value = field.value
    if field.wire_type == DELIMITED:
        return tag + varint(len(value), random.choice((1, 1, 2, 4, 5))) + value
    if field.wire_type == VARINT:
        value = varint(_varint_at(value, 0)[0], random.choice((1, 1, 2, 10)))
    return tag + value
