"""One request in a fresh process: `python -m tests.bounds.probe ROUTE FILE` prints what it has cost, as JSON.

The bytes in FILE are a body as it comes over the wire. What is measured is the CPU of the route's function, and the
process's high-water of memory, with all that it has imported.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.timing import cpu_seconds

os.environ.setdefault("CLEW_TELEMETRY", "0")

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.http.answer import Answer

_NOW_UNIX_SECONDS = 1_767_268_800
JSON, PROTOBUF = "application/json", "application/x-protobuf"
PLAIN = {
    "zipkin-v2-json": ("zipkin.ingest", "payload_from_json"),
    "zipkin-v2-proto3": ("zipkin.ingest", "payload_from_proto"),
    "zipkin-v1-json": ("zipkin.ingest_v1", "payload_from_json"),
    "zipkin-v1-thrift": ("zipkin.ingest_v1", "payload_from_thrift"),
    "jaeger-binary": ("jaeger.ingest", "payload_from_binary"),
    "jaeger-compact": ("jaeger.ingest", "payload_from_call"),
}


def _otlp(media_type: str) -> Callable[[bytes], Answer]:
    from chalicelib.otlp.endpoint import receive_traces

    headers = {"content-type": media_type}
    return lambda body: receive_traces(headers, body, 0, lambda _: None)


def _plain(name: str) -> Callable[[bytes], Answer]:
    from importlib import import_module

    from chalicelib.receive.text_endpoint import ANY_TYPE, receive_text

    module, read = PLAIN[name]
    readers = {ANY_TYPE: getattr(import_module(f"chalicelib.{module}"), read)}
    return lambda body: receive_text({}, body, 0, readers, lambda _: None)


def _sampling() -> Callable[[bytes], Answer]:
    """What `PUT /v1/sampling` does with a body, with a store of its own."""
    from chalicelib.errors import InvalidPayload
    from chalicelib.http.answer import Answer
    from chalicelib.model.sampling import document_from
    from chalicelib.store.sampling import put_strategies
    from tests.memory_store import MemoryStore

    def replace(body: bytes) -> Answer:
        try:
            put_strategies(MemoryStore(), document_from(body))
        except InvalidPayload as error:
            return Answer(400, {}, str(error).encode())
        return Answer(200, {}, b"")

    return replace


def _transform() -> Callable[[bytes], Answer]:
    from chalicelib.http.request import QueryRequest
    from tests.dialects import JAEGER
    from tests.memory_store import MemoryStore

    def transform(body: bytes) -> Answer:
        asked = QueryRequest(MemoryStore(), {}, {}, {}, body, 0, lambda: True)
        return JAEGER["POST /api/transform"](asked)

    return transform


def _consume() -> Callable[[bytes], Answer]:
    """An OTLP request accepted, and its messages consumed as one event, into a store of its own."""
    from base64 import b64encode

    from chalicelib.consume.consumer import Consumer, Record
    from chalicelib.http.answer import Answer
    from chalicelib.otlp.endpoint import receive_traces
    from chalicelib.queue.message import PAYLOAD_ATTRIBUTE, Message, body_of
    from tests.consume.records import DeadLetterList
    from tests.memory_store import MemoryStore

    def consume(body: bytes) -> Answer:
        sent: list[Message] = []
        answer = receive_traces({"content-type": PROTOBUF}, body, _NOW_UNIX_SECONDS, sent.extend)
        records: list[Record] = [
            {
                "body": body_of(message),
                "messageAttributes": {
                    PAYLOAD_ATTRIBUTE: {"binaryValue": b64encode(message.frame).decode()}
                },
            }
            for message in sent
        ]
        consumer = Consumer(MemoryStore(), DeadLetterList(), lambda: _NOW_UNIX_SECONDS * 10**9)
        consumed = consumer.consume(records)
        counted = consumed.messages + consumed.duplicate_messages
        is_good = counted == len(sent) and not consumed.dead_letters
        return Answer(answer.status if is_good else 500, {}, str(consumed).encode())

    return consume


def route(name: str) -> Callable[[bytes], Answer]:
    """What answers a body in that dialect."""
    if name.startswith("otlp-"):
        return _otlp(JSON if name == "otlp-json" else PROTOBUF)
    if name in PLAIN:
        return _plain(name)
    return {"sampling": _sampling, "transform": _transform, "consume": _consume}[name]()


def _high_water_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main(name: str, path: str) -> None:
    """Print what a body costs; its CPU time is told as on the machine of the benchmark's tables."""
    receive = route(name)
    body = Path(path).read_bytes()
    answers: list[Answer] = []
    seconds = cpu_seconds(lambda: answers.append(receive(body)), 1)
    (answer,) = answers
    told = {
        "cpu_seconds": round(seconds, 3),
        "high_water_bytes": _high_water_bytes(),
        "status": answer.status,
        "body": answer.body[:200].decode(errors="replace"),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
