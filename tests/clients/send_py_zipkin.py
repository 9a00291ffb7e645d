"""A server's span and its call to a database, by py_zipkin in each of its encodings: `START_UNIX_SECONDS URL`.

A TOKEN in the environment goes into the URL. It runs in an environment of its own.
"""

import os
import random
import sys
import time

import requests
from py_zipkin import Encoding, Kind
from py_zipkin.zipkin import ZipkinAttrs, zipkin_span

PATHS = {
    Encoding.V1_JSON: "/api/v1/spans",
    Encoding.V1_THRIFT: "/api/v1/spans",
    Encoding.V2_JSON: "/api/v2/spans",
    Encoding.V2_PROTO3: "/api/v2/spans",
}
MEDIA_TYPES = {
    Encoding.V1_THRIFT: "application/x-thrift",
    Encoding.V2_PROTO3: "application/x-protobuf",
}


class Clock:
    """Stands for time.time: the root's span asks it, whatever times it is given."""

    def __init__(self, start):
        self.now = start

    def __call__(self):
        return self.now


def send(url, encoding, trace_id, clock):
    def transport(body):
        headers = {"Content-Type": MEDIA_TYPES.get(encoding, "application/json")}
        answer = requests.post(url + PATHS[encoding], body, headers=headers, timeout=10)
        assert answer.status_code == 202, answer.text

    root = zipkin_span(
        service_name="Py-Zipkin",
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
            service_name="py-zipkin",
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
    start, url = float(sys.argv[1]), sys.argv[2]
    if token := os.environ.get("TOKEN"):
        url = url.replace("://", f"://any:{token}@")
    random.seed(1)
    for number, encoding in enumerate(PATHS):
        time.time = Clock(start + number)
        send(url, encoding, f"a{number}" * 16, time.time)


if __name__ == "__main__":
    main()
