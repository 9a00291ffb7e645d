"""A server's span and its call to a database, by py_zipkin in each of its encodings: `START_UNIX_SECONDS URL`.

A TOKEN in the environment goes into a header. It runs in environments of its own, with a version that knows Thrift and
with one that does not.
"""

import os
import random
import sys
import time
from importlib.metadata import version
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from py_zipkin import Encoding, Kind
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.zipkin import ZipkinAttrs, zipkin_span

ENCODINGS = [Encoding.V1_JSON, Encoding.V2_JSON, Encoding.V2_PROTO3]
IS_OLD = version("py-zipkin").startswith("0.")
SERVICE = "Py-Zipkin" if IS_OLD else "Py-Zipkin-1"
if IS_OLD:
    ENCODINGS.insert(1, Encoding.V1_THRIFT)


class Transport(SimpleHTTPTransport):
    """As the library's, which knows no token, and in old versions cannot send JSON with Python 3."""

    def send(self, payload):
        path, media_type = self._get_path_content_type(payload)
        body = payload.encode() if isinstance(payload, str) else payload
        headers = {"Content-Type": media_type}
        if token := os.environ.get("TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        urlopen(Request(f"http://{self.address}:{self.port}{path}", body, headers), timeout=10)


class Clock:
    """Stands for time.time: the root's span asks it, whatever times it is given."""

    def __init__(self, start):
        self.now = start

    def __call__(self):
        return self.now


def send(transport, encoding, trace_id, clock):
    root = zipkin_span(
        service_name=SERVICE,
        span_name="GET /order",
        transport_handler=transport,
        zipkin_attrs=ZipkinAttrs(trace_id, trace_id[16:], None, "0", True),
        report_root_timestamp=True,
        port=8080,
        host="192.0.2.1",
        encoding=encoding,
        kind=Kind.SERVER,
        binary_annotations={"http.method": "GET", "encoding": encoding.name},
    )
    with root:
        clock.now += 0.25
        with zipkin_span(
            service_name=SERVICE.lower(),
            span_name="SELECT",
            host="192.0.2.1",
            port=8080,
            kind=Kind.CLIENT,
            binary_annotations={"error": "no such table"},
        ) as call:
            call.add_sa_binary_annotation(port=5432, service_name="Postgres", host="192.0.2.9")
            clock.now += 0.5
        clock.now += 0.25


def main():
    start, url = float(sys.argv[1]), urlsplit(sys.argv[2])
    kind = Transport if IS_OLD or os.environ.get("TOKEN") else SimpleHTTPTransport
    random.seed(1)
    for number, encoding in enumerate(ENCODINGS):
        time.time = Clock(start + number)
        trace_id = f"{'a' if IS_OLD else '9'}{number}" * 16
        send(kind(url.hostname, url.port), encoding, trace_id, time.time)


if __name__ == "__main__":
    main()
