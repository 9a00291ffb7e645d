"""What jaeger-ui and Grafana's data sources ask, request by request, and whether each answer has what they read of it.

`tests/golden/requests/*.json` lists the requests with the file of the client that makes each: `v2.20.0:path` and
`611dfb8:path` are a release and a commit of its repository. `reads` says of each member that the client reads of which
type it is: `a[].b` of every element, which must be some, `a[0]` of the first, `a{}` of every value of an object.

| Type | Value |
|---|---|
| `=text` | just this; `{trace_id}` and the like stand for what was sent |
| a word of TYPES | whatever that says |
| `A|B` | one of the words |
| `…?` | the member may be missing, but not everywhere |
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
import pytest

from local.stack import LaptopStack
from tests.e2e.shop import Reply, http
from tests.payloads import CLIENT, CONSUMER, INTERNAL, MILLI, PRODUCER, SERVER, trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).parents[1] / "golden" / "requests"
CLIENTS = [orjson.loads(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))]
REQUESTS = [
    pytest.param(
        request, id=f"{client['client']} {request.get('releases', '')}: {request['caption']}"
    )
    for client in CLIENTS
    for request in client["requests"]
]

SERVICE = "shop & co"
NOW = time.time_ns()
START = NOW - 120 * 10**9
TRACE_ID = (2**127 + 7).to_bytes(16, "big").hex()
ZIPKIN_TRACE_ID = f"{0xABC:016x}"


def attribute(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


def span(number: int, parent: int, name: str, kind: int, start: int, **more: Any) -> dict[str, Any]:
    found = {
        "traceId": TRACE_ID,
        "spanId": f"{number:016x}",
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(START + start * MILLI),
        "endTimeUnixNano": str(START + (start + 20) * MILLI),
        **more,
    }
    return found | ({"parentSpanId": f"{parent:016x}"} if parent else {})


def of_service(name: str, *spans: dict[str, Any]) -> dict[str, Any]:
    resource = [
        attribute("service.name", stringValue=name),
        attribute("process.pid", intValue="17"),
    ]
    scope = {"name": "a.scope", "version": "1.2"}
    return {
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": list(spans)}],
    }


OTLP = {
    "resourceSpans": [
        of_service(
            SERVICE,
            span(
                *(1, 0, "GET /", SERVER, 0),
                flags=0x101,
                attributes=[
                    attribute("http.route", stringValue="/"),
                    attribute("http.response.status_code", intValue="200"),
                    attribute("cached", boolValue=True),
                    attribute("share", doubleValue=0.25),
                    attribute("names", arrayValue={"values": [{"stringValue": "a"}]}),
                    attribute("raw", bytesValue="AAE="),
                ],
                events=[
                    {
                        "name": "looked",
                        "timeUnixNano": str(START + MILLI),
                        "attributes": [attribute("where", stringValue="the shelf")],
                    }
                ],
                links=[{"traceId": trace_id(9).hex(), "spanId": f"{8:016x}"}],
            ),
            span(
                *(2, 1, "GET", CLIENT, 2),
                attributes=[
                    attribute("server.address", stringValue="cart"),
                    attribute("network.peer.address", stringValue="192.0.2.7"),
                    attribute("network.peer.port", intValue="8080"),
                ],
            ),
            span(
                *(4, 1, "SELECT", CLIENT, 12),
                attributes=[
                    attribute("db.system.name", stringValue="postgresql"),
                    # As semantic conventions have it of a socket in the file system.
                    attribute("network.peer.address", stringValue="/run/postgresql/.s.PGSQL.5432"),
                ],
            ),
            span(5, 1, "send orders", PRODUCER, 14),
            span(6, 1, "", INTERNAL, 15),
        ),
        of_service(
            "cart",
            span(
                *(3, 2, "GET /cart", SERVER, 4),
                status={"code": 2, "message": "it is empty"},
                events=[{"name": "exception", "timeUnixNano": str(START + 5 * MILLI)}],
            ),
            span(7, 5, "take orders", CONSUMER, 18),
        ),
    ]
}
ZIPKIN = [
    {
        "traceId": ZIPKIN_TRACE_ID,
        "id": f"{1:016x}",
        "name": "get /",
        "kind": "CLIENT",
        "timestamp": START // 1_000,
        "duration": 9_000,
        "localEndpoint": {"serviceName": SERVICE, "ipv4": "192.0.2.1", "port": 80},
        "remoteEndpoint": {"serviceName": "old", "ipv6": "2001:db8::1", "port": 81},
        "annotations": [{"timestamp": START // 1_000 + 5, "value": "sent"}],
        "tags": {"error": "no"},
    },
    {
        "traceId": ZIPKIN_TRACE_ID,
        "id": f"{1:016x}",
        "name": "get /",
        "kind": "SERVER",
        "shared": True,
        "timestamp": START // 1_000 + 9,
        "duration": 900,
        "localEndpoint": {"serviceName": "old"},
        "annotations": [{"timestamp": START // 1_000 + 15, "value": "taken"}],
    },
    {
        "traceId": ZIPKIN_TRACE_ID,
        "parentId": f"{1:016x}",
        "id": f"{2:016x}",
        "name": "below",
        "kind": "CLIENT",
        "timestamp": START // 1_000 + 20,
        "duration": 90,
        "localEndpoint": {"serviceName": "old"},
    },
]


def of(unix_nano: int, offset_hours: int = 0) -> datetime:
    zone = timezone(timedelta(hours=offset_hours)) if offset_hours else UTC
    return datetime.fromtimestamp(unix_nano / 10**9, zone)


END = NOW + 60 * 10**9
VALUES = {
    "service": SERVICE,
    "service_encoded": quote(SERVICE, safe=""),
    "service_lower": quote(SERVICE.lower(), safe=""),
    "trace_id": TRACE_ID,
    "zipkin_trace_id": ZIPKIN_TRACE_ID,
    "missing_trace_id": "f" * 32,
    "start_micro": str((START - 10**9) // 1_000),
    "end_micro": str(END // 1_000),
    "start_milli": str((START - 10**9) // 10**6),
    "end_milli": str(END // 10**6),
    "start_iso": quote(of(START - 10**9).strftime("%Y-%m-%dT%H:%M:%S.000Z"), safe=""),
    "end_iso": quote(of(END).strftime("%Y-%m-%dT%H:%M:%S.000Z"), safe=""),
    # Not encoded: Grafana sends it so.
    "start_offset": of(START - 10**9, 2).isoformat(),
    "end_offset": of(END, 2).isoformat(),
}


def filled(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: VALUES[name[1]], text)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with LaptopStack(batch_window_seconds=0.05, run_schedules=False) as stack:
        json_type = {"Content-Type": "application/json"}
        sent = {"/v1/traces": OTLP, "/api/v2/spans": ZIPKIN}
        for path, document in sent.items():
            reply = http(f"{stack.url}{path}", "POST", orjson.dumps(document), json_type)
            assert reply.status in (200, 202), reply.body
        stack.wait_until_stored()
        stack.summarise()
        yield stack.url


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_answer_has_every_member_that_the_client_reads(url, request_):
    """The answer has the status that the client looks at, and every member that it reads, of its type."""
    reply = asked(url, request_)
    assert reply.status == request_.get("status", 200), reply.body
    assert reply.headers["content-type"] == request_.get("media_type", "application/json")
    if "text" in request_:
        assert filled(request_["text"]) in reply.body.decode()
        return
    wrong = [
        f"{member} is {value!r}, not {kind}"
        for member, kind in request_["reads"].items()
        for value in wrong_values(reply.json, member, kind)
    ]
    assert wrong == []


def asked(url: str, request_: dict[str, Any]) -> Reply:
    method, path = request_["request"].split(" ")
    body = orjson.dumps(OTLP) if request_.get("body") == "otlp" else None
    return http(url + filled(path), method, body, request_.get("headers"))


class Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


def wrong_values(document: Any, member: str, kind: str) -> list[Any]:
    """The values at `member` that are not of the kind; ABSENT alone if there are none at all."""
    found = values_at(document, re.findall(r"\w+|\[\d*\]|\{\}", member))
    if kind.endswith("?"):
        found, kind = [each for each in found if each is not ABSENT], kind.removesuffix("?")
    if not found:
        return [ABSENT]
    return [value for value in found if not is_of(value, kind)]


def values_at(document: Any, steps: list[str]) -> list[Any]:
    if not steps:
        return [document]
    step, rest = steps[0], steps[1:]
    if step == "[]":
        below = document if isinstance(document, list) else []
    elif step == "{}":
        below = list(document.values()) if isinstance(document, dict) else []
    elif step.startswith("["):
        place = int(step[1:-1])
        is_there = isinstance(document, list) and len(document) > place
        below = [document[place] if is_there else ABSENT]
    else:
        below = [document.get(step, ABSENT) if isinstance(document, dict) else ABSENT]
    return [value for each in below for value in values_at(each, rest)]


def _whole(value: Any) -> bool:
    return type(value) is int


def _text(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _address(kind: type) -> Callable[[Any], bool]:
    def is_address(value: Any) -> bool:
        try:
            return isinstance(value, str) and bool(kind(value))
        except ValueError:
            return False

    return is_address


TYPES: dict[str, Callable[[Any], bool]] = {
    "any": lambda value: value is not ABSENT,
    "null": lambda value: value is None,
    "string": lambda value: isinstance(value, str),
    "text": lambda value: isinstance(value, str) and bool(value),
    "integer": _whole,
    "positive": lambda value: _whole(value) and value > 0,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: type(value) is bool,
    "list": lambda value: isinstance(value, list),
    "empty": lambda value: value == [],
    "object": lambda value: isinstance(value, dict),
    "decimal": _text(r"\d+"),
    "hex16": _text(r"[0-9a-f]{16}"),
    "hex32": _text(r"[0-9a-f]{32}"),
    "hex16or32": _text(r"[0-9a-f]{16}|[0-9a-f]{32}"),
    "rfc3339": _text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
    "ipv4": _address(IPv4Address),
    "ipv6": _address(IPv6Address),
}


def is_of(value: Any, kind: str) -> bool:
    if kind.startswith("="):
        return value is not ABSENT and str(value) == filled(kind[1:])
    return any(
        TYPES[word](value) if word in TYPES else value == word for word in kind.split("|") if word
    )


def test_the_list_is_whole():
    """Every request says where it stands in its client, at a release or a commit, and what is read of the answer."""
    for client in CLIENTS:
        assert client["repository"].count("/") == 1
        captions = [(each["caption"], each.get("releases")) for each in client["requests"]]
        assert len(set(captions)) == len(captions)
        for request in client["requests"]:
            assert re.match(
                r"(v\d+\.\d+\.\d+|[0-9a-f]{7}):\S+\.(tsx?|go)\b|.*: ", request["source"]
            )
            assert ("reads" in request) != ("text" in request)
            kinds = request.get("reads", {}).values()
            words = {w for k in kinds if k[0] != "=" for w in k.rstrip("?").split("|") if w}
            assert all(
                word in TYPES or re.fullmatch(r"[A-Z_]+|string|bool|int64|float64|binary", word)
                for word in words
            )


@pytest.mark.parametrize(
    ("document", "member", "kind"),
    [
        ({"a": []}, "a[].b", "text"),
        ({"a": [{"b": "x"}, {}]}, "a[].b", "text"),
        ({"a": [{"b": 1}]}, "a[].b", "text"),
        ({"a": [{}]}, "a[].b", "text?"),
        ({"a": True}, "a", "integer"),
        ({"a": None}, "a", "list"),
        ({}, "a", "any"),
        ({"a": []}, "a[0].b", "any"),
        ({"a": {"x": {}}}, "a{}.b", "any"),
        ([[]], "[][0].b", "any"),
    ],
)
def test_the_test(document, member, kind):
    """An answer without the member, or with another type, does not pass."""
    assert wrong_values(document, member, kind)
