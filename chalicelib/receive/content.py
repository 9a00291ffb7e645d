"""A request's body: which encoding it claims, and its bytes uncompressed, whatever its headers say.

API Gateway may have decompressed a body and kept its Content-Encoding, or not: the first bytes decide.
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge, UnsupportedMedia
from chalicelib.receive.pieces import piece_done

if TYPE_CHECKING:
    from collections.abc import Mapping

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
"""zlib's window bits for each container."""
_DEFLATE_CODINGS = ("deflate", "zlib")
"""The second is the Collector's name for it."""
_KNOWN_CODINGS = {"", "identity", "gzip", "x-gzip", *_DEFLATE_CODINGS}
_MEMBERS_MAX = 1_024
"""The most members of a gzip file. Senders write one; tools that compress in parallel write one for each 64 KB and
more."""
_STEP_BYTES_MIN, _STEP_BYTES_MAX = 1_024, 262_144
_ZSTD_WINDOW_LOG_MAX = 24
"""16 MB, which is what a body may have; a decoder holds that much."""


class Encoding(Enum):
    """How OTLP messages are written; the answer is written as the request is."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


def media_type_of(headers: Mapping[str, str]) -> str:
    """Content-Type without parameters, lower-case; "" without one. `headers` have lower-case names."""
    return headers.get("content-type", "").split(";")[0].strip().lower()


def encoding_of(headers: Mapping[str, str], body: bytes) -> Encoding:
    """The encoding of a request. Without a Content-Type, a body that begins with `{` is JSON.

    text/plain is what `navigator.sendBeacon` says of a string: what begins as JSON does is taken for that.

    Raises UnsupportedMedia for a Content-Type that OTLP/HTTP does not have.
    """
    media_type = media_type_of(headers)
    if not media_type:
        return Encoding.JSON if body[:1] == b"{" else Encoding.PROTOBUF
    if media_type in ("application/x-protobuf", "application/protobuf"):
        return Encoding.PROTOBUF
    if media_type == "application/json":
        return Encoding.JSON
    if media_type == "text/plain" and body.lstrip()[:1] == b"{":
        return Encoding.JSON
    raise UnsupportedMedia(
        f"Content-Type {media_type[:100]!r} is not supported: send application/x-protobuf or application/json"
    )


def uncompressed(headers: Mapping[str, str], body: bytes) -> bytes:
    """The body's own bytes.

    Raises PayloadTooLarge if they are more than `UNCOMPRESSED_BYTES_MAX`, having made no more than that;
    UnsupportedMedia for a Content-Encoding other than gzip, deflate (zlib) and zstd; InvalidPayload for damaged data.
    """
    if len(body) > config.BODY_BYTES_MAX:
        raise PayloadTooLarge(
            f"the body has {len(body)} bytes, the limit is {config.BODY_BYTES_MAX}: send smaller batches"
        )
    if body[:2] == _GZIP_MAGIC:
        return _inflated(body, _GZIP)
    if body[:4] == _ZSTD_MAGIC:
        return _of_zstd(body)
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in _KNOWN_CODINGS:
        raise UnsupportedMedia(
            f"Content-Encoding {coding[:100]!r} is not supported: send gzip, deflate, zstd or none"
        )
    if coding in _DEFLATE_CODINGS and body:
        if body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0:
            return _inflated(body, _ZLIB)
        if body[:1] not in (b"\n", b"{"):
            return _inflated(body, _RAW_DEFLATE)
    return body


def _inflated(body: bytes, window_bits: int) -> bytes:
    """Every member of a gzip file, or the one zlib or deflate stream; nothing may follow it."""
    parts: list[bytes] = []
    room = config.UNCOMPRESSED_BYTES_MAX
    at = members = 0
    while at < len(body):
        members += 1
        if members > 1 and window_bits != _GZIP:
            raise InvalidPayload("bytes follow the compressed body")
        if members > _MEMBERS_MAX:
            raise PayloadTooLarge(
                f"the body has more than {_MEMBERS_MAX} gzip members: compress it in one"
            )
        found, at = _member(body, at, window_bits, room)
        room -= sum(map(len, found))
        parts += found
    return b"".join(parts)


def _member(body: bytes, at: int, window_bits: int, room: int) -> tuple[list[bytes], int]:
    """The content of the stream at `at`, and where it ends.

    It is fed in steps, small ones first: zlib copies whatever is left of a step behind a stream's end, which would
    make many short members cost the square of their number.
    """
    stream = zlib.decompressobj(window_bits)
    parts: list[bytes] = []
    step_bytes = _STEP_BYTES_MIN
    view = memoryview(body)
    while not stream.eof:
        step = view[at : at + step_bytes]
        if not step:
            raise InvalidPayload("the compressed body is cut short")
        try:
            parts.append(stream.decompress(step, room + 1))
        except zlib.error:
            raise InvalidPayload("the compressed body is damaged") from None
        room -= len(parts[-1])
        if room < 0:
            raise _too_large()
        piece_done(len(parts[-1]))
        at += len(step) - len(stream.unused_data)
        step_bytes = min(2 * step_bytes, _STEP_BYTES_MAX)
    return parts, at


def _of_zstd(body: bytes) -> bytes:
    from chalicelib.model.zstd import ZstdError, ZstdTooLong, decompress

    try:
        return decompress(body, config.UNCOMPRESSED_BYTES_MAX, window_log_max=_ZSTD_WINDOW_LOG_MAX)
    except ZstdTooLong:
        raise _too_large() from None
    except ZstdError:
        raise InvalidPayload(
            "the compressed body is damaged, or not one zstd frame "
            f"with a window of at most {2**_ZSTD_WINDOW_LOG_MAX} bytes"
        ) from None


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the body has more than {config.UNCOMPRESSED_BYTES_MAX} bytes after decompression: send smaller batches"
    )
