"""Protobuf's wire format, as far as joining slices needs it: length-delimited fields.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

_LENGTH_DELIMITED = 2


def varint(value: int) -> bytes:
    """A non-negative integer, seven bits a byte, least significant first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def field(number: int, content: bytes) -> bytes:
    """A whole length-delimited field (bytes, string or message)."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(content)) + content


class Prefixes(dict[int, bytes]):
    """Content length → tag and length of a field of one number, remembered: spans' lengths repeat."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._tag = varint(number << 3 | _LENGTH_DELIMITED)

    def __missing__(self, length: int) -> bytes:
        found = self[length] = self._tag + varint(length)
        return found
