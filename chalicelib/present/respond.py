"""An answer's bytes: JSON, gzipped where the asker takes it, and within what Lambda can return."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

import orjson

from chalicelib import config
from chalicelib.model.http import Answer
from chalicelib.present.native import error_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GZIP_BYTES_MIN = 1_024
_GZIP_LEVEL = 5
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
    """`document` as JSON. `request_headers` have lower-case names. Too large even when gzipped: 413."""
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 if is_indented else 0)
    headers = {**_HEADERS, "Content-Type": media_type, "Vary": vary}
    if len(body) >= _GZIP_BYTES_MIN and takes_gzip(request_headers):
        body = gzipped(body)
        headers["Content-Encoding"] = "gzip"
    if len(body) > config.RESPONSE_BYTES_MAX:
        return _too_large(len(body))
    return Answer(status, headers, body)


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


def _too_large(body_bytes: int) -> Answer:
    message = (
        f"the answer has {body_bytes} bytes, the limit is {config.RESPONSE_BYTES_MAX}: "
        "accept gzip, or ask for less"
    )
    body = orjson.dumps(error_json("response_too_large", message))
    return Answer(413, {**_HEADERS, "Content-Type": "application/json"}, body)


def html_answer(page: bytes) -> Answer:
    return Answer(200, {**_HEADERS, "Content-Type": "text/html; charset=utf-8"}, page)
