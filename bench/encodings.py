"""Rewrites protobuf requests in the forms of senders other than OpenTelemetry's SDKs.

    bytes ──fields_of──▶ fields ──as_collector_writes, as_dotnet_writes──▶ other bytes of the same message

Source: protobuf.dev/programming-guides/encoding; opentelemetry-collector, pdata/internal (marshals from the end);
opentelemetry-dotnet, OpenTelemetry.Exporter.OpenTelemetryProtocol, ProtobufSerializer.cs (reserves four bytes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.model.wire import varint_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from google.protobuf.descriptor import Descriptor

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    number: int
    wire_type: int
    value: bytes
    """The bytes of the value, without their length."""
    sent_bytes: int = 0
    """Bytes of the whole field in the message that it was read from."""


def fields_of(data: bytes) -> Iterator[Field]:
    """Yield the fields of a message in their order."""
    at = 0
    while at < len(data):
        start = at
        tag, at = varint_at(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            end = varint_at(data, at)[1]
        elif wire_type == DELIMITED:
            length, at = varint_at(data, at)
            end = at + length
        else:
            end = at + {FIXED64: 8, FIXED32: 4}[wire_type]
        yield Field(number, wire_type, data[at:end], end - start)
        at = end


def varint(value: int, size: int = 1) -> bytes:
    """Return a varint of at least `size` bytes."""
    encoded = bytearray()
    while value > 0x7F or len(encoded) + 1 < size:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def joined(fields: Sequence[Field], length_bytes: Callable[[Field], int] = lambda _: 1) -> bytes:
    """Return fields as bytes; `length_bytes` returns the least number of bytes of a field's length."""
    parts = []
    for field in fields:
        parts.append(varint(field.number << 3 | field.wire_type))
        if field.wire_type == DELIMITED:
            parts.append(varint(len(field.value), length_bytes(field)))
        parts.append(field.value)
    return b"".join(parts)


def in_each(
    data: bytes, of: Descriptor, write: Callable[[list[Field], Descriptor], bytes]
) -> bytes:
    """Return a message that `write` has rewritten, the innermost messages first."""
    found = []
    for field in fields_of(data):
        known = of.fields_by_number.get(field.number)
        if known and known.message_type:
            field = field._replace(value=in_each(field.value, known.message_type, write))
        found.append(field)
    return write(found, of)


def as_collector_writes(body: bytes) -> bytes:
    """Rewrite a body as Collectors do from 0.133 on: fields from the last to the first, repeated ones in order."""

    def write(fields: list[Field], _: Descriptor) -> bytes:
        return joined(sorted(fields, key=lambda field: -field.number))

    return in_each(body, TracesData.DESCRIPTOR, write)


def as_dotnet_writes(body: bytes) -> bytes:
    """Rewrite a body as .NET's exporter does: lengths of messages in four bytes, a span's flags before its name."""

    def write(fields: list[Field], of: Descriptor) -> bytes:
        if of.name == "Span":
            fields = sorted(fields, key=lambda field: 4.5 if field.number == 16 else field.number)
        messages = {each.number for each in of.fields if each.message_type}
        return joined(fields, lambda field: 4 if field.number in messages else 1)

    return in_each(body, TracesData.DESCRIPTOR, write)
