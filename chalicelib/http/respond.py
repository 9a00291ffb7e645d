"""An answer's bytes: JSON, gzipped where the asker takes it, and within what Lambda can return."""

from __future__ import annotations

import gzip
import re
import zlib
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from chalicelib import config
from chalicelib.errors import TooMuchAsked
from chalicelib.http.answer import Answer
from chalicelib.http.errors import RESPONSE_TOO_LARGE, Failure, with_retry_after
from chalicelib.http.stream import parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chalicelib.budget import Budget

_GZIP_BYTES_MIN = 1_024
_GZIP_LEVEL = 5
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_GZIP_PIECE_BYTES = 65_536
_REFUSED = re.compile(r"q=0(\.0*)?")
_HEADERS = {"Cache-Control": "no-store"}


def json_answer(
    document: Any,
    request_headers: Mapping[str, str],
    status: int = 200,
    media_type: str = "application/json",
    vary: str = "Accept-Encoding",
    *,
    is_indented: bool = False,
) -> Answer:
    """Answer as `streamed_answer` does, but what is too large is a 413 in the form of the native API's errors."""
    try:
        return streamed_answer(
            document, request_headers, status, media_type, vary, is_indented=is_indented
        )
    except TooMuchAsked as error:
        return error_answer(Failure(413, RESPONSE_TOO_LARGE, str(error)), {})


def error_json(failure: Failure) -> dict[str, Any]:
    """The failure in Clew's own form."""
    return {
        "error": {
            "code": failure.code,
            "message": failure.message,
            "parameter": failure.parameter,
        }
    }


def error_answer(failure: Failure, request_headers: Mapping[str, str]) -> Answer:
    """The failure in Clew's own form, with its status; a 503 says in Retry-After when to ask again."""
    return with_retry_after(json_answer(error_json(failure), request_headers, failure.status))


def streamed_answer(
    document: Any,
    request_headers: Mapping[str, str],
    status: int = 200,
    media_type: str = "application/json",
    vary: str = "Accept-Encoding",
    *,
    is_indented: bool = False,
    budget: Budget | None = None,
) -> Answer:
    """`document`, which may be streamed, as JSON. `request_headers` have lower-case names.

    Raises TooMuchAsked as soon as it is too large, even when gzipped, and what the budget raises.
    """
    headers = {**_HEADERS, "Content-Type": media_type, "Vary": vary}
    written = parts(document)
    if budget:
        written = _spending(written, budget)
    if is_indented:
        written = _indented(written)
    if not takes_gzip(request_headers):
        return Answer(status, headers, _joined(written, "accept gzip, or ask for less"))
    body = bytearray()
    for part in written:
        body += part
        if len(body) >= _GZIP_BYTES_MIN:
            headers["Content-Encoding"] = "gzip"
            rest = _gzipped_parts(chain((bytes(body),), written))
            return Answer(status, headers, _joined(rest, "ask for less"))
    return Answer(status, headers, bytes(body))


def _spending(written: Iterator[bytes], budget: Budget) -> Iterator[bytes]:
    for part in written:
        budget.write(len(part))
        yield part


def _indented(written: Iterator[bytes]) -> Iterator[bytes]:
    body = bytearray()
    for part in written:
        body += part
        if len(body) > config.INDENTED_BYTES_MAX:
            raise TooMuchAsked(
                f"the answer has more than {config.INDENTED_BYTES_MAX} bytes, which are too many to be "
                "indented: ask without"
            )
    yield orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)


def _joined(written: Iterator[bytes], advice: str) -> bytes:
    body = bytearray()
    for part in written:
        body += part
        if len(body) > config.RESPONSE_BYTES_MAX:
            raise TooMuchAsked(
                f"the answer has more than {config.RESPONSE_BYTES_MAX} bytes, which is the limit: {advice}"
            )
    return bytes(body)


def _gzipped_parts(written: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes as `gzipped`, in pieces."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    waiting = bytearray()
    for part in written:
        waiting += part
        if len(waiting) >= _GZIP_PIECE_BYTES:
            yield compressor.compress(waiting)
            waiting.clear()
    yield compressor.compress(waiting) + compressor.flush()


def warned(answer: Answer, warnings: Sequence[str]) -> Answer:
    """The answer, which says in a header what it leaves out: Jaeger's and Zipkin's have no place for it."""
    if warnings:
        answer.headers["Warning"] = f'199 clew "{"; ".join(warnings)}"'
    return answer


def gzipped(body: bytes) -> bytes:
    """The same bytes for the same body, whenever it is made."""
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


def takes_gzip(request_headers: Mapping[str, str]) -> bool:
    return _names_one_of(request_headers.get("accept-encoding", ""), ("gzip", "x-gzip"))


def takes_media_type(request_headers: Mapping[str, str], media_type: str) -> bool:
    """Whether Accept names it; a wildcard does not."""
    return _names_one_of(request_headers.get("accept", ""), (media_type,))


def _names_one_of(header: str, names: Sequence[str]) -> bool:
    """Whether a header such as Accept lists one of these, and does not refuse it."""
    for listed in header.lower().split(","):
        name, *parameters = (part.strip() for part in listed.split(";"))
        if name in names:
            return not any(map(_REFUSED.fullmatch, parameters))
    return False


def html_answer(page: bytes) -> Answer:
    return Answer(200, {**_HEADERS, "Content-Type": "text/html; charset=utf-8"}, page)
