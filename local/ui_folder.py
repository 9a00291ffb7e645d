"""UI_DIR: serves the built folder of another UI at its own server's port and paths; its API requests go to Clew.

    port 16686   /static/…, /search, /trace/… ──▶ files of jaeger-ui, else its page
    port  9411   /zipkin/…                    ──▶ files of Zipkin Lens, else its page
                 /zipkin/api/…                ──▶ /api/…
    all else                                  ──▶ the gateway

The page itself tells which UI it is. Sources: jaeger, jaegerquery/internal/static_handler.go; openzipkin/zipkin,
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
"""Media types of files. The machine's own table may give a script a type that a browser refuses to run."""
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
"""First segments of API paths. An unknown API path is 404 and not the page, which would hide the mistake."""
_JAEGER_VALUES = {
    # Clew archives nothing, so the UI shows no button for it.
    "JAEGER_CONFIG": ("DEFAULT_CONFIG", {"archiveEnabled": False}),
    "JAEGER_VERSION": (
        "DEFAULT_VERSION",
        {"gitCommit": "", "gitVersion": "Clew", "buildDate": ""},
    ),
    # jaeger-ui up to 2.19 reads the storage's capabilities, later versions the backend's.
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
"""The values that Jaeger's server writes into the page: name → (placeholder, value)."""
_HEADERS = [
    ("Cache-Control", "no-cache"),
    # Scripts and styles are not restricted: these UIs have some inside their pages.
    ("Content-Security-Policy", "frame-ancestors 'self'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
]


class UiFolderError(Exception):
    """There is no UI in the folder; the message names the folder and says why."""


class UiFolder(NamedTuple):
    folder: Path
    """An absolute path without symbolic links."""
    port: int
    base: str
    """The prefix of the UI's paths: `/zipkin`, or empty."""

    def page(self) -> bytes:
        """Return the page with the values that Jaeger's server would write. It is read each time: a UI may be rebuilt.

        A UI without a base gets a <base> element: jaeger-ui from 2.18 sets it by a script, and before the script runs
        a browser looks for the styles in `/trace/static/`.
        """
        page = (self.folder / _PAGE).read_text(encoding="utf-8")
        if not self.base:
            page = page.replace("<head>", '<head><base href="/">', 1)
        for name, (default, value) in _JAEGER_VALUES.items():
            text = f"{name} = {json.dumps(value)};"
            page = re.sub(rf"{name} *= *{default};", text, page)
        return page.encode()

    def file(self, path: str) -> Path | None:
        """Return the file at a decoded path below the base; None if there is none, or it is outside the folder."""
        try:
            found = (self.folder / path.lstrip("/")).resolve()
            return found if found.is_relative_to(self.folder) and found.is_file() else None
        except (OSError, ValueError):
            return None  # a name too long, a null byte

    def is_in_folder_of_files(self, path: str) -> bool:
        """Return whether the first segment is a folder, such as `static`: a missing file there is 404, not the page."""
        first, slash, _ = path.lstrip("/").partition("/")
        try:
            return bool(first and slash) and (self.folder / first).is_dir()
        except (OSError, ValueError):
            return False


def ui_folder_at(folder: Path) -> UiFolder:
    """Return the UI that is built in the folder. Raises UiFolderError if there is none."""
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
    """Return an application that serves the UI on its port, and the gateway on all others."""

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
    """Return the file at the path, or the page: the UI has routes of its own."""
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
    """Redirect a request outside the base to the base, as Zipkin does; other paths are 404."""
    if path in ("/", ui.base):
        return HTTPStatus.FOUND, [("Location", f"{ui.base}/")], b""
    if path == "/favicon.ico":
        return HTTPStatus.FOUND, [("Location", f"{ui.base}{path}")], b""
    return _text(HTTPStatus.NOT_FOUND, f"there is nothing at {path}")


def _text(status: HTTPStatus, line: str) -> _Answer:
    return status, [("Content-Type", "text/plain; charset=utf-8")], line.encode()
