"""The same spans into Zipkin's own server and into Clew, the same questions to both: each difference is listed here.

The server keeps its spans in memory and is started on 127.0.0.1; `make contract` installs it, and it wants Java 17.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import orjson
import pytest

from chalicelib.errors import InvalidPayload
from chalicelib.http.request import QueryRequest
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from chalicelib.zipkin import ingest as zipkin
from chalicelib.zipkin import ingest_v1 as zipkin_v1
from tests.clients.test_zipkin_clients import GOLDEN, READERS, golden_payload
from tests.contract.searched import payloads
from tests.contract.test_queries import QUERIES, named, names_in, with_times
from tests.dialects import ZIPKIN as ANSWERS
from tests.memory_store import MemoryStore
from tests.query.committed import put_payload

pytestmark = [pytest.mark.slow, pytest.mark.emulator]

INSTALLED = Path(__file__).parents[2] / ".venv-emulator" / "zipkin-server"
START_SECONDS_MAX = 120
NOW = 1_795_500_000
"""After the golden bodies were recorded."""
MEDIA_TYPES = {"v1-thrift": "application/x-thrift", "v2-proto3": "application/x-protobuf"}
TIMES: dict[str, Any] = {"endTs": NOW * 1_000, "lookback": 86_400_000 * 14}
MICRO = 10**6


class Got(NamedTuple):
    status: int
    text: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)


class Server:
    """Zipkin's server, over HTTP."""

    def __init__(self, url: str) -> None:
        self._url = url

    def post(self, path: str, body: bytes, media_type: str = "application/json") -> Got:
        request = Request(self._url + path, body, {"Content-Type": media_type}, method="POST")
        return self._opened(request)

    def get(self, route: str, path: str = "", **parameters: Any) -> Got:
        route = route.replace("{trace_id}", path)
        return self._opened(Request(f"{self._url}/api/v2/{route}?{urlencode(parameters)}"))

    def get_raw(self, path_and_query: str) -> Got:
        return self._opened(Request(self._url + path_and_query))

    def _opened(self, request: Request) -> Got:
        try:
            with urlopen(request, timeout=60) as answer:
                return Got(answer.status, answer.read().decode())
        except HTTPError as error:
            return Got(error.code, error.read().decode())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    jars = sorted(INSTALLED.glob("zipkin-server-*-exec.jar"))
    if not jars or shutil.which("java") is None:
        pytest.skip("Zipkin's server is not installed (make contract installs it where Java is)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME", "JAVA_HOME") if key in os.environ},
        "QUERY_PORT": str(port),
        "STORAGE_TYPE": "mem",
        "ARMERIA_PORTS_0_IP": "127.0.0.1",
        "ARMERIA_PORTS_0_PORT": str(port),
        "ARMERIA_PORTS_0_PROTOCOLS_0": "http",
    }
    log = (tmp_path_factory.mktemp("zipkin") / "log").open("wb")
    process = subprocess.Popen(
        ["java", "-Xmx256m", "-jar", jars[-1]], stdout=log, stderr=log, env=environment
    )
    try:
        ends = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (URLError, ConnectionError):
                assert process.poll() is None
                assert time.monotonic() < ends, "it does not start"
                time.sleep(0.5)
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()
        log.close()


def clew(store: MemoryStore, route: str, path: str = "", **parameters: Any) -> Got:
    values = {name: [str(value)] for name, value in parameters.items()}
    asked = QueryRequest(store, {"trace_id": path}, values, {}, b"", NOW * 10**9, lambda: True)
    answer = ANSWERS[f"GET /api/v2/{route}"](asked)
    return Got(answer.status, answer.body.decode())


SERVICES = ["front", "Back", "db", "queue"]
TAGS = {"k": ["v", "w", ""], "error": ["", "x", "false"], "peer.service": ["p"]}


def a_trace(some: random.Random, number: int) -> list[dict[str, Any]]:
    """Calls from service to service as Brave sends them: shared spans, local spans, databases, errors."""
    trace_id = f"{some.getrandbits(some.choice([64, 128])) | 1:x}"
    found: list[dict[str, Any]] = []
    at = (NOW - 600 - number) * MICRO

    def add(**fields: Any) -> dict[str, Any]:
        tags = {key: some.choice(values) for key, values in TAGS.items() if some.random() < 0.2}
        annotations = [
            {"timestamp": at + some.randrange(9), "value": some.choice(["k", "error", "note"])}
            for _ in range(some.choice([0, 0, 1, 3]))
        ]
        span = {
            "traceId": trace_id,
            "timestamp": at + len(found),
            "duration": some.choice([0, 1, 500, 20_000]),
            "name": some.choice(["get", "PUT", ""]),
            "tags": tags,
            "annotations": annotations,
            **fields,
        }
        found.append(span)
        return span

    def serve(service: str, span_id: str, parent: str | None, depth: int, *, shared: bool) -> None:
        add(
            id=span_id,
            parentId=parent,
            kind="SERVER",
            shared=shared,
            localEndpoint={"serviceName": service, "ipv4": "192.0.2.1"},
        )
        for _ in range(some.choice([0, 1, 2]) if depth else 0):
            call = f"{some.getrandbits(64) | 1:x}"
            callee = some.choice([each for each in SERVICES if each != service])
            add(
                id=call,
                parentId=span_id,
                kind="CLIENT",
                localEndpoint={"serviceName": service, "ipv4": "192.0.2.1"},
                remoteEndpoint={"serviceName": callee, "port": 80},
                debug=some.random() < 0.1,
            )
            if some.random() < 0.7:
                serve(callee, call, span_id, depth - 1, shared=True)

    serve(some.choice(SERVICES), f"{some.getrandbits(64) | 1:x}", None, 3, shared=False)
    return found


@pytest.fixture(scope="module")
def both(server):
    """Zipkin's server and a store, after the golden bodies and some traces went into each."""
    store = MemoryStore()
    for path in GOLDEN:
        (ending,) = [ending for ending in READERS if path.stem.endswith(ending)]
        got = server.post(
            f"/api/{ending[:2]}/spans",
            path.read_bytes(),
            MEDIA_TYPES.get(ending, "application/json"),
        )
        assert got.status == 202
        put_payload(store, golden_payload(path).payload, NOW)
    some = random.Random(1)
    for number in range(60):
        body = orjson.dumps(a_trace(some, number))
        assert server.post("/api/v2/spans", body).status == 202
        put_payload(store, zipkin.payload_from_json(body).payload, NOW)
    # The server stores what it has answered.
    ends = time.monotonic() + 20
    while len(server.get("traces", limit=1_000, **TIMES).json) < 60 + len(GOLDEN):
        assert time.monotonic() < ends
        time.sleep(0.2)
    return server, store


def in_order(spans: list[Any]) -> list[bytes]:
    return sorted(orjson.dumps(span, option=orjson.OPT_SORT_KEYS) for span in spans)


def test_every_span_has_the_same_fields_as_in_zipkin(both):
    """Every span of every trace comes out of either with the same fields, real clients' among them."""
    server, store = both
    traces = server.get("traces", limit=1_000, **TIMES).json
    for trace in traces:
        trace_id = trace[0]["traceId"]
        theirs = server.get("trace/{trace_id}", trace_id).json
        ours = clew(store, "trace/{trace_id}", trace_id).json
        assert in_order(ours) == in_order(theirs)
    ours = clew(store, "traces", limit=1_000, **TIMES).json
    assert [trace[0]["traceId"] for trace in ours] == [trace[0]["traceId"] for trace in traces]


def test_names_are_the_same_as_in_zipkin(both):
    """Services and their span names."""
    server, store = both
    services = server.get("services").json
    assert clew(store, "services").json == services
    for service in services:
        theirs = server.get("spans", serviceName=service).json
        assert clew(store, "spans", serviceName=service).json == theirs
        theirs = server.get("remoteServices", serviceName=service).json
        # Whom OpenTelemetry's exporters call they tell in tags alone.
        expected = ["postgres"] if service == "otel-zipkin" else theirs
        assert clew(store, "remoteServices", serviceName=service).json == expected


def test_links_and_calls_are_the_same_as_in_zipkin(both):
    """The same links with the same calls; errors are those of either half.

    Zipkin leaves out a client's error where a shared span tells of the server's half.
    """
    server, store = both

    def links(got: Got) -> dict[tuple[str, str], tuple[int, int]]:
        return {
            (e["parent"], e["child"]): (e["callCount"], e.get("errorCount", 0)) for e in got.json
        }

    ours = links(clew(store, "dependencies", **TIMES))
    theirs = links(server.get("dependencies", **TIMES))
    # Whom OpenTelemetry's exporters call they tell in tags alone; of the first model's, not even the kind.
    assert ours.pop(("otel-zipkin", "postgres")) == (2, 2)
    assert {pair: calls for pair, (calls, _) in ours.items()} == {
        pair: calls for pair, (calls, _) in theirs.items()
    }
    assert all(ours[pair][1] >= errors for pair, (_, errors) in theirs.items())


def test_searches_find_the_same_traces_as_in_zipkin(both):
    """Three hundred searches, of every kind and combination: the same traces, in the same order."""
    server, store = both
    some = random.Random(2)
    terms = [
        "k",
        "k=v",
        "k=w",
        "error",
        "error=x",
        "note",
        "peer.service=p",
        "note=x",
        "http.method=GET",
    ]
    found = 0
    for _ in range(300):
        parameters: dict[str, Any] = {**TIMES, "limit": 1_000}
        if some.random() < 0.5:
            parameters["serviceName"] = some.choice(["front", "BACK", "db", "nobody", "py-zipkin"])
        if some.random() < 0.3:
            parameters["remoteServiceName"] = some.choice(["db", "Queue", "postgres"])
        if some.random() < 0.3:
            parameters["spanName"] = some.choice(["get", "put", "all", "select"])
        if some.random() < 0.6:
            parameters["annotationQuery"] = " and ".join(some.sample(terms, some.choice([1, 1, 2])))
        if some.random() < 0.3:
            parameters["minDuration"] = some.choice([1, 500, 501])
            if some.random() < 0.5:
                parameters["maxDuration"] = some.choice([501, 20_000])
        theirs = [trace[0]["traceId"] for trace in server.get("traces", **parameters).json]
        ours = [trace[0]["traceId"] for trace in clew(store, "traces", **parameters).json]
        assert ours == theirs, parameters
        found += bool(ours)
    assert found > 100


@pytest.fixture(scope="module")
def searched(both):
    """Zipkin's server, after the traces of queries.json went into it: OpenTelemetry's as Clew shows them."""
    server, _ = both
    for content in payloads():
        store = MemoryStore()
        put_payload(store, content, NOW)
        (trace_id,) = {span.trace_id for span in spans_of(content, Scopes())}
        trace = clew(store, "trace/{trace_id}", trace_id.hex()).text
        assert server.post("/api/v2/spans", trace.encode()).status == 202
        ends = time.monotonic() + 20
        while len(server.get("trace/{trace_id}", trace_id.hex()).text) < len(trace) // 2:
            assert time.monotonic() < ends
            time.sleep(0.1)
    return server


@named([query for query in QUERIES if query["dialect"] == "zipkin" and "method" not in query])
def test_recorded_queries_find_the_same_in_zipkin(searched, query):
    """The searches of queries.json find the same in Zipkin's server, and what is refused is refused there."""
    got = searched.get_raw(f"/api/v2/traces?{with_times(query)}")
    assert got.status == query.get("status", 200)
    if "expected" in query:
        assert names_in(query, got.json) == query["expected"]


@pytest.mark.parametrize(
    "span",
    [
        b"{}",
        b'{"traceId":"a"}',
        b'{"id":"a"}',
        b'{"traceId":"","id":"b"}',
        b'{"traceId":"a","id":""}',
        b'{"traceId":"A","id":"b"}',
        b'{"traceId":"0000","id":"b"}',
        b'{"traceId":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","id":"b"}',
        b'{"traceId":"a","id":"aaaaaaaaaaaaaaaaa"}',
        b'{"traceId":"a","id":"0000000000000000"}',
        b'{"traceId":"a","id":"b","parentId":"x"}',
        b'{"traceId":"a","id":"b","parentId":""}',
        b'{"traceId":"a","id":"b","kind":"ODD"}',
        b'{"traceId":"a","id":"b","timestamp":"x"}',
        b'{"traceId":"a","id":"b","tags":{"k":null}}',
        b'{"traceId":"a","id":"b","annotations":[{"value":"x"}]}',
        b'{"traceId":"a","id":"b","annotations":[{"timestamp":1,"value":"y"},{"timestamp":1}]}',
        b'{"traceId":"a","id":"b","localEndpoint":{"port":70000}}',
        b"5",
    ],
)
def test_refused_spans(server, span):
    """Both refuse a request of one bad span, in the same words."""
    theirs = server.post("/api/v2/spans", b"[" + span + b"]")
    assert theirs.status == 400
    with pytest.raises(InvalidPayload) as error:
        zipkin.payload_from_json(b"[" + span + b"]")
    assert str(error.value) == theirs.text.strip()


@pytest.mark.parametrize(
    "span",
    [
        b'{"traceId":"a","id":"b","parentId":"b"}',
        b'{"traceId":"a","id":"b","parentId":"0"}',
        b'{"traceId":"a","id":"b","timestamp":-5,"duration":-5}',
        b'{"traceId":"a","id":"b","timestamp":"5","duration":6.0}',
        b'{"traceId":"a","id":"b","tags":{"k":5},"name":7}',
        b'{"traceId":"a","id":"b","kind":null,"name":null,"localEndpoint":null,"annotations":null}',
        b'{"traceId":"a","id":"b","localEndpoint":{},"remoteEndpoint":{"serviceName":"","ipv4":""}}',
        b'{"traceId":"a","id":"b","remoteEndpoint":{"ipv4":"nonsense","ipv6":"::ffff:1.2.3.4"}}',
        b'{"traceId":"a","id":"b","remoteEndpoint":{"ipv6":"::1","port":-1}}',
        b'{"traceId":"a","id":"b","remoteEndpoint":{"ipv4":"2001:DB8::C001","port":"80"}}',
        b'{"traceId":"a","id":"b","kind":"CLIENT","shared":true,"debug":false}',
        b'{"traceId":"0000000000000000000000000000abcd","id":"b","unknown":{"x":[1]}}',
    ],
)
def test_mended_spans(server, span):
    """Both take these, and make the same of them."""
    number = f"{random.getrandbits(120) | 1:030x}"
    own_id = span.replace(b'"a"', b'"%b"' % number.encode(), 1)
    assert server.post("/api/v2/spans", b"[" + own_id + b"]").status == 202
    trace_id = orjson.loads(own_id)["traceId"]
    store = MemoryStore()
    put_payload(store, zipkin.payload_from_json(b"[" + own_id + b"]").payload, NOW)
    ends = time.monotonic() + 20
    while (theirs := server.get("trace/{trace_id}", trace_id)).status == 404:
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert clew(store, "trace/{trace_id}", trace_id).json == theirs.json


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("v2", b"{"),
        ("v2", b"x"),
        ("v2", b'[{"binaryAnnotations":[]}]'),
        ("v1", b'[{"traceId":"a","id":"b","tags":{}}]'),
        ("v1", b"{"),
    ],
)
def test_refused_bodies(server, version, body):
    """Both refuse what is no list of spans of this model, in the same words."""
    theirs = server.post(f"/api/{version}/spans", body)
    assert theirs.status == 400
    read = {"v1": zipkin_v1, "v2": zipkin}[version].payload_from_json
    with pytest.raises(InvalidPayload) as error:
        read(body)
    assert str(error.value) == theirs.text.strip()


@pytest.mark.parametrize(
    ("route", "path", "parameters"),
    [
        ("spans", "", {}),
        ("dependencies", "", {}),
        ("dependencies", "", {"endTs": 0}),
        ("dependencies", "", {"endTs": 5, "lookback": -1}),
        ("traces", "", {"limit": 0}),
        ("traces", "", {"limit": "x"}),
        ("traces", "", {"endTs": -5}),
        ("traces", "", {"lookback": 0}),
        ("traces", "", {"minDuration": 0}),
        ("traces", "", {"maxDuration": 5}),
        ("traces", "", {"minDuration": 5, "maxDuration": 4}),
        ("traceMany", "", {"traceIds": ""}),
        ("traceMany", "", {"traceIds": "a,b,a"}),
        ("traceMany", "", {"traceIds": "a"}),
        ("trace/{trace_id}", "xyz", {}),
        ("trace/{trace_id}", "a" * 33, {}),
        ("trace/{trace_id}", "000", {}),
        ("trace/{trace_id}", "77", {}),
        ("autocompleteValues", "", {}),
    ],
)
def test_refused_questions(server, route, path, parameters):
    """Both answer with the same status and words."""
    theirs = server.get(route, path, **parameters)
    assert clew(MemoryStore(), route, path, **parameters) == theirs
    assert theirs.status in (400, 404)
