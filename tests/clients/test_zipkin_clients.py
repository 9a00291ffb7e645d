"""What Zipkin's clients and OpenTelemetry's Zipkin exporters send, byte for byte: what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.zipkin import ingest as zipkin
from chalicelib.zipkin import ingest_v1 as zipkin_v1
from tests.clients.real import CLIENTS, JAVA_CLIENTS, Client

if TYPE_CHECKING:
    from pathlib import Path

SERVER, CLIENT = SpanMessage.SPAN_KIND_SERVER, SpanMessage.SPAN_KIND_CLIENT
SECOND = 10**9
READERS = {
    "v1-json": zipkin_v1.payload_from_json,
    "v1-thrift": zipkin_v1.payload_from_thrift,
    "v2-json": zipkin.payload_from_json,
    "v2-proto3": zipkin.payload_from_proto,
}
SENDERS = {
    path: (client, ending)
    for client in (*CLIENTS, *JAVA_CLIENTS)
    if client.dialect == "zipkin"
    for ending, path in client.golden.items()
}
GOLDEN = sorted(SENDERS)
LOCAL = {"net.host.ip": "192.0.2.1", "net.host.port": 8080}
PEER = {"peer.service": "postgres", "net.peer.ip": "192.0.2.9", "net.peer.port": 5432}


def golden_payload(path):
    """What a golden body comes to; its name says how it is encoded."""
    return READERS[SENDERS[path][1]](path.read_bytes())


def attributes_of(message):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in message}


def spans_of(path: Path):
    """Spans by name, and the attributes of their resource, after nothing was rejected."""
    found = golden_payload(path)
    assert (found.span_count, found.rejected.total()) == (2, 0)
    (resource_spans,) = TracesData.FromString(found.payload).resource_spans
    spans = {span.name: span for span in resource_spans.scope_spans[0].spans}
    return spans, attributes_of(resource_spans.resource.attributes)


def start_nano(client: Client, ending: str) -> int:
    return (client.golden_unix_seconds + client.endings.index(ending)) * SECOND


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_spans_keep_names_ids_times_parent_and_status(path):
    """A server's span and its call to a database, which failed: names, ids, times, parent and status."""
    client, ending = SENDERS[path]
    spans, resource = spans_of(path)
    call, root = spans["select"], spans["get /order"]
    start = start_nano(client, ending)
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (start, start + SECOND)
    assert call.start_time_unix_nano == start + SECOND // 4
    assert call.end_time_unix_nano == start + 3 * SECOND // 4
    assert call.trace_id == root.trace_id
    assert call.trace_id[:8] == call.trace_id[8:]
    assert (call.parent_span_id, root.parent_span_id) == (root.span_id, b"")
    assert (call.status.code, call.status.message) == (2, "no such table")
    assert root.status.code == 0
    assert resource["service.name"] == client.service
    assert attributes_of(root.attributes)["http.method"] == "GET"


@pytest.mark.parametrize(
    "path",
    [path for path in GOLDEN if "opentelemetry" not in path.stem],
    ids=lambda path: path.stem,
)
def test_golden_endpoints(path):
    """Zipkin's own clients tell kinds, whose address and port theirs is, and whom they call."""
    client, _ = SENDERS[path]
    spans, resource = spans_of(path)
    call, root = spans["select"], spans["get /order"]
    assert (call.kind, root.kind) == (CLIENT, SERVER)
    assert resource == {"service.name": client.service, **LOCAL}
    assert attributes_of(call.attributes) == {"error": "no such table", **PEER}
    # py_zipkin's root keeps no annotation.
    notes = [] if client.name.startswith("py-zipkin") else ["cache miss"]
    assert [event.name for event in root.events] == notes
    assert {each.time_unix_nano - root.start_time_unix_nano for each in root.events} <= {
        SECOND // 8
    }


@pytest.mark.parametrize(
    "path", [path for path in GOLDEN if "opentelemetry" in path.stem], ids=lambda path: path.stem
)
def test_golden_tags(path):
    """OpenTelemetry's exporters tell everything in tags; and in the first model nothing of the kind."""
    spans, resource = spans_of(path)
    call, root = spans["select"], spans["get /order"]
    is_first_model = SENDERS[path][1].startswith("v1")
    assert (call.kind, root.kind) == ((0, 0) if is_first_model else (CLIENT, SERVER))
    assert resource == {"service.name": "otel-zipkin"}
    tags = attributes_of(root.attributes)
    assert (tags["n"], tags["f"], tags["b"]) == ("5", "0.5", "true")
    assert (tags["list"], tags["host.name"]) == ('["x","y"]', "h")
    assert attributes_of(call.attributes)["peer.service"] == "Postgres"
    (event,) = root.events
    assert event.name == '{"cache miss": {"key": "u-1"}}'
    assert event.time_unix_nano - root.start_time_unix_nano == SECOND // 8


def test_golden_of_every_reader():
    """Every encoding is there from two clients at least, and no file that no client sends."""
    assert sorted(GOLDEN[0].parent.glob("*.bin")) == GOLDEN
    counts = [sum(path.stem.endswith(ending) for path in GOLDEN) for ending in READERS]
    assert min(counts) >= 2
