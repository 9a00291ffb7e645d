"""Measures Jaeger's and Zipkin's dialects: CPU of each span received; CPU, requests and read units of each answer."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import thriftpy2
from thriftpy2.protocol import TBinaryProtocol
from thriftpy2.transport import TMemoryBuffer

from bench.answers import ASKED_SERVICE, BEGIN_UNIX_SECONDS, NOW_UNIX_SECONDS, Stored
from bench.timing import cpu_seconds, cpu_seconds_of_all
from capacity.load import START_NANO, requests
from chalicelib import config
from chalicelib.http.request import QueryRequest
from chalicelib.jaeger.ingest import payload_from_binary
from chalicelib.jaeger.render import trace_json as jaeger_json
from chalicelib.model import zipkin_spans_pb2 as proto
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from chalicelib.receive.text_endpoint import receive_text
from chalicelib.summarise.job import summarise_shards
from chalicelib.zipkin.ingest import payload_from_json, payload_from_proto
from chalicelib.zipkin.render import trace_json as zipkin_json
from tests.dialects import JAEGER, ZIPKIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.model.span import Span
    from chalicelib.queue.message import Message

SPANS = 100_000
SPANS_RECEIVED, SPANS_PER_REQUEST = 10_240, 512
_MICRO, _MILLI = 10**6, 10**3
_IDL = Path(__file__).parents[1] / "tests" / "jaeger" / "jaeger.thrift"


class Received(NamedTuple):
    body: bytes
    spans: int


def _zipkin_json(body: bytes) -> list[Received]:
    spans = zipkin_json(spans_of(body, Scopes()))
    return [Received(orjson.dumps(spans), len(spans))]


_ZIPKIN_KINDS = ("", "CLIENT", "SERVER", "PRODUCER", "CONSUMER")


def _zipkin_proto(body: bytes) -> list[Received]:
    found = []
    for span in zipkin_json(spans_of(body, Scopes())):
        message = proto.Span(
            trace_id=bytes.fromhex(span["traceId"].zfill(32)),
            id=bytes.fromhex(span["id"]),
            parent_id=bytes.fromhex(span.get("parentId", "")),
            kind=_ZIPKIN_KINDS.index(span.get("kind", "")),
            name=span["name"],
            timestamp=span["timestamp"],
            duration=span["duration"],
            tags=span.get("tags", {}),
        )
        message.local_endpoint.service_name = span["localEndpoint"]["serviceName"]
        found.append(message.SerializeToString())
    return [Received(proto.ListOfSpans(spans=found).SerializeToString(), len(found))]


@cache
def _idl() -> Any:
    return thriftpy2.load(str(_IDL), module_name="bench_jaeger_thrift")


def _jaeger_thrift(body: bytes) -> list[Received]:
    """Return the bodies that clients send: one batch for each process."""
    of_processes: dict[bytes, list[Span]] = defaultdict(list)
    for span in spans_of(body, Scopes()):
        of_processes[span.scope.resource_head].append(span)
    return [_batch(jaeger_json(spans, is_raw=True)) for spans in of_processes.values()]


def _batch(trace: dict[str, Any]) -> Received:
    idl, (process,) = _idl(), trace["processes"].values()
    # The spans of a process are of many traces; which is which does not matter here.
    trace_id = int(trace["traceID"], 16)
    spans = [
        idl.Span(
            traceIdLow=_signed(trace_id),
            traceIdHigh=_signed(trace_id >> 64),
            spanId=_signed(int(span["spanID"], 16)),
            parentSpanId=_parent(span),
            operationName=span["operationName"],
            flags=1,
            startTime=span["startTime"],
            duration=span["duration"],
            tags=list(map(_tag, span["tags"])),
            logs=[],
        )
        for span in trace["spans"]
    ]
    batch = idl.Batch(
        process=idl.Process(
            serviceName=process["serviceName"], tags=list(map(_tag, process["tags"]))
        ),
        spans=spans,
    )
    buffer = TMemoryBuffer()
    TBinaryProtocol(buffer).write_struct(batch)
    return Received(bytes(buffer.getvalue()), len(spans))


def _parent(span: dict[str, Any]) -> int:
    references = span["references"]
    return _signed(int(references[0]["spanID"], 16)) if references else 0


def _tag(tag: dict[str, Any]) -> Any:
    key, value = tag["key"], tag["value"]
    fields = {
        "string": {"vType": 0, "vStr": value},
        "float64": {"vType": 1, "vDouble": value},
        "bool": {"vType": 2, "vBool": value},
        "int64": {"vType": 3, "vLong": value},
    }[tag["type"]]
    return _idl().Tag(key=key, **fields)


def _signed(number: int) -> int:
    low = number & (2**64 - 1)
    return low - 2**64 if low >= 2**63 else low


SENDERS: dict[str, tuple[Callable[[bytes], list[Received]], Any]] = {
    "Zipkin JSON": (_zipkin_json, payload_from_json),
    "Zipkin proto3": (_zipkin_proto, payload_from_proto),
    "Jaeger thrift": (_jaeger_thrift, payload_from_binary),
}


def received(runs: int, span_count: int = SPANS_RECEIVED) -> list[dict[str, Any]]:
    """Return rows with µs of CPU a span, from the request's body to the messages."""
    bodies = requests(5, span_count, SPANS_PER_REQUEST)
    of_senders = {
        name: [each for body in bodies for each in make(body)]
        for name, (make, _) in SENDERS.items()
    }
    works = [
        lambda read=read, all_of=of_senders[name]: _receive(all_of, read)
        for name, (_, read) in SENDERS.items()
    ]
    seconds = cpu_seconds_of_all(works, runs)
    return [
        {
            "sender": name,
            "micros": select_entries / sum(each.spans for each in of_senders[name]) * 1e6,
            "body_bytes": sum(len(each.body) for each in of_senders[name])
            / sum(each.spans for each in of_senders[name]),
        }
        for name, select_entries in zip(SENDERS, seconds, strict=True)
    ]


def _receive(bodies: Iterable[Received], read: Any) -> None:
    messages: list[Message] = []
    for each in bodies:
        answer = receive_text({}, each.body, START_NANO // 10**9, {"*/*": read}, messages.extend)
        assert answer.status == 202, answer


def questions(stored: Stored) -> dict[str, tuple[Any, QueryRequest]]:
    """Return (answering function, request) by the name of the question."""
    service, end = ASKED_SERVICE, NOW_UNIX_SECONDS

    def asked(path: dict[str, str] | None = None, **parameters: Any) -> QueryRequest:
        values = {name.replace("__", "."): [str(value)] for name, value in parameters.items()}
        headers = {"accept-encoding": "gzip"}
        return QueryRequest(
            store=stored.store,
            path=path or {},
            parameters=values,
            headers=headers,
            body=b"",
            now_unix_nano=NOW_UNIX_SECONDS * 10**9,
            time_left=lambda: True,
        )

    slow: dict[str, Any] = {
        "minDuration": "30ms",
        "tags": '{"http.request.method":"GET"}',
        "limit": 20,
    }
    zipkin_slow: dict[str, Any] = {
        "minDuration": 30_000,
        "annotationQuery": "http.request.method=GET",
        "limit": 20,
    }
    v1: dict[str, Any] = {
        "service": service,
        "start": BEGIN_UNIX_SECONDS * _MICRO,
        "end": end * _MICRO,
    }
    v3: dict[str, Any] = {
        "query__serviceName": service,
        "query__startTimeMin": BEGIN_UNIX_SECONDS,
        "query__startTimeMax": end,
        "query__attributes": slow["tags"],
        "query__durationMin": "30ms",
        "query__searchDepth": 20,
    }
    hour: dict[str, Any] = {"endTs": NOW_UNIX_SECONDS * _MILLI, "lookback": 3_600_000}
    small = {"trace_id": stored.small_trace_id.hex()}
    large = {"trace_id": stored.large_trace_id.hex()}
    of_jaeger = {
        "services": ("GET /api/services", asked()),
        "operations": ("GET /api/services/{service}/operations", asked({"service": service})),
        "search": ("GET /api/traces", asked(**v1, **slow)),
        "search: summaries": ("GET /api/v3/trace-summaries", asked(**v3)),
        "trace of 16 spans": ("GET /api/traces/{trace_id}", asked(small)),
        "trace of 10,000 spans": ("GET /api/traces/{trace_id}", asked(large)),
        "dependencies of an hour": ("GET /api/dependencies", asked(**hour)),
    }
    of_zipkin = {
        "services": ("GET /api/v2/services", asked()),
        "operations": ("GET /api/v2/spans", asked(serviceName=service)),
        "search": (
            "GET /api/v2/traces",
            asked(serviceName=service, **hour, **zipkin_slow),
        ),
        "trace of 16 spans": ("GET /api/v2/trace/{trace_id}", asked(small)),
        "trace of 10,000 spans": ("GET /api/v2/trace/{trace_id}", asked(large)),
        "dependencies of an hour": ("GET /api/v2/dependencies", asked(**hour)),
    }
    return {
        **{f"Jaeger: {name}": (JAEGER[r], q) for name, (r, q) in of_jaeger.items()},
        **{f"Zipkin: {name}": (ZIPKIN[r], q) for name, (r, q) in of_zipkin.items()},
    }


def answered(runs: int, spans: int = SPANS) -> list[dict[str, Any]]:
    """Return a row for each question."""
    stored = Stored(spans)
    rows = [
        {"question": name, "spans": spans, **_row(stored, answer_of, asked, runs)}
        for name, (answer_of, asked) in questions(stored).items()
    ]
    # The schedule brings an hour together once it is over.
    later = NOW_UNIX_SECONDS + config.ROLL_UP_DELAY_SECONDS + 60
    summarise_shards(stored.store, range(config.SHARDS), later)
    for name, (answer_of, asked) in questions(stored).items():
        if name.endswith(": dependencies of an hour"):
            asked = asked._replace(now_unix_nano=later * 10**9)
            row = _row(stored, answer_of, asked, runs)
            rows.append({"question": f"{name} that is over", "spans": spans, **row})
    return rows


def _row(stored: Stored, answer_of: Any, asked: QueryRequest, runs: int) -> dict[str, Any]:
    store = stored.store
    store.forget_counts()
    answer = answer_of(asked)
    assert answer.status == 200, answer
    counts = {"requests": store.calls.total(), "read_units": store.read_units.total()}
    seconds = cpu_seconds(lambda: answer_of(asked), runs)
    return {"cpu_millis": seconds * 1e3, **counts, "answer_bytes": len(answer.body)}


def measure(runs: int, spans: int = SPANS, spans_received: int = SPANS_RECEIVED) -> dict[str, Any]:
    """Return the rows of receiving and of answering, by the names of their results."""
    return {
        "dialects_received": received(runs, spans_received),
        "dialects_answered": answered(runs, spans),
    }
