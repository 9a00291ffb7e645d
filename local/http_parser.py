"""waitress's parser made stricter: a request that two servers could read in two ways is refused (request smuggling).

A proxy in front of Clew must see the same requests in a connection as Clew does. Where the specification leaves a
choice, the answer is 400 and the connection ends. Source: RFC 9112, sections 2.2, 5, 6 and 7.1; RFC 9110, 7.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER_BYTES_MAX = 64 * 1024
"""The largest request line with headers: `traceMany` has hundreds of ids in its URL."""
HEADERS_MAX = 100
CHUNKS_MAX = 100_000
"""The most chunks of a body: ten megabytes in chunks of a hundred bytes."""
LINE_BYTES_MAX = 4_096
"""The longest line with a chunk's size and extensions, and the longest trailer."""
TRAILERS_MAX = 100
SMALL_BODY_BYTES = 64 * 1024
"""A body up to this size is read without leave: it comes with the headers, in the same read."""
_DIGITS_MAX = 15
_ONCE = (b"host", b"content-length", b"transfer-encoding")
_CONTROLS = re.compile(rb"[\x00-\x20\x7f]")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request, while it is received."""

    has_too_many_headers = False
    release: Callable[[], None] | None = None
    """A function that gives back the room reserved for the body."""

    @property
    def is_large(self) -> bool:
        """Whether the body needs the judge's leave, and room in memory."""
        length: int = max(self.content_length, self.body_bytes_received)
        return length > SMALL_BODY_BYTES

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.has_too_many_headers:
            self.error = RequestHeaderFieldsTooLarge(f"more than {HEADERS_MAX} headers")
        elif isinstance(self.error, RequestEntityTooLarge):
            self.error = TooLong()
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        lines = header_plus.split(b"\r\n")
        self.has_too_many_headers = len(lines) - 1 > HEADERS_MAX + 2
        if self.has_too_many_headers:
            raise ParsingError("too many headers")
        names = _names_of(lines[1:])
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError("the request line or a number in it is invalid") from error
        self._check(lines[0], names)
        if self.chunked:
            self.body_rcv = Chunks(OverflowableBuffer(self.adj.inbuf_overflow))

    def _check(self, request_line: bytes, names: list[bytes]) -> None:
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("HTTP/1.1 and HTTP/1.0 are spoken here")
        if _CONTROLS.search(request_line.split(b" ")[1]):
            raise ParsingError("a control character in the URL")
        if self.version == "1.1" and b"host" not in names:
            raise ParsingError("a Host header is needed")
        if b"transfer-encoding" in names:
            if b"content-length" in names:
                raise ParsingError("Content-Length beside Transfer-Encoding")
            if not self.chunked:
                raise ParsingError("Transfer-Encoding must be chunked, in HTTP/1.1")

    def close(self) -> None:
        super().close()
        if self.release:
            self.release()
            self.release = None


def _names_of(lines: list[bytes]) -> list[bytes]:
    """Return the lower-case names of header lines. Raises ParsingError for a header that could be read in two ways."""
    names = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            raise ParsingError("a header may not go on in the next line")
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in _ONCE and name in names:
            raise ParsingError(f"more than one {name.decode()} header")
        value = value.strip(b" \t")
        if name == b"content-length" and not (value.isdigit() and len(value) <= _DIGITS_MAX):
            raise ParsingError("Content-Length is invalid")
        if name == b"transfer-encoding" and b"," in value:
            raise ParsingError("more than one Transfer-Encoding")
        names.append(name)
    return names


class Chunks:
    """Reads a chunked body in time proportional to its bytes; waitress's own reader is quadratic in small chunks.

    waitress's parser reads the attributes `completed` and `error`.
    """

    def __init__(self, buffer: OverflowableBuffer) -> None:
        self.completed = False
        self.error: BadRequest | None = None
        self._buffer = buffer
        self._remaining = 0
        self._part = b""
        """The bytes of a line whose end is still to come."""
        self._read_line: Callable[[bytes], None] = self._size
        self._chunks = 0
        self._trailers = 0

    def __len__(self) -> int:
        return int(self._buffer.__len__())

    def getfile(self) -> Any:
        return self._buffer.getfile()

    def getbuf(self) -> Any:
        return self._buffer

    def received(self, data: bytes) -> int:
        """Take the bytes that belong to the body; return how many they are."""
        place = 0
        parts = []
        while place < len(data) and not self.completed and not self.error:
            if self._remaining:
                part = data[place : place + self._remaining]
                parts.append(part)
                place += len(part)
                self._remaining -= len(part)
            else:
                place = self._line(data, place)
        if parts:
            self._buffer.append(b"".join(parts))
        return place

    def _line(self, data: bytes, place: int) -> int:
        found = data.find(b"\n", place, place + LINE_BYTES_MAX)
        end = found + 1 if found >= 0 else min(len(data), place + LINE_BYTES_MAX)
        line = self._part + data[place:end]
        if found < 0:
            self._part = line
            if len(line) >= LINE_BYTES_MAX:
                self._fail("a line between chunks is too long")
            return end
        self._part = b""
        if line.endswith(b"\r\n"):
            self._read_line(line[:-2])
        else:
            self._fail("a line between chunks ends without CR")
        return end

    def _size(self, line: bytes) -> None:
        size = _CHUNK_SIZE.fullmatch(line)
        self._chunks += 1
        if size is None:
            self._fail("a chunk's size is invalid")
        elif self._chunks > CHUNKS_MAX:
            self._fail(f"more than {CHUNKS_MAX} chunks")
        elif length := int(size[1], 16):
            self._remaining = length
            self._read_line = self._end
        else:
            self._read_line = self._trailer

    def _end(self, line: bytes) -> None:
        if line:
            self._fail("a chunk is longer than its size")
        self._read_line = self._size

    def _trailer(self, line: bytes) -> None:
        self._trailers += 1
        if not line:
            self.completed = True
        elif self._trailers > TRAILERS_MAX:
            self._fail("too many trailers")

    def _fail(self, reason: str) -> None:
        self.error = BadRequest(reason)


class TooLong:
    """API Gateway's answer to a body above its limit."""

    def to_response(self, _: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        headers = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]
        return "413 Request Entity Too Large", headers, b'{"message": "Request Too Long"}'
