"""Hostile requests, as data: bodies, questions and half-sent requests, each with a name and what it is made of.

A body is made when it is asked for: many are 16 MB before they are compressed.
"""

from __future__ import annotations

import gzip
import json
import struct
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from chalicelib.model.wire import field

if TYPE_CHECKING:
    from collections.abc import Callable

UNCOMPRESSED_BYTES = 15_900_000
"""A little less than a request may have."""
JSON, PROTOBUF = "application/json", "application/x-protobuf"
THRIFT = "application/x-thrift"
REPEATS = 700
"""As often as one parameter fits a URL."""


class Body(NamedTuple):
    """A body that is sent whole."""

    name: str
    method: str
    path: str
    media_type: str
    make: Callable[[], bytes]
    """The bytes before compression; they are sent gzipped."""
    is_sent_as_made: bool = False
    """Whether what `make` returns is compressed already."""

    @property
    def sent(self) -> bytes:
        return self.make() if self.is_sent_as_made else gzip.compress(self.make(), 6)


def _filled(before: bytes, repeated: bytes, after: bytes, between: bytes = b"") -> bytes:
    """`before`, `repeated` as often as there is room, `after`."""
    room = UNCOMPRESSED_BYTES - len(before) - len(after)
    count = room // (len(repeated) + len(between))
    return before + between.join([repeated] * count) + after


def _json(before: bytes, repeated: bytes, after: bytes) -> Callable[[], bytes]:
    return lambda: _filled(before, repeated, after, b",")


def _plain(before: bytes, repeated: bytes, after: bytes = b"") -> Callable[[], bytes]:
    return lambda: _filled(before, repeated, after)


def _wrapped(*numbers: int, repeated: bytes) -> Callable[[], bytes]:
    """Protobuf: a field that is repeated as often as there is room, in messages of these fields, outermost first."""

    def make() -> bytes:
        content = repeated * ((UNCOMPRESSED_BYTES - 60) // len(repeated))
        for number in reversed(numbers):
            content = field(number, content)
        return content

    return make


_SPAN = b'{"resourceSpans":[{"scopeSpans":[{"spans":['
_ID = b'"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"'
_ZIPKIN = b'{"traceId":"0af7651916cd43dd8448eb211c80319c","id":"b7ad6b7169203331"'
_IDS = field(1, b"\x01" * 16) + field(2, b"\x02" * 8)

OTLP_JSON = {
    "spans of nothing": _json(_SPAN, b"{}", b"]}]}]}"),
    "scopes of nothing": _json(b'{"resourceSpans":[{"scopeSpans":[', b"{}", b"]}]}"),
    "resources of nothing": _json(b'{"resourceSpans":[', b"{}", b"]}"),
    "attributes of nothing": _json(_SPAN + b"{" + _ID + b',"attributes":[', b"{}", b"]}]}]}]}"),
    "events of nothing": _json(_SPAN + b"{" + _ID + b',"events":[', b"{}", b"]}]}]}]}"),
    "links of nothing": _json(_SPAN + b"{" + _ID + b',"links":[', b"{}", b"]}]}]}]}"),
    "an array of nothing": _json(
        _SPAN + b"{" + _ID + b',"attributes":[{"key":"k","value":{"arrayValue":{"values":[',
        b"{}",
        b"]}}}]}]}]}]}",
    ),
    "an unknown member": _json(b'{"x":[', b"0", b"]}"),
    "an unknown member of members": lambda: (
        b'{"x":{' + b",".join(b'"%07d":{}' % number for number in range(1_200_000)) + b"}}"
    ),
    "a member again and again": _json(b'{"resourceSpans":[{', b'"scopeSpans":[]', b"}]}"),
    "escapes": _json(_SPAN + b"{" + _ID + b',"name":"', b"\\u0000", b'"}]}]}]}'),
    "one long number": _plain(_SPAN + b"{" + _ID + b',"startTimeUnixNano":', b"9", b"}]}]}]}"),
    "open brackets": _plain(b'{"resourceSpans":', b"["),
    "nested objects": _plain(b"", b'{"x":'),
}
OTLP_PROTOBUF = {
    "spans of nothing": _wrapped(1, 2, repeated=field(2, b"")),
    "scopes of nothing": _wrapped(1, repeated=field(2, b"")),
    "resources of nothing": _wrapped(repeated=field(1, b"")),
    "attributes of nothing": lambda: field(1, field(2, field(2, _IDS + field(9, b"") * 7_800_000))),
    "events of nothing": lambda: field(1, field(2, field(2, _IDS + field(11, b"") * 7_800_000))),
    "links of nothing": lambda: field(1, field(2, field(2, _IDS + field(13, b"") * 7_800_000))),
    "resource attributes of nothing": _wrapped(1, 1, repeated=field(1, b"")),
    "unknown fields": _wrapped(repeated=b"\xf8\x01\x00"),
}
ZIPKIN_JSON = {
    "spans of nothing": _json(b"[", b"{}", b"]"),
    "annotations of nothing": _json(b"[" + _ZIPKIN + b',"annotations":[', b"{}", b"]}]"),
    "tags": lambda: (
        b"["
        + _ZIPKIN
        + b',"tags":{'
        + b",".join(b'"%07d":""' % number for number in range(1_200_000))
        + b"}}]"
    ),
    "an unknown member": _json(b"[" + _ZIPKIN + b',"x":[', b"0", b"]}]"),
    "open brackets": _plain(b"", b"["),
}
ZIPKIN_PROTOBUF = {
    "spans of nothing": _wrapped(repeated=field(1, b"")),
    "annotations of nothing": _wrapped(1, repeated=field(10, b"")),
}
JAEGER_THRIFT = {
    # A Batch: field 2, a list of structs, as many as a length can say.
    "a count of two thousand million": lambda: (
        b"\x0f\x00\x02\x0c" + struct.pack(">i", 2**31 - 1) + b"\0" * 1_000_000
    ),
    "spans of nothing": lambda: (
        b"\x0f\x00\x02\x0c" + struct.pack(">i", 4_000_000) + b"\0" * 4_000_000
    ),
    "nested structs": _plain(b"", b"\x0c\x00\x01"),
}


def bodies() -> list[Body]:
    """Every body that is sent whole."""
    kinds = (
        ("OTLP/JSON", "POST", "/v1/traces", JSON, OTLP_JSON),
        ("OTLP", "POST", "/v1/traces", PROTOBUF, OTLP_PROTOBUF),
        ("Jaeger's upload", "POST", "/api/transform", JSON, OTLP_JSON),
        ("Zipkin", "POST", "/api/v2/spans", JSON, ZIPKIN_JSON),
        ("Zipkin proto3", "POST", "/api/v2/spans", PROTOBUF, ZIPKIN_PROTOBUF),
        ("Zipkin v1", "POST", "/api/v1/spans", JSON, ZIPKIN_JSON),
        ("Jaeger Thrift", "POST", "/api/traces", THRIFT, JAEGER_THRIFT),
    )
    made = [
        Body(f"{dialect}: {name}", method, path, media_type, make)
        for dialect, method, path, media_type, by_name in kinds
        for name, make in by_name.items()
    ]
    return [
        *made,
        Body(
            "gzip members of nothing",
            "POST",
            "/v1/traces",
            PROTOBUF,
            lambda: gzip.compress(b"", mtime=0) * 220_000,
            is_sent_as_made=True,
        ),
        Body("zeros", "POST", "/v1/traces", PROTOBUF, lambda: b"\0" * 60_000_000),
        Body("not a body at all", "POST", "/v1/traces", JSON, lambda: b"\xff" * 100_000),
    ]


@cache
def big_trace(trace_id: bytes, spans: int) -> list[bytes]:
    """OTLP requests of 10,000 spans each that make one trace together."""
    requests = []
    for begin in range(0, spans, 10_000):
        raws = b"".join(
            field(
                2,
                field(1, trace_id)
                + field(2, number.to_bytes(8, "big"))
                + field(5, b"one of many")
                + b"\x39"
                + struct.pack("<Q", 1_700_000_000 * 10**9 + number)
                + b"\x41"
                + struct.pack("<Q", 1_700_000_001 * 10**9 + number),
            )
            for number in range(begin + 1, min(begin + 10_000, spans) + 1)
        )
        resource = field(1, field(1, field(1, b"service.name") + field(2, field(1, b"attacked"))))
        requests.append(field(1, resource + field(2, raws)))
    return requests


def questions(trace_id: str, now_unix_milliseconds: int) -> dict[str, str]:
    """Name → path and query of questions that ask for much; `trace_id` is that of a huge trace."""
    year = 365 * 86_400_000
    repeated = [trace_id] * REPEATS
    return {
        "a huge trace as OTLP": f"/v1/traces/{trace_id}",
        "a huge trace as Jaeger's": f"/api/traces/{trace_id}",
        "a huge trace as Jaeger's third": f"/api/v3/traces/{trace_id}",
        "a huge trace as Zipkin's": f"/api/v2/trace/{trace_id}",
        "one trace many times, Jaeger": "/api/traces?"
        + urlencode([("traceID", t) for t in repeated]),
        "one trace many times, Zipkin": "/api/v2/traceMany?traceIds=" + ",".join(repeated[:200]),
        "many traces that are none": "/api/traces?"
        + urlencode([("traceID", f"{number:032x}") for number in range(1, REPEATS)]),
        "the largest search": "/v1/traces?limit=1000&start=0",
        "a search for nothing": "/v1/traces?limit=1000&start=0&attribute=no%3Dx",
        "a search of Jaeger's": "/api/traces?service=attacked&limit=1500&lookback=custom"
        f"&start={(now_unix_milliseconds - year) * 1000}&end={now_unix_milliseconds * 1000}",
        "a search of Zipkin's": f"/api/v2/traces?limit=1000&lookback={year}",
        "metrics of a service many times": "/api/metrics/latencies?quantile=0.95&"
        + urlencode([("service", "attacked")] * REPEATS),
        "metrics of many services": "/api/metrics/calls?"
        + urlencode([("service", f"s{number}") for number in range(REPEATS)]),
        "edges of a year": f"/v1/edges?start={(now_unix_milliseconds - year) // 1000}",
        "dependencies of a year": f"/api/dependencies?endTs={now_unix_milliseconds}&lookback={year}",
        "dependencies of a year, Zipkin": f"/api/v2/dependencies?endTs={now_unix_milliseconds}&lookback={year}",
        "statistics in small steps": f"/v1/services/attacked/statistics?step=1s"
        f"&start={(now_unix_milliseconds - year) // 1000}",
        "tags that are deep": "/api/traces?service=attacked&tags=" + "%5B" * 2_000,
        "tags that are many": "/api/traces?"
        + urlencode({"service": "attacked", "tags": json.dumps({str(n): "" for n in range(300)})}),
        "a name that is long": "/v1/services/" + "a" * 6_000 + "/statistics",
    }


HALF_SENT = {
    "headers without an end": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\n",
    "nothing at all": b"",
    "a header that goes on": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000,
    "half a body": b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 16000000\r\n\r\n" + b" " * 2_000_000,
    "half a chunked body": b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n" + b" " * 2_000_000,
    "two lengths": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\naa",
    "a length and chunks": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/services HTTP/1.1\r\nHost: a\r\n\r\n",
}
"""Name → bytes after which nothing follows."""
