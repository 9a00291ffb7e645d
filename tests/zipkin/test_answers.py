"""Zipkin's query API over spans that came in as Zipkin's and as OTLP: round trips, searches, errors."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.errors import StoreThrottled
from chalicelib.http.request import QueryRequest
from chalicelib.zipkin.ingest import payload_from_json
from tests.clients.test_zipkin_clients import GOLDEN, golden_payload
from tests.contract.searched import BASKET, CALL, MICRO, OTHER, START, sent
from tests.dialects import ZIPKIN as ANSWERS
from tests.memory_store import MemoryStore
from tests.payloads import (
    CLIENT,
    INTERNAL,
    MILLI,
    NOON_NANO,
    PRODUCER,
    SERVER,
    Made,
)
from tests.query.committed import put, put_payload

NOW_MILLI = NOON_NANO // MILLI


@pytest.fixture(scope="module")
def store():
    found = MemoryStore()
    for spans in (CALL, OTHER):
        put_payload(found, payload_from_json(orjson.dumps(spans)).payload)
    put(found, BASKET)
    return found


def answer(store: Any, route: str, path: str = "", **parameters: Any) -> Any:
    values = {name: [str(value)] for name, value in parameters.items()}
    question = QueryRequest(store, {"trace_id": path}, values, {}, b"", NOON_NANO, lambda: True)
    return ANSWERS[f"GET /api/v2/{route}"](question)


def data(store: Any, route: str, path: str = "", **parameters: Any) -> Any:
    got = answer(store, route, path, **parameters)
    assert (got.status, got.headers["Content-Type"]) == (200, "application/json"), got.body
    return orjson.loads(got.body)


def test_names_are_lower_cased_and_sorted_as_in_zipkin(store):
    """Lower-cased and sorted, as Zipkin lists them; a peer that sends no spans is a remote service."""
    assert data(store, "services") == ["basket", "cart", "shop"]
    assert data(store, "spans", serviceName="BASKET") == ["inner", "post /order", "send"]
    assert data(store, "remoteServices", serviceName="cart") == ["postgres"]
    assert data(store, "remoteServices", serviceName="shop") == ["cart"]
    assert data(store, "spans", serviceName="nobody") == []


def test_trace_as_sent(store):
    """What came as Zipkin's comes out as it was: ids of 64 bits, shared, debug, endpoints, annotations, tags."""
    assert data(store, "trace/{trace_id}", "1") == CALL
    assert data(store, "traceMany", traceIds="1,77,0000000000000002") == [CALL, OTHER]


def test_trace_of_opentelemetry(store):
    """What Zipkin has no fields for becomes tags; whom a span calls becomes its remote endpoint."""
    root, message, inner = data(store, "trace/{trace_id}", "3")
    assert root == {
        "traceId": "0000000000000003",
        "id": "0000000000000005",
        "kind": "SERVER",
        "name": "post /order",
        "timestamp": START - 2_000_000,
        "duration": 9_000,
        "localEndpoint": {"serviceName": "basket"},
        "tags": {
            "host.name": "h",
            "n": "5",
            "otel.scope.name": "tests",
            "otlp.link.0": f"{9:032x}|{7:016x}||{{}}|0",
        },
        "debug": True,
    }
    assert message["duration"] == 1
    assert message["remoteEndpoint"] == {"serviceName": "orders"}
    assert (message["tags"]["error"], message["tags"]["otel.status_code"]) == ("true", "ERROR")
    assert "kind" not in inner
    assert "duration" not in inner
    assert inner["tags"]["span.kind"] == "internal"


def test_unknown_trace(store):
    """404, with the id as Zipkin writes it."""
    got = answer(store, "trace/{trace_id}", "77")
    assert (got.status, got.body) == (404, b"0000000000000077 not found")
    assert got.headers["Content-Type"].startswith("text/plain")


def test_time_is_the_roots():
    """A span that starts up to an hour after the range, or before it, leads to a trace whose root is in it."""
    one = MemoryStore()
    root_at, minute = -10_800_000_000, 60_000_000
    spans = [
        sent(1, 1, "shop", root_at),
        sent(1, 2, "late", root_at + 50 * minute, parentId="0000000000000001"),
        sent(1, 3, "skewed", root_at - 50 * minute, parentId="0000000000000001"),
    ]
    put_payload(one, payload_from_json(orjson.dumps(spans)).payload)
    at = (START + root_at) // 1_000
    for service in ("shop", "late", "skewed"):
        assert data(one, "traces", serviceName=service, endTs=at + 1_000, lookback=2_000)
        assert not data(one, "traces", serviceName=service, endTs=at - 1_000)
        assert not data(one, "traces", serviceName=service, lookback=10_799_000)


def test_shared_spans_make_one_call(store):
    """Shared spans make one call; the database that sends no spans is a link too."""
    assert data(store, "dependencies", endTs=NOW_MILLI) == [
        {"parent": "basket", "child": "orders", "callCount": 1, "errorCount": 1},
        {"parent": "cart", "child": "postgres", "callCount": 1},
        {"parent": "shop", "child": "cart", "callCount": 1, "errorCount": 1},
    ]
    assert data(store, "dependencies", endTs=NOW_MILLI - 86_400_000) == []


def kindless(number: int, **fields: Any) -> dict[str, Any]:
    span = {"traceId": "a", "id": f"{number:x}", "timestamp": START, "duration": 5, "name": "call"}
    return span | fields


SHOP, CACHE = {"serviceName": "shop"}, {"serviceName": "cache"}


def test_a_span_without_a_kind_that_names_both_endpoints_is_a_clients():
    """As Zipkin's dependency linker has it: it names a remote service and makes a link; it is shown without a kind."""
    spans = [
        kindless(1, localEndpoint=SHOP, remoteEndpoint=CACHE),
        kindless(2, localEndpoint=SHOP, remoteEndpoint={"ipv4": "192.0.2.1"}),
        kindless(3, localEndpoint=SHOP),
        kindless(4, localEndpoint={}, remoteEndpoint={"serviceName": "lost"}),
    ]
    one = MemoryStore()
    put_payload(one, payload_from_json(orjson.dumps(spans)).payload)
    assert data(one, "remoteServices", serviceName="shop") == ["cache"]
    assert data(one, "dependencies", endTs=NOW_MILLI) == [
        {"parent": "shop", "child": "cache", "callCount": 1}
    ]
    shown = data(one, "trace/{trace_id}", "a")
    assert not any("kind" in span or "tags" in span for span in shown)


def test_autocomplete_values_are_those_of_the_newest_traces(store, monkeypatch):
    """Keys are configured; values are those of the newest traces."""
    monkeypatch.setattr(config, "ZIPKIN_AUTOCOMPLETE_KEYS", ["who", "http.method"])
    assert data(store, "autocompleteKeys") == ["http.method", "who"]
    assert data(store, "autocompleteValues", key="who") == ["me"]
    assert data(store, "autocompleteValues", key="n") == []


@pytest.mark.parametrize(
    ("address", "port", "expected"),
    [
        ("192.0.2.7", "8080", {"ipv4": "192.0.2.7", "port": 8080}),
        ("2001:DB8::1", "65536", {"ipv6": "2001:db8::1"}),
        ("fe80::1%eth0", "", {"ipv6": "fe80::1"}),
        ("/run/postgresql/.s.PGSQL.5432", "", {}),
        ("db.example", "5432", {"port": 5432}),
        ("300.0.0.1", "", {}),
    ],
)
def test_an_endpoint_has_only_addresses_and_ports(address, port, expected):
    """An endpoint has only what is an address or a port: of all else readers would refuse the whole trace."""
    one = MemoryStore()
    attributes = (("network.peer.address", address), ("network.peer.port", port))
    put(one, [Made(1, 1, kind=CLIENT, attributes=(("peer.service", "db"), *attributes))])
    ((span,),) = data(one, "traces", endTs=NOW_MILLI)
    assert span["remoteEndpoint"] == {"serviceName": "db", **expected}
    assert span["tags"]["network.peer.address"] == address


def test_long_lists_may_be_cached(monkeypatch):
    """Lists of more than three names may be cached."""
    many = MemoryStore()
    spans = [sent(1, 1 + n, f"s{n}") for n in range(4)]
    put_payload(many, payload_from_json(orjson.dumps(spans)).payload)
    got = answer(many, "services")
    assert got.headers["Cache-Control"] == "max-age=300, must-revalidate"
    assert answer(MemoryStore(), "services").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("route", "path", "parameters", "message"),
    [
        ("spans", "", {}, "Mandatory parameter/header/attribute is missing: serviceName"),
        ("remoteServices", "", {}, "Mandatory parameter/header/attribute is missing: serviceName"),
        ("dependencies", "", {}, "Mandatory parameter/header/attribute is missing: endTs"),
        ("dependencies", "", {"endTs": 0}, "endTs <= 0"),
        ("dependencies", "", {"endTs": 5, "lookback": -1}, "lookback <= 0"),
        ("autocompleteValues", "", {}, "Mandatory parameter/header/attribute is missing: key"),
        ("traces", "", {"limit": 0}, "limit <= 0"),
        ("traces", "", {"limit": -1}, "limit <= 0"),
        ("traces", "", {"endTs": -5}, "endTs <= 0"),
        ("traces", "", {"lookback": 0}, "lookback <= 0"),
        ("traces", "", {"minDuration": 0}, "minDuration <= 0"),
        ("traces", "", {"maxDuration": 5}, "maxDuration is only valid with minDuration"),
        ("traces", "", {"minDuration": 5, "maxDuration": 4}, "maxDuration < minDuration"),
        ("traces", "", {"limit": "x"}, 'For input string: "x"'),
        ("traceMany", "", {"traceIds": ""}, "traceIds parameter is empty"),
        ("traceMany", "", {"traceIds": "a,b,a"}, "redundant traceId: a"),
        (
            "traceMany",
            "",
            {"traceIds": "a"},
            "Use /api/v2/trace/{traceId} endpoint to retrieve a single trace",
        ),
        ("trace/{trace_id}", "xyz", {}, "xyz should be lower-hex encoded with no prefix"),
        ("trace/{trace_id}", "a" * 33, {}, "traceId.length > 32"),
        ("trace/{trace_id}", "000", {}, "traceId is all zeros"),
    ],
)
def test_bad_questions(store, route, path, parameters, message):
    """400 and Zipkin's own words, as a line of text."""
    got = answer(store, route, path, **parameters)
    assert (got.status, got.body.decode()) == (400, message)
    assert got.headers["Content-Type"].startswith("text/plain")


def test_a_busy_store(monkeypatch):
    """A store that refuses for load is a 503; any other fault a 500 without its reason."""
    busy = MemoryStore()

    def query(*_: Any, **__: Any) -> Any:
        raise StoreThrottled("secret")

    monkeypatch.setattr(busy, "query", query)
    got = answer(busy, "services")
    assert (got.status, b"secret" in got.body) == (503, False)
    monkeypatch.setattr(busy, "query", None)
    got = answer(busy, "services")
    assert (got.status, b"NoneType" in got.body) == (500, False)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_round_trip(path):
    """What a real client sent in Zipkin's second JSON comes out with every field, names lower-cased."""
    found = golden_payload(path)
    one = MemoryStore()
    put_payload(one, found.payload)
    ((trace),) = data(one, "traces", endTs=2_000_000_000_000, lookback=2_000_000_000_000)
    assert len(trace) == 2
    if path.stem.endswith("v2-json"):
        as_sent = orjson.loads(path.read_bytes())
        assert sorted(trace, key=lambda span: span["id"]) == sorted(
            map(normalised, as_sent), key=lambda span: span["id"]
        )


def normalised(span: dict[str, Any]) -> dict[str, Any]:
    """What Zipkin itself makes of a span on its way in (Span.Builder), and leaves out on its way out."""
    found = {key: value for key, value in span.items() if value not in (None, "", [], {}, False, 0)}
    found["traceId"] = found["traceId"].zfill(32 if len(found["traceId"]) > 16 else 16)
    if found["traceId"].startswith("0" * 16) and len(found["traceId"]) == 32:
        found["traceId"] = found["traceId"][16:]
    found["id"] = found["id"].zfill(16)
    if "parentId" in found:
        found["parentId"] = found["parentId"].zfill(16)
        if found["parentId"] in (found["id"], "0" * 16):
            del found["parentId"]
    if "name" in found:
        found["name"] = found["name"].lower()
    for key in ("localEndpoint", "remoteEndpoint"):
        endpoint = {k: v for k, v in found.pop(key, {}).items() if v}
        if "serviceName" in endpoint:
            endpoint["serviceName"] = endpoint["serviceName"].lower()
        if endpoint:
            found[key] = endpoint
    for key in ("timestamp", "duration"):
        if found.get(key, 1) < 0:
            del found[key]
    if found.get("kind") == "CLIENT":
        found.pop("shared", None)
    if "annotations" in found:
        pairs = {(each["timestamp"], each["value"]) for each in found["annotations"]}
        found["annotations"] = [{"timestamp": t, "value": v} for t, v in sorted(pairs)]
    return found


texts = st.text(max_size=8)
keys = texts | st.sampled_from(
    [
        *("error", "peer.service", "net.peer.port", "zipkin.tags", "zipkin.debug", "service.name"),
        *("otel.status_code", "span.kind", "zipkin.no_timestamp", "zipkin.no_kind"),
    ]
)
times = st.integers(START - 10, START + 10)
# Python and Java differ over the lower case of some letters.
names = st.text(st.characters(codec="ascii"), max_size=8)
endpoints = st.fixed_dictionaries(
    {},
    optional={
        "serviceName": names,
        "ipv4": st.sampled_from(["192.0.2.1", "198.51.100.7"]),
        "ipv6": st.sampled_from(["2001:db8::1", "2001:db8::c001"]),
        "port": st.integers(0, 65_535),
    },
)
zipkin_spans = st.fixed_dictionaries(
    {"traceId": st.sampled_from(["a", "0" * 15 + "b", "0" * 31 + "b", "c" * 32, "d" * 20])},
    optional={
        "parentId": st.sampled_from(["1", "2", "0", "f" * 16]),
        "kind": st.sampled_from(["CLIENT", "SERVER", "PRODUCER", "CONSUMER"]),
        "name": names,
        "timestamp": times,
        "duration": st.integers(-1, 50),
        "localEndpoint": endpoints,
        "remoteEndpoint": endpoints,
        "annotations": st.lists(
            st.fixed_dictionaries({"timestamp": times, "value": texts}), max_size=3
        ),
        "tags": st.dictionaries(keys, texts, max_size=4),
        "debug": st.booleans(),
        "shared": st.booleans(),
    },
)


@settings(deadline=None)
@given(st.lists(zipkin_spans, min_size=1, max_size=5))
def test_round_trip(spans):
    """In as Zipkin, out as Zipkin: nothing is lost but what Zipkin itself makes the same."""
    numbered = [{**span, "id": f"{place + 1:x}"} for place, span in enumerate(spans)]
    one = MemoryStore()
    found = payload_from_json(orjson.dumps(numbered))
    assert not found.rejected
    put_payload(one, found.payload)
    out = [
        span
        for trace_id in {normalised(span)["traceId"] for span in numbered}
        for span in data(one, "trace/{trace_id}", trace_id)
    ]
    assert sorted(out, key=lambda span: span["id"]) == [normalised(span) for span in numbered]


def is_asked_for(trace: list[dict[str, Any]], question: dict[str, Any]) -> bool:
    """QueryRequest.test, line by line; the trace is in the order of Zipkin's answer."""
    timestamp = 0
    for span in trace:
        if not span.get("timestamp"):
            continue
        if "parentId" not in span:
            timestamp = span["timestamp"]
            break
        if timestamp == 0 or timestamp > span["timestamp"]:
            timestamp = span["timestamp"]
    end, lookback = question["endTs"] * 1_000, question["lookback"] * 1_000
    if timestamp == 0 or timestamp < end - lookback or timestamp > end:
        return False
    terms: dict[str, str] = {}
    for part in question.get("annotationQuery", "").split(" and "):
        if part:
            key, equals, value = part.partition("=")
            if equals:
                terms[key] = value
            else:
                terms.setdefault(key, "")
    service, remote, name = (
        question.get(key) for key in ("serviceName", "remoteServiceName", "spanName")
    )
    has_service = service is None
    low, high = question.get("minDuration"), question.get("maxDuration")
    has_duration = low is None
    for span in trace:
        if service is None or service == span.get("localEndpoint", {}).get("serviceName"):
            has_service = True
            for annotation in span.get("annotations", []):
                if terms.get(annotation["value"]) == "":
                    del terms[annotation["value"]]
            for key, value in span.get("tags", {}).items():
                if key in terms and terms[key] in ("", value):
                    del terms[key]
            if remote == span.get("remoteEndpoint", {}).get("serviceName"):
                remote = None
            if name == span.get("name"):
                name = None
            if low is not None:
                duration = span.get("duration", 0)
                has_duration |= duration >= low and (high is None or duration <= high)
    return has_service and remote is None and name is None and not terms and has_duration


SOME = {
    "service": ["a", "b", "c" * 300],
    "name": ["get", "put", "n" * 300],
    "key": ["k", "error", "otel.scope.name", "peer.service"],
    "value": ["v", "w", ""],
}


def a_world(seed: int) -> tuple[MemoryStore, list[list[dict[str, Any]]]]:
    """Some traces of some hours, as several messages; and the same as they are answered."""
    some = random.Random(seed)
    one = MemoryStore()
    spans = []
    made = []
    for number in range(30):
        trace = some.randrange(1, 9)
        at = START - trace * 900_000_000 + some.randrange(3_000_000)
        if some.random() < 0.3:
            made.append(
                Made(
                    trace,
                    100 + number,
                    some.choice(["A", "b"]),
                    some.choice([0, 1, 2]),
                    some.choice(["GET", "put"]),
                    some.choice([0, INTERNAL, SERVER, CLIENT, PRODUCER]),
                    at * MICRO,
                    some.choice([0, 1, 999, 5_000, 5_999, 6_000]),
                    some.random() < 0.3,
                    tuple({some.choice(SOME["key"]): some.choice(SOME["value"])}.items()),
                    (),
                    tuple({some.choice(SOME["key"]): some.choice(SOME["value"])}.items()),
                )
            )
            continue
        span = sent(trace, 100 + number, some.choice(SOME["service"]), at - START)
        for key, value in {
            "parentId": f"{some.choice([1, 2]):016x}",
            "kind": some.choice(["CLIENT", "SERVER"]),
            "name": some.choice(SOME["name"]),
            "duration": some.choice([1, 5, 6]),
            "remoteEndpoint": {"serviceName": some.choice(SOME["service"])},
            "tags": {some.choice(SOME["key"]): some.choice(SOME["value"])},
            "annotations": [{"timestamp": at, "value": some.choice(SOME["key"])}],
        }.items():
            if some.random() < 0.6:
                span[key] = value
        if some.random() < 0.1:
            del span["timestamp"]
        spans.append(span)
    for place in range(0, len(spans), 7):
        put_payload(one, payload_from_json(orjson.dumps(spans[place : place + 7])).payload)
    put(one, made)
    ids = {span["traceId"] for span in spans} | {f"{each.trace:016x}" for each in made}
    return one, [data(one, "trace/{trace_id}", each) for each in sorted(ids)]


questions = st.fixed_dictionaries(
    {
        "endTs": st.sampled_from([NOW_MILLI, NOW_MILLI - 3_600_000, NOW_MILLI - 2_000_000]),
        "lookback": st.sampled_from([86_400_000, 900_000, 3_600_000]),
    },
    optional={
        "serviceName": st.sampled_from(SOME["service"]),
        "remoteServiceName": st.sampled_from(SOME["service"]),
        "spanName": st.sampled_from(SOME["name"]),
        "annotationQuery": st.lists(
            st.builds(
                lambda key, value: f"{key}={value}" if value else key,
                st.sampled_from(SOME["key"]),
                st.sampled_from([*SOME["value"], "ERROR", "tests", "true"]),
            ),
            min_size=1,
            max_size=3,
        ).map(" and ".join),
        "minDuration": st.sampled_from([1, 5, 6]),
    },
)


@pytest.mark.slow
@settings(deadline=None, max_examples=200, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 20), question=questions)
@example(seed=1, question={"endTs": NOW_MILLI, "lookback": 86_400_000})
def test_search_is_a_filter(seed, question):
    """Any search finds what a filter over all traces finds."""
    if seed not in WORLDS:
        WORLDS[seed] = a_world(seed)
    one, traces = WORLDS[seed]
    if question.get("minDuration") == 5:
        question = {**question, "maxDuration": 5}
    found = data(one, "traces", limit=1_000, **question)
    expected = [trace for trace in traces if is_asked_for(trace, question)]
    assert sorted(found, key=str) == sorted(expected, key=str)


WORLDS: dict[int, Any] = {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    route=st.sampled_from(sorted(ANSWERS)),
    parameters=st.dictionaries(
        st.sampled_from(
            [
                *("serviceName", "spanName", "remoteServiceName", "annotationQuery", "minDuration"),
                *("maxDuration", "endTs", "lookback", "limit", "traceIds", "key"),
            ]
        ),
        st.lists(
            st.text(max_size=30)
            | st.sampled_from(["1", "0", "shop", "-1", "1e9", "9" * 18, "a,b", "k=v and x"]),
            min_size=1,
        ),
        max_size=5,
    ),
    path=st.text(min_size=1, max_size=40),
)
def test_nothing_is_a_fault(store, route, parameters, path):
    """Whatever is asked, the answer is an answer: never a 500."""
    question = QueryRequest(store, {"trace_id": path}, parameters, {}, b"", NOON_NANO, lambda: True)
    assert ANSWERS[route](question).status in (200, 400, 404)
