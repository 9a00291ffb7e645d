"""What two servers could read as two different requests is refused, and the connection ends: bytes on a socket."""

from __future__ import annotations

import base64
import socket
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from waitress.buffers import OverflowableBuffer

from local.gateway import Gateway
from local.http_parser import (
    CHUNKS_MAX,
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    LINE_BYTES_MAX,
    TRAILERS_MAX,
    Chunks,
)
from local.server import Server, listening_socket
from tests.local.tiny_app import tiny_app

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
HEADERS = b"Host: a\r\n"
POST = b"POST /v1/traces HTTP/1.1\r\n" + HEADERS
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED = {
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
    "the same length twice": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "a length that is no number": POST + b"Content-Length: five\r\n\r\n",
    "a hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "a length of digits of another script": POST + b"Content-Length: \xd9\xa5\r\n\r\n",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a length of 5,000 digits": POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two encodings": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an unknown encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "an empty encoding": POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /v1/traces HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another version": b"POST /v1/traces HTTP/2.0\r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
    "a folded first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "NUL in a name": POST + b"X\0: 1\r\n\r\n",
    "NUL in a value": POST + b"X: 1\0\r\n\r\n",
    "NUL in the URL": b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab in the URL": b"GET /\tx HTTP/1.1\r\nHost: a\r\n\r\n",
    "a lone CR in a value": POST + b"X: 1\rY: 2\r\n\r\n",
    "a lone LF in a value": POST + b"X: 1\nY: 2\r\n\r\n",
    "a header without colon": POST + b"nothing\r\n\r\n",
    "an unfinished address in the URL": b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no method": b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a lower-case method": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "too many headers": POST + b"X: 1\r\n" * (HEADERS_MAX + 1) + b"\r\n",
    "too much of headers": POST + b"X: " + b"x" * HEADER_BYTES_MAX + b"\r\n\r\n",
    "headers without end": POST + b"X: " + b"x" * HEADER_BYTES_MAX,
    "a chunk size that is none": CHUNKED + b"five\r\nhello\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with LF": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "a chunk size of many digits": CHUNKED + b"0" * 9 + b"5\r\nhello\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"4\r\nhello\r\n0\r\n\r\n",
    "a control character beside a chunk size": CHUNKED + b"5;\0\r\nhello\r\n0\r\n\r\n",
    "a long line of a chunk": CHUNKED + b"5;" + b"x" * LINE_BYTES_MAX + b"\r\nhello\r\n0\r\n\r\n",
    "too many chunks": CHUNKED + b"1\r\na\r\n" * (CHUNKS_MAX + 1) + b"0\r\n\r\n",
    "too many trailers": CHUNKED + b"0\r\n" + b"X: 1\r\n" * (TRAILERS_MAX + 1) + b"\r\n",
}


@pytest.fixture(scope="module")
def app():
    return tiny_app()


@pytest.fixture(scope="module")
def port(app):
    listening = listening_socket("127.0.0.1", 0)
    server = Server(Gateway(app), [listening])
    server.start()
    yield listening.getsockname()[1]
    server.stop()


def said(port: int, request: bytes) -> bytes:
    """Everything that a connection says, after these bytes, until it ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(request)
        parts = []
        while part := client.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_request_is_refused_once_in_plain_words(port, app, name):
    """It is refused once, in a line that is not Python's, and what follows in the connection is no request."""
    app.events.clear()
    answer = said(port, REFUSED[name] + SMUGGLED)
    status = int(answer.split(b" ")[1])
    assert status in (400, 413, 431, 501)
    assert answer.count(b"Server: clew") == 1
    assert b"Traceback" not in answer
    assert b"Error:" not in answer
    assert app.events == []


def test_unusual_requests_with_one_meaning_are_taken(port, app):
    """What is unusual and has one meaning is taken: chunks with extensions and trailers, blank lines, absolute URLs."""
    app.routes["/v1/traces"]["POST"].view_function = lambda: b"{}"
    body = b'3;a="b"\r\nhel\r\n2 ; c\r\nlo\r\n0\r\nX: 1\r\n\r\n'
    last = b"GET http://a/things/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = said(port, b"\r\n" + CHUNKED + body + POST + b"Content-Length: 2\r\n\r\nhi" + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    bodies = [event["body"] for event in app.events[-3:]]
    assert [each and base64.b64decode(each) for each in bodies] == [b"hello", b"hi", None]


def test_blank_lines_without_end(port):
    """A connection of nothing but blank lines is ended."""
    assert said(port, b"\r\n\r\n" * 100) == b""


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.lists(st.integers(0, 4_000), max_size=8),
    st.binary(max_size=20),
)
def test_chunks_in_any_pieces(chunks, cuts, following):
    """A chunked body is the same wherever the network cuts it, and not a byte after its end is taken."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    receiver = Chunks(OverflowableBuffer(1_000_000))
    for start, end in pairwise(places):
        part = body[start:end] + (following if end == len(body) else b"")
        assert receiver.received(part) == end - start
    assert receiver.completed
    assert receiver.error is None
    assert receiver.getfile().read() == b"".join(chunks)


def test_small_chunks_cost_their_bytes():
    """The smallest chunks there may be take no more time than so many bytes of any body: far below a second of CPU."""
    content = b"1\r\na\r\n" * CHUNKS_MAX
    receiver = Chunks(OverflowableBuffer(1_000_000))
    began = time.process_time()
    for start in range(0, len(content), 65_536):
        receiver.received(content[start : start + 65_536])
    assert time.process_time() - began < 2
    assert receiver.error is None
