"""The web UI as it was built: one page, and the assets that it names, whose names change with their content.

`make ui` builds it into the folder `static` beside this module. A fresh clone has none, and need not have: `page.py`
stands in for it.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.http.answer import Answer
from chalicelib.http.respond import gzipped, takes_gzip
from chalicelib.present.page import base_of

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).with_name("static")
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of the page, and of the assets too: a worker has that of its own script."""
_BASE = '<base href="./">'
"""Stands in the page for the path at which it is asked for: links of an API Gateway stage begin with the stage."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
"""A longer one is no file's on Linux, which makes an error of asking."""
_OTHER_TYPE = "application/octet-stream"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class _Asset(NamedTuple):
    content: bytes
    gzipped: bytes | None
    """Where that is smaller."""


def page_answer(path: str, request_headers: Mapping[str, str]) -> Answer | None:
    """The page, as asked for at `path`; 304 to who has it already. None if the UI is not built."""
    try:
        page = (FOLDER / "index.html").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    body = page.replace(_BASE, f'<base href="{escape(base_of(path))}">', 1).encode(errors="replace")
    # Weak, for the gzipped page has the same.
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "Content-Type": _TYPES[".html"],
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-cache",
        "ETag": etag,
        "Vary": "Accept-Encoding",
    }
    if _is_known(etag, request_headers.get("if-none-match", "")):
        return Answer(304, headers, b"")
    return _encoded(headers, _asset_of(body), request_headers)


def _is_known(etag: str, if_none_match: str) -> bool:
    """Source: RFC 9110, 13.1.2: by weak comparison."""
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in known or etag.removeprefix("W/") in known


def asset_answer(name: str, request_headers: Mapping[str, str]) -> Answer | None:
    """An asset, for ever: another content has another name. None if there is none of this name."""
    path = FOLDER / "assets" / name
    if not _NAME.fullmatch(name) or not path.is_file():
        return None
    headers = {
        "Content-Type": _TYPES.get(path.suffix, _OTHER_TYPE),
        "Content-Security-Policy": POLICY,
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    return _encoded(headers, _asset_at(path), request_headers)


@lru_cache(maxsize=256)
def _asset_at(path: Path) -> _Asset:
    """The build has packed it beside, more tightly than there is time for here; where it has not, we do."""
    try:
        return _Asset(path.read_bytes(), path.with_name(f"{path.name}.gz").read_bytes())
    except FileNotFoundError:
        return _asset_of(path.read_bytes())


def _asset_of(content: bytes) -> _Asset:
    compressed = gzipped(content)
    return _Asset(content, compressed if len(compressed) < len(content) else None)


def _encoded(
    headers: Mapping[str, str], asset: _Asset, request_headers: Mapping[str, str]
) -> Answer:
    if asset.gzipped is not None and takes_gzip(request_headers):
        return Answer(200, {**headers, "Content-Encoding": "gzip"}, asset.gzipped)
    return Answer(200, dict(headers), asset.content)
