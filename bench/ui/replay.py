"""Records the answers of a running Clew and replays them, so that only the browser's time is measured."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT_HEADERS = ("Content-Type", "Content-Encoding", "Cache-Control", "Content-Security-Policy")


class _Recorded(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def replaying(origin: str, canned: dict[str, bytes] | None = None) -> Iterator[str]:
    """Yield the URL of a server that asks `origin` once for each URL. `canned` holds JSON answers by path instead."""
    recorded: dict[tuple[str, str], _Recorded] = {}
    for path, body in (canned or {}).items():
        recorded[path, ""] = _Recorded(200, {"Content-Type": "application/json"}, body)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are written apart: Nagle's algorithm would hold the body back until the head is acknowledged.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            key = (
                (path, "")
                if (path, "") in recorded
                else (self.path, self.headers.get("Accept", ""))
            )
            if key not in recorded:
                recorded[key] = _asked(origin + self.path, self.headers.get("Accept", "*/*"))
            answer = recorded[key]
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _asked(url: str, accept: str) -> _Recorded:
    request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": "gzip"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            status, headers, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, headers, body = error.code, error.headers, error.read()
    kept = {name: headers[name] for name in _KEPT_HEADERS if headers[name]}
    return _Recorded(status, kept, body)
