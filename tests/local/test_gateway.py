"""The gateway gives functions API Gateway's events, and clients what the functions answered."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from chalice.app import Response
from waitress.trigger import trigger

from local.gateway import (
    BODY_BYTES_MAX,
    Gateway,
    InvalidResponse,
    Request,
    Routes,
    answer_from_response,
    event_from_request,
)
from local.server import Server, listening_socket
from tests.local.tiny_app import HTML, TinyApp, tiny_app

if TYPE_CHECKING:
    from collections.abc import Iterator


def request(
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Request:
    return Request(method, path, query, headers or {}, body, "127.0.0.1")


@contextmanager
def served(app: TinyApp) -> Iterator[http.client.HTTPConnection]:
    """An HTTP connection to a server of the application."""
    listening = listening_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = Server(Gateway(app), [listening])
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()
        server.stop()


class TestEvent:
    def test_an_event_has_the_shape_of_api_gateway(self):
        """An event has the shape of a REST API's proxy integration with the binary media type */*."""
        event = event_from_request(
            request(
                "POST",
                "/things/a%2Fb",
                "q=1&q=a+b&empty=",
                {"Host": "h:1", "User-Agent": "ua", "Content-Type": "text/plain"},
                b"\xff body",
            ),
            "/things/{name}",
            {"name": "a%2Fb"},
        )
        context = event.pop("requestContext")
        assert event == {
            "resource": "/things/{name}",
            "path": "/things/a%2Fb",
            "httpMethod": "POST",
            "headers": {"Host": "h:1", "User-Agent": "ua", "Content-Type": "text/plain"},
            "multiValueHeaders": {
                "Host": ["h:1"],
                "User-Agent": ["ua"],
                "Content-Type": ["text/plain"],
            },
            "queryStringParameters": {"q": "a b", "empty": ""},
            "multiValueQueryStringParameters": {"q": ["1", "a b"], "empty": [""]},
            "pathParameters": {"name": "a%2Fb"},
            "stageVariables": None,
            "body": base64.b64encode(b"\xff body").decode(),
            "isBase64Encoded": True,
        }
        assert context.pop("requestId")
        assert context.pop("requestTimeEpoch") > 1_700_000_000_000
        assert context == {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "h:1",
            "httpMethod": "POST",
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "ua"},
            "path": "/things/a%2Fb",
            "protocol": "HTTP/1.1",
            "resourcePath": "/things/{name}",
            "stage": "clew",
        }

    def test_nothing_is_null(self):
        """What a request does not have is null in its event, not empty."""
        event = event_from_request(request(), "/", {})
        absent = (
            "queryStringParameters",
            "multiValueQueryStringParameters",
            "pathParameters",
            "body",
        )
        assert [event[name] for name in absent] == [None] * 4
        assert event["isBase64Encoded"] is False


class TestRoutes:
    ROUTES = Routes(["/", "/a/{x}", "/a/fixed", "/{y}/fixed", "/a/{x}/b"])

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/", ("/", {})),
            ("/a/1", ("/a/{x}", {"x": "1"})),
            ("/a/fixed", ("/a/fixed", {})),
            ("/b/fixed", ("/{y}/fixed", {"y": "b"})),
            ("/a/1/b", ("/a/{x}/b", {"x": "1"})),
            ("/a/1/", ("/a/{x}", {"x": "1"})),
            ("/a/%2F", ("/a/{x}", {"x": "%2F"})),
            ("/a//b", None),
            ("/a/", None),
            ("/a", None),
            ("/a/1/c", None),
        ],
    )
    def test_a_parameter_is_one_segment_and_fixed_segments_win(self, path, expected):
        """A parameter is one segment that is not empty, and a fixed segment wins over it."""
        assert self.ROUTES.match(path) == expected


class TestAnswer:
    def test_unknown_path(self):
        """A path without a route is 404 in the form of Clew's own errors."""
        answer = Gateway(tiny_app()).answer(request(path="/nowhere"))
        assert answer.status == 404
        error = json.loads(answer.body)["error"]
        assert (error["code"], error["parameter"]) == ("not_found", None)
        assert "/nowhere" in error["message"]

    def test_wrong_method(self):
        """A route's other methods are 405, and Allow says which there are."""
        answer = Gateway(tiny_app()).answer(request("DELETE", "/v1/traces"))
        assert answer.status == 405
        assert json.loads(answer.body)["error"]["code"] == "method_not_allowed"
        assert ("Allow", "POST") in answer.headers

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/nowhere", 404),
            ("OPTIONS", "/nowhere", 404),
            ("DELETE", "/v1/traces", 405),
            ("POST", "/v1/traces", 413),
            ("GET", "/broken", 502),
        ],
    )
    def test_every_page_may_read_what_the_gateway_says(self, method, path, status):
        """A page of any origin is told why its request failed, with credentials too; no `*`, which they exclude."""
        body = bytes(BODY_BYTES_MAX + 1) if status == 413 else b""
        headers = {"Origin": "https://app.example"}
        answer = Gateway(tiny_app()).answer(request(method, path, headers=headers, body=body))
        assert answer.status == status
        said = dict(answer.headers)
        assert said["Access-Control-Allow-Origin"] == "https://app.example"
        assert said["Access-Control-Allow-Credentials"] == "true"
        assert said["Vary"] == "Origin"

    def test_the_gateway_leaves_preflights_to_the_function(self):
        """The gateway decides nothing about preflights: OPTIONS is a method as any other."""
        assert Gateway(tiny_app()).answer(request("OPTIONS", "/v1/traces")).status == 405

    def test_too_large(self):
        """A body above API Gateway's 10 MB is 413, and no function sees it."""
        app = tiny_app()
        gateway = Gateway(app)
        post = request("POST", "/v1/traces", body=bytes(BODY_BYTES_MAX + 1))
        assert gateway.answer(post).status == 413
        assert app.events == []

    def test_a_raising_function_is_a_502(self, caplog):
        """A function that raises is 502, as for a client of API Gateway, and the log says why."""
        answer = Gateway(tiny_app()).answer(request(path="/broken"))
        assert answer.status == 502
        assert json.loads(answer.body) == {"message": "Internal server error"}
        assert "Expected bytes type" in caplog.text

    @pytest.mark.parametrize(
        "response",
        [
            None,
            {},
            {"statusCode": "many"},
            {"statusCode": 200, "body": {"not": "text"}},
            {"statusCode": 200, "body": "%", "isBase64Encoded": True},
            {"statusCode": 200, "body": "x" * 6_291_557},
        ],
    )
    def test_invalid_response(self, response):
        """What API Gateway cannot make a response of is refused: other types, bad base64, over 6 MB."""
        with pytest.raises(InvalidResponse):
            answer_from_response(response)

    def test_multiple_headers(self):
        """A header with several values becomes several headers."""
        answer = Gateway(tiny_app()).answer(request(path="/empty"))
        cookies = [value for name, value in answer.headers if name == "Set-Cookie"]
        assert (answer.status, cookies) == (204, ["a=1", "b=2"])

    def test_one_request_a_thread(self):
        """Requests in several threads do not see each other, although Chalice keeps one at a time."""
        app = tiny_app()
        both_inside = threading.Barrier(2, timeout=60)

        @app.route("/who/{name}")
        def who(name):
            both_inside.wait()
            assert app.current_request is not None
            return (app.current_request.uri_params or {})["name"].encode()

        gateway = Gateway(app)
        answers = {}

        def ask(name: str) -> None:
            answers[name] = gateway.answer(request(path=f"/who/{name}")).body

        threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {"one": b"one", "two": b"two"}


class TestSocket:
    def test_chunked_body(self):
        """A chunked body arrives whole."""
        app = tiny_app()
        app.routes["/v1/traces"]["POST"].view_function = lambda: b"{}"
        with served(app) as connection:
            parts = [b"a" * 70_000, b"b" * 70_000]
            connection.request("POST", "/v1/traces", body=iter(parts), encode_chunked=True)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"{}")
        assert base64.b64decode(app.events[0]["body"]) == b"".join(parts)

    def test_absent_headers(self):
        """A header that the client did not send is not in the event; Accept, which senders leave out, above all."""
        app = tiny_app()
        with served(app) as connection:
            connection.putrequest("GET", "/", skip_accept_encoding=True)
            connection.endheaders()
            assert connection.getresponse().read() == b"page"
        assert set(app.events[0]["headers"]) == {"Host"}

    def test_encoded_path(self):
        """Path parameters and the path keep their percent-encoding; query parameters lose it."""
        app = tiny_app()
        with served(app) as connection:
            connection.request("GET", "/things/a%2Fb%20c%25?q=%C3%A9%26")
            assert connection.getresponse().read() == b'"a%2Fb%20c%25"'
        assert app.events[0]["path"] == "/things/a%2Fb%20c%25"
        assert app.events[0]["queryStringParameters"] == {"q": "é&"}

    def test_head_is_get_without_the_body(self):
        """HEAD is GET without the body: the same headers, its length too."""
        with served(tiny_app()) as connection:
            connection.request("HEAD", "/")
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"")
            assert response.headers["Content-Length"] == "4"
            assert response.headers["Content-Type"] == "text/html"
            connection.request("GET", "/")  # the connection is still in step
            assert connection.getresponse().read() == b"page"

    def test_not_modified(self):
        """A 304 has its headers, no body and no length, and the connection goes on after it."""
        app = tiny_app()

        @app.route("/known")
        def known():
            headers = {**HTML, "ETag": '"x"', "Cache-Control": "no-cache"}
            return Response(b"", headers, 304)

        with served(app) as connection:
            connection.request("GET", "/known", headers={"If-None-Match": '"x"'})
            response = connection.getresponse()
            assert (response.status, response.read()) == (304, b"")
            assert response.headers["ETag"] == '"x"'
            assert response.headers["Cache-Control"] == "no-cache"
            assert "Content-Length" not in response.headers
            assert "Transfer-Encoding" not in response.headers
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"page"
        assert app.events[0]["headers"]["If-None-Match"] == '"x"'

    def test_compressed_body(self):
        """A compressed body and its Content-Encoding pass as they are."""
        app = tiny_app()
        app.routes["/v1/traces"]["POST"].view_function = lambda: b"{}"
        body = gzip.compress(b"spans")
        with served(app) as connection:
            connection.request("POST", "/v1/traces", body, {"Content-Encoding": "gzip"})
            assert connection.getresponse().read() == b"{}"
        assert base64.b64decode(app.events[0]["body"]) == body
        assert app.events[0]["headers"]["Content-Encoding"] == "gzip"

    def test_too_large(self):
        """A client that sends more than 10 MB reads its 413."""
        with served(tiny_app()) as connection:
            connection.request("POST", "/v1/traces", bytes(BODY_BYTES_MAX + 1))
            assert connection.getresponse().status == 413

    def test_stop_finishes_requests(self):
        """A request that runs when the server is stopped gets its whole answer."""
        app = tiny_app()
        inside, may_go = threading.Event(), threading.Event()

        @app.route("/slow")
        def slow():
            inside.set()
            may_go.wait(60)
            return b"x" * 1_000_000

        listening = listening_socket("127.0.0.1", 0)
        port = listening.getsockname()[1]
        server = Server(Gateway(app), [listening])
        server.start()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/slow")
        assert inside.wait(60)
        stopping = threading.Thread(target=server.stop, args=(10,))
        stopping.start()
        may_go.set()
        assert len(connection.getresponse().read()) == 1_000_000
        stopping.join(60)
        connection.close()


def test_a_server_may_wake_by_itself_while_it_is_stopped(monkeypatch):
    """Stopping ends well whenever the server sees that it is to end: before the one that stops it is done, too."""
    server = Server(Gateway(tiny_app()), [listening_socket("127.0.0.1", 0)])
    server.start()
    pull = trigger._physical_pull

    def wake_before(self):
        pull(self)
        server._thread.join(0.3)
        pull(self)

    monkeypatch.setattr(trigger, "_physical_pull", wake_before)
    server.stop()
    assert not server._thread.is_alive()
