"""One message of OTLP: what protobuf's JSON mapping has of it → its wire bytes, without a message in between.

    dict of JSON ──writer_of(descriptor)──▶ the bytes that OpenTelemetry's SDKs write

What the fields are is read from protobuf's descriptors. Protobuf's own parser of JSON takes ten times as long, and
answers in the words of Python. Source: protobuf.dev/programming-guides/json; opentelemetry-proto,
docs/specification.md, JSON Protobuf Encoding (ids are hexadecimal).
"""

from __future__ import annotations

import base64
import binascii
from functools import cache
from math import isfinite
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from chalicelib.model.wire import Prefixes, field, varint

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor, EnumDescriptor

    Write = Callable[[Any, int], bytes]
    """A value of JSON, and how many messages it may be deep → a whole field; b"" for none."""

_DEPTH_MAX = 100
"""Messages in each other: as deep as protobuf's own parsers go."""
_REMEMBERED_MAX = 2_000
_REMEMBERED_CHARACTERS_MAX = 200
_SHAPE_CHARACTERS_MAX = 500
"""The most characters of all names of an object; those of a span have 180."""
_UINT32, _UINT64, _INT32, _INT64 = 2**32, 2**64, 2**31, 2**63
_DIGITS_MAX = 40
"""The most digits of a number as text: the longest integer has 20; a sign, a fraction of zeros or an exponent may
follow."""
_fixed32, _fixed64, _double = Struct("<I").pack, Struct("<Q").pack, Struct("<d").pack
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_LENGTH_DELIMITED, _FIXED32, _FIXED64 = 2, 5, 1
_IDS = ("trace_id", "span_id", "parent_span_id")


class Fault(ValueError):
    """Why a message cannot be taken, in words for its sender: a member, and what it must be."""

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(f"{path} {what}" if path else what)
        self._what, self._path = what, path

    def within(self, name: str) -> Fault:
        """The same, of the object that has the member."""
        return Fault(self._what, f"{name}.{self._path}" if self._path else name)


@cache
def writer_of(descriptor: Descriptor) -> Callable[[Any], bytes]:
    """What makes a document of JSON the wire bytes of that message. It raises Fault."""
    message = _message_of(descriptor)
    return lambda document: message.content(document, _DEPTH_MAX)


_messages: dict[str, _Message] = {}
"""The messages by their type's name; a type may have fields of its own type."""


def _message_of(descriptor: Descriptor) -> _Message:
    found = _messages.get(descriptor.full_name)
    if found is None:
        found = _messages[descriptor.full_name] = _Message()
        for each in descriptor.fields:
            nested = each.message_type
            write = _scalar(each) if nested is None else _nested(each.number, nested)
            found.add(each, _repeated(write) if each.is_repeated else write)
    return found


def _nested(number: int, descriptor: Descriptor) -> Write:
    message = _message_of(descriptor)
    content = _KeyValues(message).content if descriptor.name == "KeyValue" else message.content
    return lambda value, depth: field(number, content(value, depth))


class _Field(NamedTuple):
    number: int
    write: Write
    is_one_of: bool
    """Whether it is one of several of which a message has one."""


class _Message:
    """How messages of one type are written."""

    def __init__(self) -> None:
        self.fields: dict[str, _Field] = {}
        """The fields by either of their names."""
        self._plans: dict[tuple[str, ...], list[tuple[str, _Field]]] = {}
        """Members as sent → those that are known, in the order of their numbers: most of a request repeat."""

    def add(self, of: FieldDescriptor, write: Write) -> None:
        for name in (of.name, of.json_name):
            self.fields[name] = _Field(of.number, write, of.containing_oneof is not None)

    def content(self, document: Any, depth: int) -> bytes:
        """The wire bytes. Raises Fault."""
        if type(document) is not dict:
            # PHP writes an empty object as an empty array.
            if document in ([], ""):
                return b""
            raise Fault("must be an object")
        if not depth:
            raise Fault("is nested too deeply")
        shape = tuple(document)
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plan(shape)
        parts = []
        values = 0
        name = ""
        try:
            for name, (_, write, is_one_of) in plan:
                value = document[name]
                if value is not None:
                    parts.append(write(value, depth - 1))
                    values += is_one_of
        except Fault as fault:
            raise fault.within(name) from None
        if values > 1:
            raise Fault("has more than one value")
        return b"".join(parts)

    def _plan(self, shape: tuple[str, ...]) -> list[tuple[str, _Field]]:
        fields = self.fields
        plan = [(name, fields[name]) for name in shape if name in fields]
        plan.sort(key=lambda planned: planned[1].number)
        if sum(map(len, shape)) <= _SHAPE_CHARACTERS_MAX:
            if len(self._plans) >= _REMEMBERED_MAX:
                self._plans.clear()
            self._plans[shape] = plan
        return plan


class _KeyValues:
    """How attributes are written: most of a request's values are in them, and one text or number each."""

    def __init__(self, key_values: _Message) -> None:
        self._write = key_values.content
        self._heads: dict[str, bytes] = {}

    def content(self, document: Any, depth: int) -> bytes:
        """The wire bytes of the KeyValue. Raises Fault."""
        if type(document) is not dict or len(document) != 2:
            return self._write(document, depth)
        key, value = document.get("key"), document.get("value")
        if type(key) is not str or type(value) is not dict or len(value) != 1:
            return self._write(document, depth)
        ((kind, sent),) = value.items()
        write = _SIMPLE_VALUES.get(kind)
        if write is None or sent is None:
            return self._write(document, depth)
        try:
            content = write(sent, depth)
        except Fault as fault:
            raise fault.within(f"value.{kind}") from None
        head = self._heads.get(key)
        return (self._head(key) if head is None else head) + _values[len(content)] + content

    def _head(self, key: str) -> bytes:
        found = field(1, key.encode()) if key else b""
        if len(key) <= _REMEMBERED_CHARACTERS_MAX:
            if len(self._heads) >= _REMEMBERED_MAX:
                self._heads.clear()
            self._heads[key] = found
        return found


def _repeated(write: Write) -> Write:
    def write_all(values: Any, depth: int) -> bytes:
        if not isinstance(values, list):
            raise Fault("must be an array")
        if None in values:
            raise Fault("must have no null in it")
        return b"".join([write(value, depth) for value in values])

    return write_all


def _scalar(of: FieldDescriptor) -> Write:
    """A default is written only where a field's presence says something."""
    convert, wire_type = _conversion(of)
    is_always_there = of.has_presence or of.is_repeated
    if wire_type == _LENGTH_DELIMITED:
        prefixes = Prefixes(of.number)

        def write_sized(value: Any, _: int) -> bytes:
            content = convert(value)
            return prefixes[len(content)] + content if content or is_always_there else b""

        return write_sized
    tag = varint(of.number << 3 | wire_type)
    default = b"" if is_always_there else _DEFAULTS[wire_type]

    def write(value: Any, _: int) -> bytes:
        content = convert(value)
        return tag + content if content != default else b""

    return write


_DEFAULTS = {0: b"\x00", _FIXED32: bytes(4), _FIXED64: bytes(8)}


def _conversion(of: FieldDescriptor) -> tuple[Callable[[Any], bytes], int]:
    """How a value becomes what follows the tag, and the wire type."""
    if of.name in _IDS:
        # What is wrong with a link's id costs the link; `payload_from_protobuf` sees to that.
        return (_link_id if ".Link." in of.full_name else _id), _LENGTH_DELIMITED
    kinds: dict[int, tuple[Callable[[Any], bytes], int]] = {
        FieldDescriptor.TYPE_STRING: (_string, _LENGTH_DELIMITED),
        FieldDescriptor.TYPE_BYTES: (_base64, _LENGTH_DELIMITED),
        FieldDescriptor.TYPE_BOOL: (_bool, 0),
        FieldDescriptor.TYPE_DOUBLE: (lambda value: _double(_float(value)), _FIXED64),
        FieldDescriptor.TYPE_INT32: (_signed(_INT32), 0),
        FieldDescriptor.TYPE_INT64: (_signed(_INT64), 0),
        FieldDescriptor.TYPE_UINT32: (lambda value: varint(_natural(value, _UINT32)), 0),
        FieldDescriptor.TYPE_FIXED32: (lambda value: _fixed32(_natural(value, _UINT32)), _FIXED32),
        FieldDescriptor.TYPE_FIXED64: (lambda value: _fixed64(_natural(value, _UINT64)), _FIXED64),
    }
    if of.enum_type is not None:
        return _enum(of.enum_type), 0
    return kinds[of.type]


def _string(value: Any) -> bytes:
    if type(value) is not str:
        raise Fault("must be a string")
    encoded: bytes = value.encode()
    return encoded


def _id(value: Any) -> bytes:
    try:
        # Empty in whatever way is no id, of which `payload_from_protobuf` tells.
        return bytes.fromhex(value or "")
    except (ValueError, TypeError):
        raise Fault("must be hexadecimal digits") from None


def _link_id(value: Any) -> bytes:
    try:
        return _id(value)
    except Fault:
        return b""


def _base64(value: Any) -> bytes:
    if type(value) is not str:
        raise Fault("must be a string in base64")
    try:
        # As protobuf has it: both alphabets, padded or not.
        return base64.urlsafe_b64decode(value + "=" * (4 - len(value) % 4))
    except (binascii.Error, ValueError):
        raise Fault("must be a string in base64") from None


def _bool(value: Any) -> bytes:
    if value is True:
        return b"\x01"
    if value is False:
        return b"\x00"
    raise Fault("must be true or false")


def _whole(value: Any) -> int:
    """An integer, its text, or a number without a fraction."""
    if type(value) is int:
        return value
    try:
        if isinstance(value, float):
            number = value
        elif isinstance(value, str) and len(value) <= _DIGITS_MAX and " " not in value:
            try:
                return int(value)
            except ValueError:
                number = float(value)
        else:
            raise Fault("must be a whole number")
        if number.is_integer():
            return int(number)
    except ValueError:
        pass
    raise Fault("must be a whole number")


def _natural(value: Any, below: int) -> int:
    is_digits = type(value) is str and len(value) <= _DIGITS_MAX and value.isdecimal()
    number = int(value) if is_digits else _whole(value)
    if not 0 <= number < below:
        raise Fault(f"must be a whole number from 0 to {below - 1}")
    return number


def _signed(below: int) -> Callable[[Any], bytes]:
    def convert(value: Any) -> bytes:
        number = _whole(value)
        if not -below <= number < below:
            raise Fault(f"must be a whole number from {-below} to {below - 1}")
        return varint(number & _UINT64 - 1)

    return convert


def _float(value: Any) -> float:
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    try:
        if isinstance(value, int | float | str) and value != "nan":
            number = float(value)
            if isinstance(value, str) or isfinite(number):
                return number
    except (ValueError, OverflowError):
        pass
    raise Fault("must be a number")


def _enum(of: EnumDescriptor) -> Callable[[Any], bytes]:
    known = {name: varint(value.number) for name, value in of.values_by_name.items()}
    known |= {str(value.number): varint(value.number) for value in of.values}
    write = _signed(_INT32)

    def convert(value: Any) -> bytes:
        if found := known.get(str(value)) if type(value) in (int, str) else None:
            return found
        try:
            return write(value)
        except Fault:
            raise Fault("must be a number or a name that OTLP has") from None

    return convert


_values = Prefixes(2)
_SIMPLE_VALUES = {
    name: each.write
    for name, each in _message_of(AnyValue.DESCRIPTOR).fields.items()
    if AnyValue.DESCRIPTOR.fields_by_number[each.number].message_type is None
}
"""The members of AnyValue that are no message, and how they are written."""
