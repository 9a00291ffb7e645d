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
    from collections.abc import Mapping

_GZIP_BYTES_MIN = 1_024
_GZIP_LEVEL = 5
_REFUSED = re.compile(r"q=0(\.0*)?")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json_answer(document: Any, request_headers: Mapping[str, str], status: int = 200) -> Answer:
    """`document` as JSON. `request_headers` have lower-case names. Too large even when gzipped: 413."""
    body = orjson.dumps(document)
    headers = {**_HEADERS, "Content-Type": "application/json", "Vary": "Accept-Encoding"}
    accepted = request_headers.get("accept-encoding", "")
    if len(body) >= _GZIP_BYTES_MIN and _takes_gzip(accepted):
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    if len(body) > config.RESPONSE_BYTES_MAX:
        return _too_large(len(body))
    return Answer(status, headers, body)


def _takes_gzip(accept_encoding: str) -> bool:
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "x-gzip"):
            return not _REFUSED.fullmatch(weight.strip())
    return False


def _too_large(body_bytes: int) -> Answer:
    message = (
        f"the answer has {body_bytes} bytes, the limit is {config.RESPONSE_BYTES_MAX}: "
        "accept gzip, or ask for less"
    )
    body = orjson.dumps(error_json("response_too_large", message))
    return Answer(413, {**_HEADERS, "Content-Type": "application/json"}, body)


def html_answer(page: bytes) -> Answer:
    """A page that runs nothing and is framed by nobody."""
    policy = "default-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    headers = {
        **_HEADERS,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
    }
    return Answer(200, headers, page)
