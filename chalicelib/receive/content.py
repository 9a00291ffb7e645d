"""A request's body: which encoding it claims, and its bytes uncompressed, whatever its headers say.

API Gateway may have decompressed a body and kept its Content-Encoding, or not: the first bytes decide.
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from collections.abc import Mapping

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
"""zlib's window bits for each container."""
_KNOWN_CODINGS = {"", "identity", "gzip", "x-gzip", "deflate"}


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
    UnsupportedMedia for a Content-Encoding other than gzip and deflate; InvalidPayload for damaged data.
    """
    if len(body) > config.BODY_BYTES_MAX:
        raise PayloadTooLarge(
            f"the body has {len(body)} bytes, the limit is {config.BODY_BYTES_MAX}: send smaller batches"
        )
    if body[:2] == _GZIP_MAGIC:
        return _inflated(body, _GZIP)
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in _KNOWN_CODINGS:
        raise UnsupportedMedia(
            f"Content-Encoding {coding[:100]!r} is not supported: send gzip, deflate or none"
        )
    if coding == "deflate" and body:
        if body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0:
            return _inflated(body, _ZLIB)
        if body[:1] not in (b"\n", b"{"):
            return _inflated(body, _RAW_DEFLATE)
    return body


def _inflated(body: bytes, window_bits: int) -> bytes:
    """Every member of a gzip file, or the one zlib or deflate stream; nothing may follow it."""
    parts: list[bytes] = []
    room = config.UNCOMPRESSED_BYTES_MAX
    while body:
        stream = zlib.decompressobj(window_bits)
        try:
            part = stream.decompress(body, room + 1)
        except zlib.error as error:
            raise InvalidPayload(f"the compressed body is damaged: {error}") from error
        room -= len(part)
        if room < 0:
            limit = config.UNCOMPRESSED_BYTES_MAX
            raise PayloadTooLarge(f"the body has more than {limit} bytes after decompression")
        if not stream.eof:
            raise InvalidPayload("the compressed body is cut short")
        parts.append(part)
        body = stream.unused_data
        if body and window_bits != _GZIP:
            raise InvalidPayload("bytes follow the compressed body")
    return b"".join(parts)
