"""Protobuf's wire format, as far as joining slices needs it: length-delimited fields.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

_LENGTH_DELIMITED = 2
_REMEMBERED_BYTES_MAX = 65_536


def varint(value: int) -> bytes:
    """A non-negative integer, seven bits a byte, least significant first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def varint_at(data: bytes, at: int) -> tuple[int, int]:
    """(Value, place after it) of a varint of at most ten bytes. Raises IndexError or ValueError if there is none."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a varint of more than ten bytes")


NO_MESSAGE = b"\xff"
"""A sentinel whose first tag is cut short: no attribute, event, link or status of a span that `receive` has accepted is
it."""


class Prefixes(dict[int, bytes]):
    """Content length → tag and length of a field of one number, remembered: lengths repeat."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._tag = varint(number << 3 | _LENGTH_DELIMITED)

    def __missing__(self, length: int) -> bytes:
        found = self._tag + varint(length)
        if length < _REMEMBERED_BYTES_MAX:
            self[length] = found
        return found


_prefixes = [Prefixes(number) for number in range(16)]


def field(number: int, content: bytes) -> bytes:
    """A whole length-delimited field (bytes, string or message) with a number below 16."""
    return _prefixes[number][len(content)] + content
