"""Thrift's binary and compact protocols, read without a schema: a struct is a dict of its fields by number.

    bytes ──binary_struct / call──▶ {1: 42, 5: b"name", 10: [{1: b"key"}, …]}

Strings and binaries are bytes; lists and sets are lists; maps are lists of pairs. No length is believed before it is
compared with what is left, and nesting has a bound: thriftpy2, the library with a compiled core and wheels for Lambda,
allocates whatever a length claims. Source: thrift, doc/specs/thrift-{binary,compact}-protocol.md.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Any

from chalicelib.errors import InvalidPayload
from chalicelib.receive.bounds import SENT_BYTES_MAX
from chalicelib.receive.pieces import piece_done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Fields = dict[int, Any]

DEPTH_MAX = 16
"""Structs and lists in each other; Jaeger's and Zipkin's have no more than four."""
_VALUE_BYTES_MIN = 15
"""The least average size of structs, lists, and what is in lists and maps: tags, logs, references and annotations have
19 and more. An object is made of each, which is many times larger than an empty one's single byte."""
_VALUES_MIN = 10_000
"""So many values are allowed in any case: in the compact protocol a tag may take nine bytes, and a datagram has
65,000."""
_FIELDS_MAX = 40
"""The most fields of a struct; Jaeger's and Zipkin's have no more than twelve."""
_i16, _i32, _i64 = (Struct(f">{code}").unpack_from for code in "hiq")
_head = Struct(">BHi").unpack_from
"""A field's type and number, and the first four bytes of its value, or what follows it."""
_LIST_HEAD_BYTES = 5
_CUT_SHORT = "the body is not Thrift: it is cut short"
_PADDING_BYTES = 8
"""Zeros behind the data, so that a head may be read at its very end: no field begins among them."""
_double_big, _double_little = (Struct(code).unpack_from for code in (">d", "<d"))

_STOP, _BOOL, _I8, _DOUBLE, _I16, _I32, _I64, _STRING, _STRUCT, _MAP, _SET, _LIST = (
    *(0, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15),
)
_BINARY_VERSION = 0x80010000
_COMPACT_MARK = 0x82
_CALL_TYPES = (1, 4)
"""A call, and a one-way call."""


class _Malformed(Exception):
    """What the bytes are not."""


_FAULTS = (_Malformed, IndexError, StructError)
"""What reading raises; the latter two at the end of what is cut short."""


def binary_struct(data: bytes, number: int, read: Callable[[Structs], Any]) -> Fields:
    """The struct that `data` begins with, in the binary protocol; a list of structs in field `number` is what `read`
    makes of it, who must read it to its end.

    Raises InvalidPayload.
    """

    def fields(padded: bytes, at: int, depth: int, left: list[int]) -> tuple[Fields, int]:
        found: Fields = {}
        while True:
            kind, field_number, _ = _head(padded, at)
            if kind == _STOP:
                if len(found) > _FIELDS_MAX:
                    raise _too_many_fields()
                return found, at + 1
            at += 3
            if field_number == number and kind in (_LIST, _SET) and padded[at] == _STRUCT:
                structs = Structs(padded, at, left)
                found[number] = read(structs)
                at = structs.at
            else:
                found[field_number], at = _binary_value(padded, at, kind, depth, left)

    found: Fields = _read(data, 0, fields)
    return found


class Structs:
    """The structs of a list in the binary protocol, to be read once.

    Only one is there at a time: they are many times larger than their bytes. Raises InvalidPayload, also on the way.
    """

    def __init__(self, data: bytes, at: int, left: list[int]) -> None:
        """Read the list at `at` of data with padding; `left` is how many values there may be, of which these are."""
        self._data, self._left = data, left
        self.at = at + _LIST_HEAD_BYTES
        """Where the next begins, or what follows the last."""
        try:
            kind = data[at]
            self._count: int = _i32(data, at + 1)[0]
        except _FAULTS as error:
            raise _refusal(error) from error
        if not 0 <= self._count <= len(data) - _PADDING_BYTES - at:
            raise InvalidPayload("the body is not Thrift: a count leads beyond its end")
        if self._count and kind != _STRUCT:
            raise InvalidPayload("the body is not Thrift: a list of no structs")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Fields]:
        data, left = self._data, self._left
        of_struct_max = _values_max(SENT_BYTES_MAX)
        for _ in range(self._count):
            of_struct = [min(left[0], of_struct_max)]
            left[0] -= of_struct[0]
            try:
                at = self.at
                found, self.at = _binary_fields(data, at, DEPTH_MAX, of_struct)
            except _FAULTS as error:
                raise _refusal(error) from error
            piece_done(self.at - at)
            left[0] += of_struct[0]
            yield found


class BinaryStructs:
    """The structs of the list that `data` begins with, in the binary protocol, read anew at every turn.

    Raises as Structs does.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data + bytes(_PADDING_BYTES)
        self._count = len(self._structs())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Fields]:
        structs = self._structs()
        yield from structs
        if structs.at > len(self._data) - _PADDING_BYTES:
            raise InvalidPayload(_CUT_SHORT)

    def _structs(self) -> Structs:
        return Structs(self._data, 0, [_values_max(len(self._data))])


def call(data: bytes) -> tuple[bytes, Fields]:
    """Name and arguments of the call that `data` is, in either protocol. Raises InvalidPayload."""
    name, at, read = _envelope(data)
    return name, _read(data, at, read)


def _values_max(data_bytes: int) -> int:
    return _VALUES_MIN + data_bytes // _VALUE_BYTES_MIN


def _read(data: bytes, at: int, read: Any) -> Any:
    left = [_values_max(len(data))]
    try:
        found, end = read(data + bytes(_PADDING_BYTES), at, DEPTH_MAX, left)
    except _FAULTS as error:
        raise _refusal(error) from error
    if end > len(data):
        raise InvalidPayload(_CUT_SHORT)
    return found


def _refusal(error: Exception) -> InvalidPayload:
    is_told = isinstance(error, _Malformed)
    return InvalidPayload(f"the body is not Thrift: {error}" if is_told else _CUT_SHORT)


def _envelope(data: bytes) -> tuple[bytes, int, Any]:
    try:
        if data[0] == _COMPACT_MARK:
            kind = data[1] >> 5
            _, at = _varint(data, 2)
            name, at = _compact_bytes(data, at)
            read = _compact_fields
        else:
            head = int.from_bytes(data[:4], "big")
            if head & 0xFFFF0000 != _BINARY_VERSION:
                raise InvalidPayload("the body is not a Thrift call of a known protocol")
            kind = head & 0xFF
            name, at = _binary_bytes(data, 4)
            at += 4
            read = _binary_fields
    except (IndexError, _Malformed) as error:
        raise InvalidPayload("the body is not a Thrift call: it is cut short") from error
    if kind not in _CALL_TYPES:
        raise InvalidPayload("the body is Thrift, but not a call")
    return name, at, read


def _binary_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    start = at + 4
    end = start + int.from_bytes(data[at:start], "big")
    if end > len(data):
        raise _Malformed("a length leads beyond its end")
    return data[start:end], end


def _binary_fields(data: bytes, at: int, depth: int, left: list[int]) -> tuple[Fields, int]:
    """The fields of the struct at `at`, and where it ends. Written for speed: most of a batch are small structs."""
    found: Fields = {}
    end = len(data) - _PADDING_BYTES
    while True:
        kind, number, word = _head(data, at)
        if kind == _STRING:
            start = at + 7
            at = start + word
            if not start <= at <= end:
                raise _Malformed("a length leads beyond its end")
            found[number] = data[start:at]
        elif kind == _STOP:
            if len(found) > _FIELDS_MAX:
                raise _too_many_fields()
            return found, at + 1
        elif kind == _I32:
            found[number] = word
            at += 7
        elif kind == _I64:
            found[number] = _i64(data, at + 3)[0]
            at += 11
        else:
            found[number], at = _binary_value(data, at + 3, kind, depth, left)


def _binary_value(data: bytes, at: int, kind: int, depth: int, left: list[int]) -> tuple[Any, int]:
    match kind:
        case 2:
            return data[at] != 0, at + 1
        case 3:
            return (data[at] ^ 0x80) - 0x80, at + 1
        case 4:
            return _double_big(data, at)[0], at + 8
        case 6:
            return _i16(data, at)[0], at + 2
        case 8:
            return _i32(data, at)[0], at + 4
        case 10:
            return _i64(data, at)[0], at + 8
        case 11:
            return _binary_bytes(data, at)
        case 12:
            _take(left, 1)
            return _binary_fields(data, at, _deeper(depth), left)
        case 13:
            _take(left, 1)
            return _binary_map(data, at, _deeper(depth), left)
        case 14 | 15:
            _take(left, 1)
            return _binary_list(data, at, _deeper(depth), left)
    raise _Malformed(f"there is no type {kind}")


def _binary_list(data: bytes, at: int, depth: int, left: list[int]) -> tuple[list[Any], int]:
    kind, count = data[at], _i32(data, at + 1)[0]
    at += 5
    _check_count(data, at, count, left)
    found = []
    if kind == _STRUCT:
        depth = _deeper(depth)
        for _ in range(count):
            value, at = _binary_fields(data, at, depth, left)
            found.append(value)
        return found, at
    for _ in range(count):
        value, at = _binary_value(data, at, kind, depth, left)
        found.append(value)
    return found, at


def _binary_map(data: bytes, at: int, depth: int, left: list[int]) -> tuple[list[Any], int]:
    key_kind, value_kind, count = data[at], data[at + 1], _i32(data, at + 2)[0]
    at += 6
    _check_count(data, at, count, left)
    found = []
    for _ in range(count):
        key, at = _binary_value(data, at, key_kind, depth, left)
        value, at = _binary_value(data, at, value_kind, depth, left)
        found.append((key, value))
    return found, at


def _check_count(data: bytes, at: int, count: int, left: list[int]) -> None:
    """Every element takes a byte at least, and `left` says how many values there may still be."""
    if not 0 <= count <= len(data) - at:
        raise _Malformed("a count leads beyond its end")
    _take(left, count)


def _take(left: list[int], count: int) -> None:
    left[0] -= count
    if left[0] < 0:
        raise _Malformed("it has more values than its size allows")


def _too_many_fields() -> _Malformed:
    return _Malformed(f"a struct has more than {_FIELDS_MAX} fields")


def _deeper(depth: int) -> int:
    if not depth:
        raise _Malformed(f"it is nested deeper than {DEPTH_MAX}")
    return depth - 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise _Malformed("an integer has more than 64 bits")


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _compact_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, start = _varint(data, at)
    end = start + length
    if end > len(data):
        raise _Malformed("a length leads beyond its end")
    return data[start:end], end


def _compact_fields(data: bytes, at: int, depth: int, left: list[int]) -> tuple[Fields, int]:
    found: Fields = {}
    number = 0
    while True:
        head = data[at]
        at += 1
        kind = head & 0x0F
        if kind == _STOP:
            if len(found) > _FIELDS_MAX:
                raise _too_many_fields()
            return found, at
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(data, at)
        if kind <= 2:
            found[number] = kind == 1
        else:
            found[number], at = _compact_value(data, at, kind, depth, left)


def _compact_value(data: bytes, at: int, kind: int, depth: int, left: list[int]) -> tuple[Any, int]:
    match kind:
        case 1 | 2:
            return data[at] == 1, at + 1
        case 3:
            return (data[at] ^ 0x80) - 0x80, at + 1
        case 4 | 5 | 6:
            return _zigzag(data, at)
        case 7:
            return _double_little(data, at)[0], at + 8
        case 8:
            return _compact_bytes(data, at)
        case 9 | 10:
            _take(left, 1)
            return _compact_list(data, at, _deeper(depth), left)
        case 11:
            _take(left, 1)
            return _compact_map(data, at, _deeper(depth), left)
        case 12:
            _take(left, 1)
            return _compact_fields(data, at, _deeper(depth), left)
    raise _Malformed(f"there is no type {kind}")


def _compact_list(data: bytes, at: int, depth: int, left: list[int]) -> tuple[list[Any], int]:
    count, kind = data[at] >> 4, data[at] & 0x0F
    at += 1
    if count == 15:
        count, at = _varint(data, at)
    _check_count(data, at, count, left)
    found = []
    for _ in range(count):
        value, at = _compact_value(data, at, kind, depth, left)
        found.append(value)
    return found, at


def _compact_map(data: bytes, at: int, depth: int, left: list[int]) -> tuple[list[Any], int]:
    count, at = _varint(data, at)
    if not count:
        return [], at
    kinds = data[at]
    at += 1
    _check_count(data, at, count, left)
    found = []
    for _ in range(count):
        key, at = _compact_value(data, at, kinds >> 4, depth, left)
        value, at = _compact_value(data, at, kinds & 0x0F, depth, left)
        found.append((key, value))
    return found, at
