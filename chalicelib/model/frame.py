"""How every stored byte string begins: a format version, then how the rest is compressed.

    byte 0   format version (1, or 2 where the content's has changed)
    byte 1   codec: 0 none, 1 zstd, 2 zstd with the dictionary whose id the frame's own header names
    byte 2…  content

Old versions stay readable; one is written. docs/item-layout.md lists what the contents are.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

from chalicelib.errors import StoreError
from chalicelib.model import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Proto = TypeVar("Proto", bound=Message)

FORMAT_VERSION = 1
CODEC_NONE, CODEC_ZSTD, CODEC_DICTIONARY = range(3)
_HEADER_BYTES = 2
CONTENT_BYTES_MAX = 64_000_000
"""No writer comes near it; bounds what a damaged item can allocate."""
_COMPRESS_BYTES_MIN = 100
"""Below this zstd's own header eats what it saves."""


def seal(content: bytes, version: int = FORMAT_VERSION) -> bytes:
    """`content` as stored, compressed where that helps."""
    if len(content) >= _COMPRESS_BYTES_MIN:
        compressed = zstd.compress(content)
        if len(compressed) < len(content):
            return bytes((version, CODEC_ZSTD)) + compressed
    return bytes((version, CODEC_NONE)) + content


def unseal(
    stored: bytes,
    dictionaries: Mapping[int, zstd.ZstdDict] | None = None,
    newest_version: int = FORMAT_VERSION,
) -> bytes:
    """The content of stored bytes, of a version up to the newest.

    Raises StoreError if they are damaged, or of a version or dictionary that this release does not know.
    """
    if len(stored) < _HEADER_BYTES:
        raise StoreError(f"stored bytes are cut short: {len(stored)} bytes")
    version, codec, body = stored[0], stored[1], stored[2:]
    if not FORMAT_VERSION <= version <= newest_version:
        raise StoreError(f"stored format version {version} is not known to this release")
    if codec == CODEC_NONE:
        return body
    if codec not in (CODEC_ZSTD, CODEC_DICTIONARY):
        raise StoreError(f"codec {codec} is not known to this release")
    if codec == CODEC_DICTIONARY:
        return content_of(body, dictionaries if dictionaries is not None else {})
    try:
        return zstd.decompress(body, CONTENT_BYTES_MAX)
    except zstd.ZstdError as error:
        raise StoreError(f"stored bytes cannot be read: {error!r}") from error


def content_of(frame: bytes, dictionaries: Mapping[int, zstd.ZstdDict]) -> bytes:
    """The content of a zstd frame that names its dictionary. Raises StoreError."""
    try:
        return zstd.decompress(frame, CONTENT_BYTES_MAX, dictionaries[dictionary_id(frame)])
    except (zstd.ZstdError, KeyError, IndexError) as error:
        raise StoreError(f"stored bytes cannot be read: {error!r}") from error


def message_in(message: type[Proto], stored: bytes, newest_version: int = FORMAT_VERSION) -> Proto:
    """The protobuf message of stored bytes; b"" is an empty one. Raises StoreError as `unseal` does."""
    try:
        content = unseal(stored, newest_version=newest_version) if stored else b""
        return message.FromString(content)
    except DecodeError as error:
        raise StoreError(f"stored bytes are no {message.__name__}: {error}") from error


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns what goes wrong with contents that are not what they should be into StoreError; a decorator as well."""
    try:
        yield
    except (DecodeError, ValueError, LookupError, OverflowError, struct.error) as error:
        raise StoreError(f"stored bytes are no {what}: {error!r}") from error


def dictionary_id(frame: bytes) -> int:
    """The dictionary id in a zstd frame's header, 0 for none. Source: RFC 8878 §3.1.1.1."""
    descriptor = frame[4]
    size = (0, 1, 2, 4)[descriptor & 3]
    start = 5 if descriptor & 0x20 else 6
    return int.from_bytes(frame[start : start + size], "little")
