"""Connections, bodies and answers within bounds: who sends nothing, or asks for much, costs nobody else anything."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from chalice.app import Response

from local import door, server
from local.gateway import BODY_BYTES_MAX, Gateway
from local.judge import GatewayJudge
from local.server import THREADS, WAITING_MAX, Server, listening_socket
from local.turns import Kind
from tests.local.tiny_app import JSON, TinyApp, tiny_app

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 200_000
SECONDS = 30


class Refusing(TinyApp):
    """Refuses who shows no token, by the headers alone."""

    def refusal(self, event, _):
        if event["headers"].get("x-api-key"):
            return None
        assert event["body"] is None
        return {"statusCode": 401, "headers": {"Content-Type": "text/plain"}, "body": "who?"}


@pytest.fixture
def app():
    app = tiny_app()
    app.routes["/v1/traces"]["POST"].view_function = lambda: b"{}"
    return app


@contextmanager
def served(app: TinyApp) -> Iterator[int]:
    """The port of a server of the application."""
    listening = listening_socket("127.0.0.1", 0)
    gateway = Gateway(app)
    serving = Server(gateway, [listening], GatewayJudge(gateway, None))
    serving.start()
    try:
        yield listening.getsockname()[1]
    finally:
        serving.stop()


@pytest.fixture
def port(app):
    with served(app) as port:
        yield port


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)


def head(path: str = "/v1/traces", length: int = LARGE, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def rest_of(client: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    parts = []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def status(port: int, method: str = "POST", path: str = "/v1/traces", body: bytes = b"x") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request(method, path, body if method == "POST" else None)
    code = connection.getresponse().status
    connection.close()
    return code


@pytest.mark.parametrize("length", [2, LARGE])
def test_through_a_proxy(port, app, length):
    """A request line that names the host too leads to the same route, whatever the body's length."""
    path = f"http://127.0.0.1:{port}/v1/traces?x=1"
    assert status(port, path=path, body=bytes(length)) == 200
    assert [event["path"] for event in app.events] == ["/v1/traces"]


class TestToken:
    """Who may not send is told so by the headers."""

    @pytest.fixture
    def port(self, app):
        app.__class__ = Refusing
        with served(app) as port:
            yield port

    def test_before_the_body(self, port, app):
        """A large body's sender is refused before a byte of it, and the connection ends."""
        with connected(port) as client:
            client.sendall(head())
            answer = rest_of(client)
        assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert b"Connection: close\r\n" in answer
        assert answer.endswith(b"who?")
        assert app.events == []

    def test_instead_of_continue(self, port):
        """A client that asks whether to go on is told no, or yes and answered."""
        for token, expected in (("", b"HTTP/1.1 401 "), ("x-api-key: me", b"HTTP/1.1 100 ")):
            with connected(port) as client:
                client.sendall(head("/v1/traces", LARGE, "Expect: 100-continue", token or "X: 1"))
                assert client.recv(13) == expected
                if token:
                    client.sendall(bytes(LARGE))
                    client.shutdown(socket.SHUT_WR)
                    assert b"HTTP/1.1 200 OK" in rest_of(client)

    def test_in_chunks(self, port):
        """A body without a length is refused once it becomes large."""
        with connected(port) as client:
            client.sendall(
                b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            client.sendall(b"40000\r\n" + bytes(BODY_BYTES_MAX // 100))
            assert rest_of(client).startswith(b"HTTP/1.1 401 ")

    def test_the_answer_is_not_lost(self, port):
        """A client that sends all of its body before it reads has the answer, however much that was."""
        assert status(port, body=bytes(9_000_000)) == 401

    def test_with_it(self, port, app):
        """With a token the body arrives whole, and the connection goes on."""
        with connected(port) as client:
            for _ in range(2):
                client.sendall(head("/v1/traces", LARGE, "x-api-key: me"))
                for _ in range(10):
                    client.sendall(bytes(LARGE // 10))
                assert client.recv(17) == b"HTTP/1.1 200 OK\r\n"
                while not client.recv(65_536).endswith(b"{}"):
                    pass
        assert len(app.events) == 2


@pytest.mark.parametrize(
    ("request_head", "expected"),
    [
        (head("/nowhere"), b"HTTP/1.1 404 "),
        (head("/things/1"), b"HTTP/1.1 405 "),
        (head("/v1/traces", BODY_BYTES_MAX + 1), b"HTTP/1.1 413 "),
        (head("/v1/traces", 10**14), b"HTTP/1.1 413 "),
    ],
)
def test_nothing_is_read_in_vain(port, app, request_head, expected):
    """A body that nobody would look at is not waited for."""
    with connected(port) as client:
        client.sendall(request_head)
        assert rest_of(client).startswith(expected)
    assert app.events == []


class TestTime:
    """What does not come in time is not waited for."""

    def test_half_a_header_times_out_with_408(self, port, monkeypatch):
        """Half a request's headers are a 408."""
        with connected(port) as client:
            client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: a\r\n")
            assert status(port) == 200  # what came before has been read
            monkeypatch.setattr(door, "HEADER_SECONDS", 0)
            assert rest_of(client).startswith(b"HTTP/1.0 408 ")

    def test_a_silent_connection_is_closed_without_a_word(self, port, monkeypatch):
        """A connection that says nothing is closed without a word."""
        monkeypatch.setattr(door, "HEADER_SECONDS", 0)
        with connected(port) as client:
            assert rest_of(client) == b""

    def test_between_requests(self, port, monkeypatch):
        """A connection that had a request is kept for longer, though not for ever."""
        with connected(port) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            while not client.recv(65_536).endswith(b"page"):
                pass
            monkeypatch.setattr(door, "HEADER_SECONDS", 0)
            with connected(port) as other:
                assert rest_of(other) == b""  # a sweep has been
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            while not client.recv(65_536).endswith(b"page"):
                pass
            monkeypatch.setattr(door, "IDLE_SECONDS", 0)
            assert rest_of(client) == b""

    @pytest.mark.parametrize("sent", [10, 100_000])
    def test_a_slow_body_is_a_503(self, port, monkeypatch, sent):
        """A body that comes too slowly is a 503: its sender is to send it again, faster."""
        with connected(port) as client:
            client.sendall(head("/v1/traces", LARGE, "Content-Type: application/json"))
            client.sendall(bytes(sent))
            monkeypatch.setattr(door, "BODY_SECONDS_MIN", 0)
            monkeypatch.setattr(door, "BODY_BYTES_PER_SECOND_MIN", 10**12)
            answer = rest_of(client)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5\r\n" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"]


class TestRoom:
    """Bodies wait until there is room for all of them."""

    @pytest.fixture
    def first(self, port, monkeypatch):
        """A sender whose body has taken all the room."""
        monkeypatch.setattr(door, "BODIES_BYTES_MAX", LARGE)
        with connected(port) as client:
            client.sendall(head("/v1/traces", LARGE, "Expect: 100-continue"))
            assert client.recv(100).startswith(b"HTTP/1.1 100 ")
            yield client

    def test_is_waited_for(self, port, monkeypatch, first):
        """A large body has its turn after the one before it, a small one at once."""
        monkeypatch.setattr(door, "CONTESTED_SECONDS_MAX", SECONDS)
        monkeypatch.setattr(door, "ROOM_SECONDS", SECONDS)
        with connected(port) as second:
            second.sendall(head() + bytes(LARGE))
            assert status(port) == 200
            first.sendall(bytes(LARGE))
            assert first.recv(17) == b"HTTP/1.1 200 OK\r\n"
            assert second.recv(17) == b"HTTP/1.1 200 OK\r\n"

    def test_who_says_nothing_gives_way(self, port, monkeypatch, first):
        """While others wait, a body that does not come is given up."""
        monkeypatch.setattr(door, "CONTESTED_SECONDS_MAX", 0)
        monkeypatch.setattr(door, "ROOM_SECONDS", SECONDS)
        assert status(port, body=bytes(LARGE)) == 200
        assert rest_of(first).startswith(b"HTTP/1.1 503 ")

    @pytest.mark.usefixtures("first")
    def test_not_for_ever(self, port, monkeypatch):
        """Where there is no room in time it is a 503, and the sender comes again."""
        monkeypatch.setattr(door, "CONTESTED_SECONDS_MAX", SECONDS)
        monkeypatch.setattr(door, "ROOM_SECONDS", 0)
        assert status(port, body=bytes(LARGE)) == 503

    def test_comes_back(self, port, monkeypatch, first):
        """Who leaves gives its room back."""
        monkeypatch.setattr(door, "CONTESTED_SECONDS_MAX", SECONDS)
        monkeypatch.setattr(door, "ROOM_SECONDS", SECONDS)
        first.close()
        for _ in range(3):
            assert status(port, body=bytes(LARGE)) == 200


class TestConnections:
    @pytest.mark.parametrize(("bound", "number"), [("CONNECTIONS_MAX", 4), ("STRANGERS_MAX", 3)])
    def test_the_oldest_idle_one_goes(self, port, monkeypatch, bound, number):
        """One more than there may be closes the one that never asked anything for longest, and no other."""
        monkeypatch.setattr(door, bound, number)
        with ExitStack() as clients:
            used = clients.enter_context(connected(port))
            used.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            while not used.recv(65_536).endswith(b"page"):
                pass
            others = []
            for _ in range(5):
                others.append(clients.enter_context(connected(port)))
                others[-1].sendall(b"GET / HTTP/1.1\r\n")
            assert [rest_of(each) for each in others[:2]] == [b"", b""]
            used.sendall(b"GET / HTTP/1.1\r\n")
            for each in (used, *others[2:]):
                each.sendall(b"Host: a\r\n\r\n")
                assert each.recv(17) == b"HTTP/1.1 200 OK\r\n"

    def test_by_address(self, port, monkeypatch):
        """Another machine has a share of them; this machine's programs, which have one address, have all."""
        monkeypatch.setattr(door, "CONNECTIONS_OF_ADDRESS_MAX", 1)
        with connected(port) as first, connected(port):
            first.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert first.recv(17) == b"HTTP/1.1 200 OK\r\n"
        monkeypatch.setattr(door, "_LOOPBACK", ("none",))
        with connected(port) as first, connected(port) as second:
            assert rest_of(first) == b""
            second.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert second.recv(17) == b"HTTP/1.1 200 OK\r\n"


class Answers:
    """Heavy answers of the tiny application, which all wait until they may go on."""

    def __init__(self, app: TinyApp) -> None:
        self.started = threading.Semaphore(0)
        self.may_end = threading.Event()

        @app.route("/api/traces")
        @app.route("/api/v2/traces")
        @app.route("/v1/edges")
        def heavy():
            self.started.release()
            self.may_end.wait(SECONDS)
            return Response(b"{}", headers=JSON)


class TestAskers:
    @pytest.fixture
    def answers(self, app):
        answers = Answers(app)
        yield answers
        answers.may_end.set()

    @staticmethod
    def ask(clients: ExitStack, port: int, path: str) -> socket.socket:
        client = clients.enter_context(connected(port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return client

    def test_a_bounded_number_at_a_time(self, answers, app):
        """Heavy answers fill their threads and their line; spans, pages and names are served as if there were none."""
        with served(app) as port, ExitStack() as clients:
            asked = []
            for _ in range(THREADS[Kind.HEAVY]):
                asked.append(self.ask(clients, port, "/v1/edges"))
                assert answers.started.acquire(timeout=SECONDS)
            asked += [self.ask(clients, port, "/v1/edges") for _ in range(WAITING_MAX)]
            for _ in range(20):
                assert status(port) == 200
                assert status(port, "GET", "/") == 200
                assert status(port, "GET", "/things/one") == 200
            assert not answers.started.acquire(blocking=False)
            answers.may_end.set()
            assert {rest_of(each)[:15] for each in asked} == {b"HTTP/1.1 200 OK"}

    @pytest.mark.parametrize(
        ("path", "told"),
        [
            ("/v1/edges", {"error": {"code": "unavailable", "message": None, "parameter": None}}),
            ("/api/traces", None),
            ("/api/v2/traces", "text"),
        ],
    )
    def test_no_room(self, answers, app, monkeypatch, path, told):
        """Who finds the line full, or waits in it for too long, is told in the dialect's words when to come again."""
        with served(app) as port, ExitStack() as clients:
            for _ in range(THREADS[Kind.HEAVY]):
                self.ask(clients, port, path)
                assert answers.started.acquire(timeout=SECONDS)
            waiting = self.ask(clients, port, path)
            assert status(port, "GET", "/") == 200
            monkeypatch.setattr(server, "WAITING_MAX", 0)
            refused = self.ask(clients, port, path)
            first = rest_of(refused)
            monkeypatch.setattr(server, "WAITING_SECONDS_MAX", 0)
            for answer in (first, rest_of(waiting)):
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"Retry-After: 5\r\n" in answer
                body = answer.partition(b"\r\n\r\n")[2]
                if told == "text":
                    assert body == b"too many answers are being worked on: ask again"
                elif told is None:
                    assert json.loads(body)["errors"][0]["code"] == 503
                else:
                    error = json.loads(body)["error"]
                    assert {**error, "message": None} == told["error"]
            answers.may_end.set()

    def test_a_client_that_has_gone(self, app):
        """An answer that looks at its time has none left once nobody waits for it."""
        looks, ended = threading.Event(), threading.Event()

        @app.route("/v1/edges")
        def edges():
            while app.lambda_context.get_remaining_time_in_millis():
                looks.set()
            ended.set()
            return Response(b"{}", headers=JSON)

        with served(app) as port:
            client = connected(port)
            client.sendall(b"GET /v1/edges HTTP/1.1\r\nHost: a\r\n\r\n")
            assert looks.wait(SECONDS)
            assert not ended.is_set()
            client.close()
            assert ended.wait(SECONDS / 3)
