"""What is not parsed: a parser's objects are many times larger than what they are made of.

An empty link has two bytes on the wire and 90 in a parser's memory.
"""

from __future__ import annotations

from chalicelib import config
from chalicelib.model.canonical import PART_BYTES
from chalicelib.model.wire import varint_at

SENT_BYTES_MAX = 4 * config.SPAN_BYTES_MAX
"""A span, resource or scope that is longer than this as sent is not parsed: no sender's way of writing makes four
bytes of one."""
_FIXED_BYTES = {1: 8, 5: 4}
"""Wire type → the bytes of its values."""
_VARINT, _LENGTH_DELIMITED = 0, 2


def has_more_fields(message: bytes, fields_max: int, part_bytes: int = PART_BYTES) -> bool:
    """Whether a protobuf message has more fields at its top than that: what is repeated counts each time.

    A parser keeps sixteen bytes and more of each, and an empty one has two. A message of no more than `part_bytes` is
    not looked into, and nothing is said of bytes that are no message: that is for the parser.
    """
    end = len(message)
    if end <= part_bytes:
        return False
    at = 0
    try:
        for _ in range(fields_max):
            # Nearly all are length-delimited, of a number below 16.
            tag, size = message[at], message[at + 1]
            if tag < 0x80 and tag & 7 == _LENGTH_DELIMITED:
                at += 2
                if size >= 0x80:
                    size, at = varint_at(message, at - 1)
                at += size
            else:
                at = _end_of_field(message, at)
            if at >= end:
                return False
    except (IndexError, ValueError):
        return False
    return True


def _end_of_field(message: bytes, at: int) -> int:
    """What is in a group counts as if it were beside it."""
    tag, at = varint_at(message, at)
    wire_type = tag & 7
    if wire_type == _VARINT:
        return varint_at(message, at)[1]
    if wire_type == _LENGTH_DELIMITED:
        size, at = varint_at(message, at)
        return at + size
    return at + _FIXED_BYTES.get(wire_type, 0)
