"""Canaries: secrets that are sent over every wire are in nothing that Clew keeps, says or answers."""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import time
import zlib
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from thriftpy2.protocol import TCompactProtocol

from bench.encodings import as_collector_writes, as_dotnet_writes
from chalicelib import config, wiring
from chalicelib.consume import commit as commit_module
from chalicelib.consume import consumer
from chalicelib.errors import StoreError
from chalicelib.model import zipkin_spans_pb2, zstd
from chalicelib.model.frame import content_of, unseal
from chalicelib.store.dictionary import DictionariesIn
from local.journal import Journal
from local.otlp_grpc import EXPORT, OtlpGrpc
from local.server import datagram_socket
from local.stack import LaptopStack
from tests.jaeger.test_ingest import STRING, batch_of, binary, datagram, span, tag
from tests.payloads import trace_id
from tests.receive.test_redaction import full_of
from tests.zipkin.test_ingest_v1 import idl, thrift_body

CANARY = "canary7QsecretQ"
TEXTS = (f"password={CANARY}", f"Bearer {CANARY}", f"https://ann:{CANARY}@host.example/?a=b")
REFUSED, BURIED = "refused-by-the-store", 12
NOW_NANO = time.time_ns()
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def otlp(number: int) -> TracesData:
    """Spans that have the canary in every place."""
    data = TracesData()
    for text in TEXTS:
        of_text = full_of(text)
        for each in of_text.resource_spans[0].scope_spans[0].spans:
            each.trace_id = trace_id(number)
            each.start_time_unix_nano, each.end_time_unix_nano = NOW_NANO, NOW_NANO + 5
            each.attributes.add(key="http.request.header.authorization").value.string_value = CANARY
        of_text.resource_spans[0].resource.attributes.add(
            key="service.name"
        ).value.string_value = "shop"
        data.MergeFrom(of_text)
    return data


def otlp_json(number: int) -> bytes:
    """The same in OTLP/JSON: protobuf's JSON writes ids as base64, OTLP's as hexadecimal."""

    def hexadecimal(found: re.Match[str]) -> str:
        return f'"{found[1]}": "{base64.b64decode(found[2]).hex()}"'

    text = json.dumps(MessageToDict(otlp(number)))
    return re.sub(r'"(traceId|spanId)": "([^"]*)"', hexadecimal, text).encode()


def zipkin(number: int, version: int) -> bytes:
    sent: dict[str, Any] = {
        "traceId": trace_id(number).hex(),
        "id": "2",
        "name": TEXTS[0],
        "timestamp": NOW_NANO // 1_000,
        "duration": 5,
    }
    endpoint = {"serviceName": "shop"}
    if version == 2:
        sent["localEndpoint"] = endpoint
        sent["tags"] = {"authorization": CANARY, "note": TEXTS[1], "http.url": TEXTS[2]}
        sent["annotations"] = [{"timestamp": 5, "value": TEXTS[0]}]
    else:
        sent["annotations"] = [{"timestamp": 5, "value": TEXTS[0], "endpoint": endpoint}]
        sent["binaryAnnotations"] = [
            {"key": key, "value": text, "endpoint": endpoint}
            for key, text in (("authorization", CANARY), ("http.url", TEXTS[2]))
        ]
    return json.dumps([sent]).encode()


def jaeger(number: int) -> Any:
    tags = [tag("authorization", STRING, CANARY), tag("http.url", STRING, TEXTS[2])]
    return batch_of(
        span(
            traceIdLow=number,
            operationName=TEXTS[0],
            startTime=NOW_NANO // 1_000,
            flags=1,
            tags=tags,
        )
    )


def zipkin_proto(number: int) -> bytes:
    """Zipkin's second model in proto3."""
    sent = zipkin_spans_pb2.Span(
        trace_id=trace_id(number),
        id=bytes(7) + b"\2",
        name=TEXTS[0],
        timestamp=NOW_NANO // 1_000,
        duration=5,
        local_endpoint=zipkin_spans_pb2.Endpoint(service_name="shop"),
        annotations=[zipkin_spans_pb2.Annotation(timestamp=5, value=TEXTS[0])],
        tags={"authorization": CANARY, "note": TEXTS[1], "http.url": TEXTS[2]},
    )
    body: bytes = zipkin_spans_pb2.ListOfSpans(spans=[sent.SerializeToString()]).SerializeToString()
    return body


def zipkin_thrift(number: int) -> Any:
    """Zipkin's first model in Thrift."""
    shop = idl.Endpoint(service_name="shop")
    tags = {"authorization": CANARY, "note": TEXTS[1], "http.url": TEXTS[2]}
    return thrift_body(
        idl.Span(
            trace_id=number,
            id=2,
            name=TEXTS[0],
            timestamp=NOW_NANO // 1_000,
            duration=5,
            annotations=[idl.Annotation(timestamp=NOW_NANO // 1_000, value=TEXTS[0], host=shop)],
            binary_annotations=[
                idl.BinaryAnnotation(key=key, value=text.encode(), annotation_type=6, host=shop)
                for key, text in tags.items()
            ],
        )
    )


def to_be_buried() -> bytes:
    """Spans that no store takes: see `refusing`."""
    data = otlp(BURIED)
    for resource_spans in data.resource_spans:
        resource_spans.resource.attributes.add(key="refused").value.string_value = REFUSED
    return data.SerializeToString()


@pytest.fixture(scope="module")
def refusing():
    """A fault of the store's that no second try mends: some payloads are refused, with all that they have."""
    commit = commit_module.commit

    def failing(store: Any, messages: Any, *more: Any) -> Any:
        for each in messages:
            if REFUSED.encode() in each.payload:
                raise ValueError(f"it cannot be stored: {each.payload!r}")
        return commit(store, messages, *more)

    with pytest.MonkeyPatch.context() as planted:
        planted.setattr(consumer, "commit", failing)
        yield


def post(url: str, path: str, body: bytes, media_type: str) -> None:
    with urlopen(Request(url + path, body, {"Content-Type": media_type})) as response:
        assert response.status in (200, 202)


def get(url: str, path: str) -> bytes:
    try:
        with urlopen(url + path) as response:
            content: bytes = response.read()
            return content
    except HTTPError as error:
        return error.read()


@pytest.fixture(scope="module")
def sent(tmp_path_factory, refusing):
    """A whole Clew that was sent the canary over every wire: itself, its journal's folder, and what it logged."""
    folder = tmp_path_factory.mktemp("journal")
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    udp, otlp_grpc = datagram_socket("127.0.0.1", 0), OtlpGrpc()
    udp_address, grpc_port = udp.getsockname(), otlp_grpc.bind("127.0.0.1", 0)
    with LaptopStack(
        data_dir=folder,
        otlp_grpc=otlp_grpc,
        datagram_sockets=[udp],
        batch_window_seconds=0.05,
        run_schedules=False,
    ) as stack:
        post(stack.url, "/v1/traces", otlp(1).SerializeToString(), "application/x-protobuf")
        post(stack.url, "/v1/traces", otlp_json(2), "application/json")
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            export: Any = channel.unary_unary(EXPORT)
            export(otlp(3).SerializeToString(), timeout=30)
        post(stack.url, "/api/v2/spans", zipkin(4, 2), "application/json")
        post(stack.url, "/api/v1/spans", zipkin(5, 1), "application/json")
        post(stack.url, "/api/traces", binary(jaeger(6)), "application/x-thrift")
        post(stack.url, "/api/v2/spans", zipkin_proto(8), "application/x-protobuf")
        post(stack.url, "/api/v1/spans", zipkin_thrift(9), "application/x-thrift")
        for number, rewritten in ((10, as_collector_writes), (11, as_dotnet_writes)):
            body = rewritten(otlp(number).SerializeToString())
            post(stack.url, "/v1/traces", body, "application/x-protobuf")
        post(stack.url, "/v1/traces", to_be_buried(), "application/x-protobuf")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(datagram(jaeger(7), TCompactProtocol), udp_address)
        ends = time.monotonic() + 30
        while b"traceID" not in get(stack.url, f"/api/traces/{trace_id(7).hex()}"):
            assert time.monotonic() < ends, "the datagram is not stored"
            stack.wait_until_stored()
        stack.wait_until_stored()
        stack.summarise()
        yield stack, folder, lines
    logging.getLogger().removeHandler(handler)


def contents_of(stored: bytes, dictionaries: Any) -> list[bytes]:
    """Stored bytes, and what they are once unpacked, by whichever form they have."""
    found = [stored]
    for unpack in (
        lambda: unseal(stored, dictionaries),
        lambda: unseal(stored, dictionaries, 255),
        lambda: content_of(stored[stored.index(ZSTD_MAGIC) :], dictionaries),
        lambda: zstd.decompress(stored[stored.index(ZSTD_MAGIC) :], 10**8),
        lambda: zlib.decompress(stored),
    ):
        try:
            found.append(unpack())
        except (StoreError, ValueError, zstd.ZstdError, zlib.error):
            continue
    return found


def test_no_table_has_it(sent):
    """No item has the canary: neither as stored nor unpacked."""
    stack, _, _ = sent
    client, masks = stack.client("dynamodb"), 0
    dictionaries = DictionariesIn(wiring.store())
    for table in client.list_tables()["TableNames"]:
        for page in client.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                for value in item.values():
                    ((kind, content),) = value.items()
                    stored = content if kind == "B" else str(content).encode()
                    for unpacked in contents_of(stored, dictionaries):
                        masks += unpacked.count(b"REDACTED")
                        assert CANARY.encode() not in unpacked
    # So they were unpacked.
    assert masks > 100


def test_every_wire_was_redacted(sent):
    """Each trace is there, with a mask where the canary was, and says so; no answer has the canary."""
    stack, _, _ = sent
    for number in range(1, BURIED):
        text = trace_id(number).hex()
        answers = [
            get(stack.url, f"{path}{text}")
            for path in ("/v1/traces/", "/api/traces/", "/api/v2/trace/")
        ]
        for answer in answers:
            assert CANARY.encode() not in answer
            assert b"REDACTED" in answer
            assert b"clew.redacted" in answer


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/traces?attribute=authorization%3D{CANARY}",
        f"/v1/traces?attribute=http.request.header.authorization%3D{CANARY}",
        f"/v1/traces?span_name={quote(TEXTS[0])}",
        f"/api/traces?service=shop&tags={quote(json.dumps({'authorization': CANARY}))}",
        f"/api/v2/traces?serviceName=shop&annotationQuery=authorization%3D{CANARY}",
    ],
)
def test_no_search_finds_it(sent, path):
    """Who knows a secret cannot ask whether it was sent."""
    stack, _, _ = sent
    answer = json.loads(get(stack.url, path))
    traces = answer if isinstance(answer, list) else answer.get("traces", answer.get("data"))
    assert traces == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1/services",
            "/v1/edges",
            "/v1/statistics",
            "/api/services",
            "/api/operations?service=shop",
        ),
        *("/api/v2/services", "/api/v2/spans?serviceName=shop", "/v1/dead-letters", "/v1/traces"),
    ],
)
def test_no_other_answer_has_it(sent, path):
    """Names of services, spans and edges, statistics and lists do not have the canary."""
    stack, _, _ = sent
    assert CANARY.encode() not in get(stack.url, path)


def test_no_dead_letter_has_it(sent):
    """Neither the letter, nor its reason, its note or the list of notes has the canary, whatever the fault says."""
    stack, _, lines = sent
    sqs = stack.client("sqs")
    url = wiring.queue_url(config.DEAD_LETTER_QUEUE)
    (letter,) = sqs.receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], VisibilityTimeout=0, WaitTimeSeconds=5
    )["Messages"]
    frame = letter["MessageAttributes"]["payload"]["BinaryValue"]
    payload = zstd.decompress(frame, 10**7)
    assert REFUSED.encode() in payload
    assert CANARY.encode() not in payload
    assert CANARY not in str(letter)
    (listed,) = json.loads(get(stack.url, "/v1/dead-letters"))["dead_letters"]
    assert "it cannot be stored" in listed["reason"]
    assert CANARY not in json.dumps(listed)
    assert any("to the dead-letter queue" in line for line in lines)


def test_no_log_has_it(sent):
    """Nothing that was logged on the way has the canary."""
    _, _, lines = sent
    assert CANARY not in "\n".join(lines)


def test_neither_journal_nor_queue_has_it(sent):
    """The journal has what was put into the queue, message by message: none has the canary."""
    stack, folder, _ = sent
    stack.stop()
    assert all(CANARY.encode() not in path.read_bytes() for path in folder.iterdir())
    journal = Journal(folder, 0)
    try:
        messages = list(journal.messages())
    finally:
        journal.close()
    assert len(messages) == BURIED
    for message in messages:
        assert CANARY.encode() not in zstd.decompress(message.frame, 10**7)
