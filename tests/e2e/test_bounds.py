"""The laptop stack as a process, under those who want more of it than their share: memory, connections, names."""

from __future__ import annotations

import json
import resource
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.e2e.shop import http
from tests.e2e.test_make_run import start  # noqa: F401 - a fixture
from tests.payloads import Made, payload

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "only-those-who-know-this"
WHOLE = payload([Made(trace=1, span=1)])
PROTOBUF = {"Content-Type": "application/x-protobuf"}
SHOWN = {**PROTOBUF, "x-api-key": TOKEN}
HALF_BODIES = 60
BODY_BYTES = 9_000_000
IDLE_CONNECTIONS = 1_000
MEGABYTE = 1024 * 1024

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Files for so many connections, if the machine lets us have them."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 2 * IDLE_CONNECTIONS:
        pytest.skip("this machine has too few files for so many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * IDLE_CONNECTIONS, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def peak_bytes(pid: int) -> int:
    """The most memory that the process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)


def head(url: str, route: str, *headers: str, length: int = BODY_BYTES) -> bytes:
    lines = [f"{route} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *headers]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def rest_of(client: socket.socket) -> bytes:
    parts = []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize("environment", [{"TOKEN": TOKEN}, {}])
def test_half_bodies(start, environment):  # noqa: F811
    """Sixty half-sent bodies take no more memory than a few may have, and good senders see nothing of them."""
    clew = start(**environment)
    headers = SHOWN if environment else PROTOBUF
    before = peak_bytes(clew.process.pid)
    with ExitStack() as clients:
        for _ in range(HALF_BODIES):
            client = clients.enter_context(connected(clew.url))
            client.sendall(head(clew.url, "POST /v1/traces"))
            client.setblocking(False)
            try:
                while client.send(bytes(65_536)):
                    pass
            except OSError:
                pass  # nobody takes more
        for _ in range(20):
            assert http(f"{clew.url}/v1/traces", "POST", WHOLE, headers).status == 200
    grown = peak_bytes(clew.process.pid) - before
    assert grown < (40 if environment else 120) * MEGABYTE


def test_idle_connections(start):  # noqa: F811
    """A thousand connections that stop in their headers keep nobody out."""
    clew = start()
    with ExitStack() as clients:
        for _ in range(IDLE_CONNECTIONS):
            client = clients.enter_context(connected(clew.url))
            client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: a\r\n")
        for _ in range(20):
            assert http(f"{clew.url}/v1/traces", "POST", WHOLE, PROTOBUF).status == 200
            assert http(f"{clew.url}/health").status == 200


REFUSED_IN_WORDS = {
    "POST /v1/traces": lambda body: json.loads(body)["message"],
    "POST /v1/logs": lambda body: json.loads(body)["message"],
    "POST /api/traces": bytes.decode,
    "POST /api/v2/spans": bytes.decode,
    "POST /api/v1/spans": bytes.decode,
    "POST /api/transform": lambda body: json.loads(body)["error"]["message"],
    "PUT /v1/sampling": lambda body: json.loads(body)["error"]["message"],
}


def test_token_before_the_body(start):  # noqa: F811
    """On every route that takes a body, who shows no token is refused by the headers, in that route's words."""
    clew = start(TOKEN=TOKEN)
    for route, message_of in REFUSED_IN_WORDS.items():
        with connected(clew.url) as client:
            client.sendall(head(clew.url, route, "Content-Type: application/json"))
            answer, _, body = rest_of(client).partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 "), route
        assert b"www-authenticate: bearer" in answer.lower()
        assert "a token is needed" in message_of(body)
    assert http(f"{clew.url}/v1/traces", "POST", WHOLE, SHOWN).status == 200


def test_the_host_names_that_it_answers_to_are_bounded(start):  # noqa: F811
    """Without a token it answers to this machine's names at its port and to those it was given; with one, to any."""
    clew = start(ALLOWED_HOSTS="clew.example")
    port = urlsplit(clew.url).port
    here = [
        f"localhost:{port}",
        f"127.0.0.1:{port}",
        "clew.example",
        f"host.docker.internal:{port}",
    ]
    for name in here:
        assert http(f"{clew.url}/v1/services", headers={"Host": name}).status == 200
    for name in (f"evil.example:{port}", "localhost:1", "evil.example"):
        for path in ("/", "/v1/services", "/nowhere"):
            assert http(f"{clew.url}{path}", headers={"Host": name}).status == 403
        assert (
            http(f"{clew.url}/v1/traces", "POST", WHOLE, {**PROTOBUF, "Host": name}).status == 403
        )
    closed = start(TOKEN=TOKEN)
    named = {"Host": "evil.example", "x-api-key": TOKEN}
    assert http(f"{closed.url}/v1/services", headers=named).status == 200
