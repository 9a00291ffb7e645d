"""Damages bytes as networks, bugs and attackers do: flips, cuts, splices, lengths that lie. One seed, one damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

BYTES_MAX = 200_000
"""What grows further by splices says nothing new."""
_LENGTHS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**64 - 1,
)
_WORDS = (
    *(b"null", b"true", b"[]", b"{}", b'""', b"-1", b"1e999", b"NaN", b"99999999999999999999"),
    *(b"\x00", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"[" * 200, b'{"a":' * 200),
    *(b"\x0a\x00" * 50, b"\x0c\x00\x01" * 40, b"\x80" * 12, b"\xff" * 12),
)


def mutated(random: Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    """`data` after one to four kinds of damage; parts of others in `corpus` may be spliced in."""
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(_DAMAGES)(random, damaged, corpus)
    return bytes(damaged[:BYTES_MAX])


def _flip(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    for _nth in range(random.choice((1, 1, 2, 8))):
        if data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _overwrite(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(
            (0, 1, 0x7F, 0x80, 0xFF, random.randrange(256))
        )


def _cut(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _drop(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    begin, end = _range(random, data)
    del data[begin:end]


def _repeat(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    begin, end = _range(random, data)
    data[end:end] = data[begin:end] * random.choice((1, 2, 50))
    del data[BYTES_MAX:]


def _lie(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    """A length, in either order of bytes or as a varint, over what may have been one."""
    length, width = random.choice(_LENGTHS), random.choice((1, 2, 4, 8))
    begin = random.randrange(len(data) + 1)
    truncated = length & ((1 << 8 * width) - 1)
    data[begin : begin + width] = random.choice(
        (truncated.to_bytes(width, "big"), truncated.to_bytes(width, "little"), _varint(length))
    )


def _splice(random: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    other = bytearray(random.choice(corpus)) if corpus else bytearray()
    begin, end = _range(random, other)
    at, until = _range(random, data)
    data[at : random.choice((at, until))] = other[begin:end]


def _insert(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.choice(_WORDS)


def _replace_token(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    """What stands between two marks of JSON, by something else."""
    marks = [place for place, byte in enumerate(data) if byte in b'",:[]{}']
    if len(marks) > 1:
        place = random.randrange(len(marks) - 1)
        data[marks[place] + 1 : marks[place + 1]] = random.choice(_WORDS)


def _range(random: Random, data: bytearray) -> tuple[int, int]:
    begin = random.randrange(len(data) + 1)
    return begin, min(len(data), begin + random.choice((1, 2, 4, 8, 30, 300)))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


_DAMAGES = (
    _flip,
    _flip,
    _overwrite,
    _cut,
    _drop,
    _repeat,
    _lie,
    _lie,
    _splice,
    _insert,
    _replace_token,
)
