"""Any valid encoding of an OTLP request: other orders of fields, longer numbers, pieces, repetitions, defaults.

    bytes ──anyhow──▶ other bytes that say the same

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from bench.encodings import (
    DELIMITED,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    fields_of,
    in_each,
    joined,
    varint,
)
from chalicelib.model.wire import varint_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from google.protobuf.descriptor import Descriptor

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


def anyhow(body: bytes, random: Random) -> bytes:
    """A TracesData in another valid encoding of the same spans. What its schema does not know keeps its own order."""

    def write(fields: list[Field], of: Descriptor) -> bytes:
        added = [*_saying_nothing(of, fields, random), *_overruled(of, fields, random), *fields]
        pieces = [piece for field in added for piece in _pieces(field, of, random)]
        return b"".join([_padded(field, of, random) for field in _shuffled(pieces, of, random)])

    return in_each(body, TracesData.DESCRIPTOR, write)


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
    sizes = [each.sent_bytes for each in fields_of(field.value)]
    at = sum(sizes[: random.randint(0, len(sizes))])
    return [field._replace(value=field.value[:at]), field._replace(value=field.value[at:])]


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
        value = varint(varint_at(value, 0)[0], random.choice((1, 1, 2, 10)))
    return tag + value
