"""The real clients that Clew is tried with: how each is run, and what it sends.

    program ──HTTP, datagrams──▶ recorder ──▶ tests/golden     `make golden`: python -m tests.clients.real
    program ──HTTP, datagrams──▶ Clew                          the tests

A program is given START_UNIX_SECONDS URL AGENT_PORT and sends a trace for each of its encodings, which start a second
apart; the ids are its own and always the same. So what it sends is the same bytes each time, and a golden file that no
client sends any more is found by running it. Its environment is one that `make` installs.
"""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
GOLDEN = PROJECT / "tests" / "golden"
GOLDEN_UNIX_SECONDS = 1_795_176_000
"""2026-11-20T12:00:00Z, when the first golden file's root starts."""
_HERE = Path(__file__).parent
_SECONDS_MAX = 60.0
_DATAGRAM_BYTES_MAX = 65_535


class Client(NamedTuple):
    number: int
    """Its own for good: it says when its recorded traces start."""
    name: str
    """With its version, as its golden files have it."""
    dialect: str
    """The folder of its golden files: zipkin or jaeger."""
    endings: tuple[str, ...]
    """Of its golden files' names: how it encodes, in the order in which it sends."""
    service: str
    """As it is stored."""
    command: tuple[str | Path, ...]
    installed: Path
    """There once `make` has installed what it wants."""
    knows_tokens: bool = True

    @property
    def golden(self) -> dict[str, Path]:
        """Ending → file."""
        folder = GOLDEN / self.dialect
        return {ending: folder / f"{self.name}-{ending}.bin" for ending in self.endings}

    @property
    def golden_unix_seconds(self) -> int:
        """When the first of its recorded traces starts; no other client's start then."""
        return GOLDEN_UNIX_SECONDS + 10 * self.number

    @property
    def missing(self) -> str:
        """Why it cannot run; empty if it can."""
        if not self.installed.exists():
            return f"{self.name} is not installed (no {self.installed.relative_to(PROJECT)})"
        program = str(self.command[0])
        return "" if shutil.which(program) else f"no {program}"

    def send(self, start_unix_seconds: int, url: str, agent_port: int, token: str = "") -> None:
        """Run it to its end; it fails if a request is not answered as it likes."""
        arguments = [str(start_unix_seconds), url, str(agent_port)]
        # An exporter that fails says so and no more.
        environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        done = subprocess.run(
            [*self.command, *arguments],
            env=environment | ({"TOKEN": token} if token else {}),
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
        )
        assert done.returncode == 0, done.stderr
        assert "rror" not in done.stderr, done.stderr


def _python(environment: str, program: str) -> tuple[tuple[str | Path, ...], Path]:
    python = PROJECT / environment / "bin" / "python"
    return (python, "-W", "ignore", _HERE / program), python


def _java(mode: str) -> tuple[tuple[str | Path, ...], Path]:
    jars = PROJECT / ".venv-emulator" / "zipkin-reporter"
    program = _HERE / "zipkin_reporter" / "Send.java"
    return ("java", "-cp", f"{jars}/*", program, mode), jars / ".installed"


_ZIPKIN_JS = _HERE / "zipkin_js"
ALL_ZIPKIN = ("v1-json", "v1-thrift", "v2-json", "v2-proto3")
CLIENTS = (
    Client(
        *(0, "py-zipkin-0.18.7", "zipkin", ALL_ZIPKIN, "py-zipkin"),
        *_python(".venv-clients", "send_py_zipkin.py"),
    ),
    Client(
        *(1, "opentelemetry-1.45.1", "zipkin", ("v1-json", "v2-json", "v2-proto3"), "otel-zipkin"),
        *_python(".venv-clients", "send_opentelemetry_zipkin.py"),
    ),
    Client(
        *(2, "zipkin-js-0.22.0", "zipkin", ("v1-json", "v2-json"), "zipkinjs"),
        *((Path(sys.prefix, "bin", "node"), _ZIPKIN_JS / "send.mjs"), _ZIPKIN_JS / "node_modules"),
    ),
    Client(
        *(3, "python-client-4.8", "jaeger", ("compact",), "my-service"),
        *_python(".venv-clients", "send_jaeger_client.py"),
        knows_tokens=False,
    ),
    Client(
        *(4, "opentelemetry-1.21.0", "jaeger", ("binary", "compact"), "OTel-Jaeger"),
        *_python(".venv-other-clients", "send_opentelemetry_jaeger.py"),
    ),
    Client(
        *(7, "py-zipkin-1.2.8", "zipkin", ("v1-json", "v2-json", "v2-proto3"), "py-zipkin-1"),
        *_python(".venv-other-clients", "send_py_zipkin.py"),
    ),
)
JAVA_CLIENTS = (
    Client(5, "zipkin-reporter-3.5.3", "zipkin", ALL_ZIPKIN, "reporter", *_java("reporter")),
    Client(6, "brave-6.3.1", "zipkin", ("v2-json", "v2-proto3"), "brave", *_java("brave")),
)
"""These want Java; `make contract` installs them."""

_ENDINGS = {
    ("/api/v1/spans", "application/json"): "v1-json",
    ("/api/v1/spans", "application/x-thrift"): "v1-thrift",
    ("/api/v2/spans", "application/json"): "v2-json",
    ("/api/v2/spans", "application/x-protobuf"): "v2-proto3",
    ("/api/traces", "application/x-thrift"): "binary",
}


def recorded(client: Client) -> dict[str, bytes]:
    """What it sends, by ending: bodies uncompressed, and the datagram."""
    with _recorder() as (bodies, url), _bound() as agent:
        client.send(client.golden_unix_seconds, url, agent.getsockname()[1])
        with suppress(BlockingIOError):  # once there is no further datagram
            while True:
                bodies.append(("compact", agent.recv(_DATAGRAM_BYTES_MAX)))
    assert sorted(ending for ending, _ in bodies) == sorted(client.endings)
    return dict(bodies)


@contextmanager
def _bound() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.setblocking(False)
        yield agent


@contextmanager
def _recorder() -> Iterator[tuple[list[tuple[str, bytes]], str]]:
    """A server that takes what clients send: the endings and bodies, and its URL."""
    bodies: list[tuple[str, bytes]] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            media_type = self.headers["Content-Type"].partition(";")[0]
            bodies.append((_ENDINGS[self.path.partition("?")[0], media_type], body))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Recorder)
    running = threading.Thread(target=server.serve_forever)
    running.start()
    try:
        yield bodies, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        running.join()
        server.server_close()


def main() -> int:
    """Record every client again that is installed."""
    for client in (*CLIENTS, *JAVA_CLIENTS):
        if client.missing:
            print(f"{client.missing}: its files stay as they are")
            continue
        for ending, body in recorded(client).items():
            client.golden[ending].write_bytes(body)
            print(client.golden[ending].relative_to(PROJECT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
