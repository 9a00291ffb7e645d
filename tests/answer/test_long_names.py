"""Names that are too long for a key: every look-up by a name, in every dialect, takes them as sent and as listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from chalicelib.http.request import QueryRequest
from chalicelib.native.parse import search_from
from chalicelib.query.attributes import attributes_of_service
from chalicelib.query.parameters import Range
from chalicelib.query.search import search_traces
from chalicelib.query.statistics import span_names, statistics
from chalicelib.zipkin.ingest import payload_from_json
from tests.dialects import JAEGER, ZIPKIN
from tests.memory_store import MemoryStore
from tests.payloads import CLIENT, NOON_NANO, NOON_UNIX_SECONDS, Made, payload
from tests.query.committed import fold, put_payload

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE, SPAN, PEER = "Shop" + "x" * 300, "Operation/" + "y" * 2_000, "Peer" + "é" * 200
START = NOON_NANO - 60 * 10**9
DAY = {"start": "1", "end": str(NOON_NANO // 10**9 + 1)}
KEPT = Range(0, NOON_NANO + 1)


def of_otlp() -> bytes:
    return payload(
        [Made(1, 1, SERVICE, 0, SPAN, CLIENT, START, attributes=(("peer.service", PEER),))]
    )


def of_zipkin() -> bytes:
    span = {
        "traceId": "1",
        "id": "1",
        "kind": "CLIENT",
        "name": SPAN,
        "timestamp": START // 1_000,
        "duration": 5,
        "localEndpoint": {"serviceName": SERVICE},
        "remoteEndpoint": {"serviceName": PEER},
    }
    return payload_from_json(orjson.dumps([span])).payload


@pytest.fixture(scope="module", params=[of_otlp, of_zipkin])
def store(request):
    found = MemoryStore()
    put_payload(found, request.param())
    fold(found)
    return found


def asked(store: Any, answers: Any, route: str, path: dict[str, str], **parameters: str) -> Any:
    values = {name.replace("__", "."): [value] for name, value in parameters.items()}
    got = answers[route](QueryRequest(store, path, values, {}, b"", NOON_NANO, lambda: True))
    assert got.status == 200, got.body
    return orjson.loads(got.body)


def of_jaeger(store: Any, route: str, path: dict[str, str] | None = None, **values: str) -> Any:
    return asked(store, JAEGER, f"GET /api/{route}", path or {}, **values)


def of_zipkins(store: Any, route: str, **values: str) -> Any:
    return asked(store, ZIPKIN, f"GET /api/v2/{route}", {}, **values)


def found_by(store: Any, **values: str) -> list[Any]:
    search = search_from({name: [text] for name, text in (DAY | values).items()}, NOON_NANO)
    return search_traces(store, search, NOON_UNIX_SECONDS).traces


V3: dict[str, Any] = {
    "query__startTimeMin": "1970-01-02T00:00:00Z",
    "query__startTimeMax": "2100-01-01T00:00:00Z",
}
LISTED: dict[str, Callable[[Any], tuple[str, str]]] = {
    "service": lambda store: (
        of_zipkins(store, "services")[0],
        of_jaeger(store, "services")["data"][0],
    ),
    "span": lambda store: (
        of_zipkins(store, "spans", serviceName=SERVICE)[0],
        of_jaeger(store, "operations", service=as_sent(store, SERVICE))["data"][0]["name"],
    ),
    "peer": lambda store: (
        of_zipkins(store, "remoteServices", serviceName=SERVICE)[0],
        of_jaeger(store, "dependencies")["data"][0]["child"],
    ),
}
"""What Zipkin's and Jaeger's lists show."""
BY_SERVICE: dict[str, Callable[[Any, str], Any]] = {
    "native search": lambda store, name: found_by(store, service=name),
    "native span names": lambda store, name: span_names(store, name, KEPT, NOON_UNIX_SECONDS),
    "native statistics": lambda store, name: (
        statistics(store, name, Range(START, NOON_NANO), None, NOON_UNIX_SECONDS).total.series
    ),
    "native attributes": lambda store, name: (
        attributes_of_service(store, name, KEPT, NOON_UNIX_SECONDS).attributes
    ),
    "Jaeger's search": lambda store, name: of_jaeger(store, "traces", service=name)["data"],
    "Jaeger's operations": lambda store, name: of_jaeger(store, "operations", service=name)["data"],
    "Jaeger's operations, by path": lambda store, name: of_jaeger(
        store, "services/{service}/operations", {"service": name}
    )["data"],
    "Jaeger's dependencies": lambda store, name: of_jaeger(store, "dependencies", service=name)[
        "data"
    ],
    "Jaeger's metrics": lambda store, name: of_jaeger(
        store, "metrics/calls", service=name, spanKind="client"
    )["metrics"],
    "Jaeger's third search": lambda store, name: of_jaeger(
        store, "v3/traces", query__serviceName=name, **V3
    )["result"],
    "Jaeger's third operations": lambda store, name: of_jaeger(
        store, "v3/operations", service=name
    )["operations"],
}
BY_SERVICE_IN_ANY_CASE: dict[str, Callable[[Any, str], Any]] = {
    "Zipkin's search": lambda store, name: of_zipkins(store, "traces", serviceName=name),
    "Zipkin's span names": lambda store, name: of_zipkins(store, "spans", serviceName=name),
    "Zipkin's remote services": lambda store, name: of_zipkins(
        store, "remoteServices", serviceName=name
    ),
}
BY_SPAN: dict[str, Callable[[Any, str], Any]] = {
    "native search": lambda store, name: found_by(store, span_name=name),
    "Jaeger's search": lambda store, name: of_jaeger(
        store, "traces", service=of_jaeger(store, "services")["data"][0], operation=name
    )["data"],
    "Jaeger's third search": lambda store, name: of_jaeger(
        store, "v3/traces", query__operationName=name, **V3
    )["result"],
}
BY_SPAN_IN_ANY_CASE: dict[str, Callable[[Any, str], Any]] = {
    "Zipkin's search": lambda store, name: of_zipkins(store, "traces", spanName=name),
}
BY_PEER: dict[str, Callable[[Any, str], Any]] = {
    "Jaeger's dependencies": lambda store, name: of_jaeger(store, "dependencies", service=name)[
        "data"
    ],
}
BY_PEER_IN_ANY_CASE: dict[str, Callable[[Any, str], Any]] = {
    "Zipkin's search": lambda store, name: of_zipkins(store, "traces", remoteServiceName=name),
}


def as_sent(store: Any, name: str) -> str:
    """Zipkin's door lower-cases names, and the other dialects compare them as they are."""
    return name if of_jaeger(store, "services")["data"][0].startswith("Shop") else name.lower()


@pytest.mark.parametrize(
    ("kind", "name", "look_ups", "in_any_case"),
    [
        ("service", SERVICE, BY_SERVICE, BY_SERVICE_IN_ANY_CASE),
        ("span", SPAN, BY_SPAN, BY_SPAN_IN_ANY_CASE),
        ("peer", PEER, BY_PEER, BY_PEER_IN_ANY_CASE),
    ],
)
def test_a_long_name_is_found_as_sent_and_as_listed(store, kind, name, look_ups, in_any_case):
    """Each look-up finds by the whole name, and by the shortened one that its dialect's lists show."""
    zipkins, jaegers = LISTED[kind](store)
    assert len(zipkins.encode()) <= 256
    for title, look_up in look_ups.items():
        for asked_for in (as_sent(store, name), jaegers):
            assert look_up(store, asked_for), title
        assert not _found(look_up, store, name[:-1]), title
    for title, look_up in in_any_case.items():
        for asked_for in (name, zipkins, zipkins.upper()):
            assert look_up(store, asked_for), title
        assert not look_up(store, name[:-1]), title


def _found(look_up: Callable[[Any, str], Any], store: Any, name: str) -> Any:
    """What is found; nothing for a 404, as the third API says it."""
    try:
        return look_up(store, name)
    except AssertionError:
        return None
