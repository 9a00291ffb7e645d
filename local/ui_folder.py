"""UI_DIR: another UI's built folder, where its own server has it; what it asks is asked of Clew, on the same port.

    port 16686   /static/…, /search, /trace/… ──▶ files of jaeger-ui, else its page
    port  9411   /zipkin/…                    ──▶ files of Zipkin Lens, else its page
                 /zipkin/api/…                ──▶ /api/…
    all else                                  ──▶ the gateway

Which UI it is, its page says. Sources: jaeger, jaegerquery/internal/static_handler.go; openzipkin/zipkin,
ZipkinUiConfiguration.java, and ZipkinHttpConfiguration.java for the API below /zipkin.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from mimetypes import MimeTypes
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from local.gateway import path_from_uri

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from local.gateway import Gateway

JAEGER_PORT = 16686
ZIPKIN_PORT = 9411
ZIPKIN_BASE = "/zipkin"
_PAGE = "index.html"
_PAGE_TYPE = ("Content-Type", "text/html; charset=utf-8")
_TYPES = MimeTypes()
"""Not the machine's, which may call a script what a browser refuses to run."""
for _suffix, _type in (
    (".js", "text/javascript"),
    (".mjs", "text/javascript"),
    (".map", "application/json"),
    (".webmanifest", "application/manifest+json"),
    (".woff", "font/woff"),
    (".woff2", "font/woff2"),
):
    _TYPES.add_type(_type, _suffix)
_LENS_MARK = f'<base href="{ZIPKIN_BASE}/"'
_API_FOLDERS = ("api", "v1")
"""First segments that are the API's, also where it has nothing: a page would hide the mistake."""
_JAEGER_VALUES = {
    # Nothing is archived, so that there is no button for it.
    "JAEGER_CONFIG": ("DEFAULT_CONFIG", {"archiveEnabled": False}),
    "JAEGER_VERSION": (
        "DEFAULT_VERSION",
        {"gitCommit": "", "gitVersion": "Clew", "buildDate": ""},
    ),
    # Up to 2.19 it is asked of storage, later of the whole backend.
    "JAEGER_STORAGE_CAPABILITIES": (
        "DEFAULT_STORAGE_CAPABILITIES",
        {"archiveStorage": False, "metricsStorage": True},
    ),
    "JAEGER_BACKEND_CAPABILITIES": (
        "DEFAULT_BACKEND_CAPABILITIES",
        {
            "archiveStorage": False,
            "metricsStorage": True,
            "searchWithoutServiceName": True,
            "aiAssistant": False,
        },
    ),
}
"""What Jaeger's server writes into the page: the name, what stands for it there, and what is to stand there."""
_HEADERS = [
    ("Cache-Control", "no-cache"),
    # What may run in it is the other UI's affair: these have scripts and styles in their pages.
    ("Content-Security-Policy", "frame-ancestors 'self'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
]


class UiFolderError(Exception):
    """There is no UI in the folder; the message names it and says why."""


class UiFolder(NamedTuple):
    folder: Path
    """Absolute, without symbolic links."""
    port: int
    base: str
    """What its paths begin with: `/zipkin`, or nothing."""

    def page(self) -> bytes:
        """As it is now: who builds a UI wants to see it. With the values that Jaeger's server would write there.

        At the root its base is said first: jaeger-ui from 2.18 finds it by a script, and before that has run a
        browser looks for the styles beside the page, in `/trace/static/`.
        """
        page = (self.folder / _PAGE).read_text(encoding="utf-8")
        if not self.base:
            page = page.replace("<head>", '<head><base href="/">', 1)
        for name, (default, value) in _JAEGER_VALUES.items():
            text = f"{name} = {json.dumps(value)};"
            page = re.sub(rf"{name} *= *{default};", text, page)
        return page.encode()

    def file(self, path: str) -> Path | None:
        """The file at a decoded path below the base; None if there is none, or it is not in the folder."""
        try:
            found = (self.folder / path.lstrip("/")).resolve()
            return found if found.is_relative_to(self.folder) and found.is_file() else None
        except (OSError, ValueError):
            return None  # a name too long, a null byte

    def is_in_folder_of_files(self, path: str) -> bool:
        """Whether the first segment is a folder: what is not there is then no page, as with `/static/…`."""
        first, slash, _ = path.lstrip("/").partition("/")
        try:
            return bool(first and slash) and (self.folder / first).is_dir()
        except (OSError, ValueError):
            return False


def ui_folder_at(folder: Path) -> UiFolder:
    """The UI that is built there. Raises UiFolderError."""
    try:
        page = (folder / _PAGE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UiFolderError(
            f"UI_DIR is {folder}, and its {_PAGE} cannot be read ({error}); "
            "it must be the folder of a built UI"
        ) from error
    if _LENS_MARK in page:
        return UiFolder(folder.resolve(), ZIPKIN_PORT, ZIPKIN_BASE)
    return UiFolder(folder.resolve(), JAEGER_PORT, "")


def with_ui_folder(gateway: Gateway, ui: UiFolder) -> WSGIApplication:
    """The gateway, and on the UI's port the UI."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["SERVER_PORT"] != str(ui.port):
            return gateway(environ, start_response)
        path = path_from_uri(environ["REQUEST_URI"])
        if ui.base and path.startswith(f"{ui.base}/api/"):
            uri = environ["REQUEST_URI"].replace(ui.base, "", 1)
            return gateway({**environ, "REQUEST_URI": uri}, start_response)
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD") or _is_of_the_api(path, gateway):
            return gateway(environ, start_response)
        status, headers, body = _answer(ui, path)
        length = ("Content-Length", str(len(body)))
        start_response(f"{status.value} {status.phrase}", [*headers, *_HEADERS, length])
        return [] if method == "HEAD" else [body]

    return answer


def _is_of_the_api(path: str, gateway: Gateway) -> bool:
    is_of_our_ui = path == "/" or path.startswith("/assets/")
    in_the_api = path.lstrip("/").partition("/")[0] in _API_FOLDERS
    return in_the_api or (gateway.has(path) and not is_of_our_ui)


_Answer = tuple[HTTPStatus, list[tuple[str, str]], bytes]


def _answer(ui: UiFolder, path: str) -> _Answer:
    """A file, or the page for every path that the UI may have made up."""
    if ui.base and not path.startswith(f"{ui.base}/"):
        return _elsewhere(ui, path)
    below = unquote(path.removeprefix(ui.base))
    file = ui.file(below)
    if file is not None and file.name != _PAGE:
        return HTTPStatus.OK, [("Content-Type", _media_type(file))], file.read_bytes()
    if file is None and ui.is_in_folder_of_files(below):
        return _text(HTTPStatus.NOT_FOUND, f"there is nothing at {path}")
    try:
        return HTTPStatus.OK, [_PAGE_TYPE], ui.page()
    except OSError as error:
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, f"the UI's page cannot be read now: {error}")


def _media_type(file: Path) -> str:
    media_type = _TYPES.guess_type(file.name)[0] or "application/octet-stream"
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _elsewhere(ui: UiFolder, path: str) -> _Answer:
    """Who asks beside the base is sent there, as Zipkin does it."""
    if path in ("/", ui.base):
        return HTTPStatus.FOUND, [("Location", f"{ui.base}/")], b""
    if path == "/favicon.ico":
        return HTTPStatus.FOUND, [("Location", f"{ui.base}{path}")], b""
    return _text(HTTPStatus.NOT_FOUND, f"there is nothing at {path}")


def _text(status: HTTPStatus, line: str) -> _Answer:
    return status, [("Content-Type", "text/plain; charset=utf-8")], line.encode()
