"""One set of traces, by name, for the searches of queries.json: some as Zipkin's clients send them, some as OTLP.

Those of `RECENT` started a minute before noon, those of `EARLIER` two hours before; of both the first is the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from chalicelib.zipkin.ingest import payload_from_json
from tests.payloads import CLIENT, INTERNAL, MILLI, NOON_NANO, PRODUCER, SERVER, Made, payload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MICRO = 1_000
START = NOON_NANO // MICRO - 60_000_000
"""µs."""
EARLIER_START = START - 7_200_000_000


def sent(
    trace: int, span: int, service: str = "shop", at: int = 0, **fields: Any
) -> dict[str, Any]:
    """A span as its sender writes it; `at` in µs after START."""
    return {
        "traceId": f"{trace:016x}",
        "id": f"{span:016x}",
        "timestamp": START + at,
        "localEndpoint": {"serviceName": service},
        **fields,
    }


CALL = [
    sent(1, 1, name="get /", kind="SERVER", duration=30_000, tags={"http.method": "GET"}),
    sent(
        1,
        2,
        at=1_000,
        parentId="0000000000000001",
        name="call",
        kind="CLIENT",
        duration=20_000,
        annotations=[{"timestamp": START + 2_000, "value": "retry"}],
    ),
    sent(
        1,
        2,
        "cart",
        at=2_000,
        parentId="0000000000000001",
        name="get /cart",
        kind="SERVER",
        shared=True,
        duration=10_000,
        tags={"error": "no such cart"},
    ),
    sent(
        1,
        3,
        "cart",
        at=3_000,
        parentId="0000000000000002",
        name="select",
        kind="CLIENT",
        duration=5_000,
        remoteEndpoint={"serviceName": "postgres", "ipv4": "192.0.2.9", "port": 5432},
        debug=True,
    ),
]
OTHER = [sent(2, 4, at=-1_000_000, name="get /other", duration=5_000, tags={"who": "me"})]
BASKET = [
    Made(
        3,
        5,
        "Basket",
        0,
        "POST /order",
        SERVER,
        (START - 2_000_000) * MICRO,
        9 * MILLI,
        attributes=(("n", 5), ("jaeger.debug", True)),
        links=((9, 7),),
        resource=(("host.name", "h"),),
    ),
    Made(
        3,
        6,
        "Basket",
        5,
        "send",
        PRODUCER,
        (START - 1_900_000) * MICRO,
        500,
        is_error=True,
        attributes=(("messaging.system", "kafka"), ("messaging.destination.name", "orders")),
    ),
    Made(3, 7, "Basket", 5, "inner", INTERNAL, (START - 1_800_000) * MICRO, 0),
]


def _earlier(trace: int, span: int, service: str, seconds: int, **fields: Any) -> Made:
    start = (EARLIER_START - seconds * 10**6) * MICRO
    return Made(trace, span, service, **{"start": start, **fields})


LOGS = [
    _earlier(
        4,
        11,
        "depot",
        1,
        attributes=(("k", "span"),),
        resource=(("zone", "eu"),),
        events=(("retry", (("reason", "timeout"), ("attempt", "3"))),),
    )
]
SPLIT = [
    _earlier(5, 12, "depot", 2, attributes=(("k", "span"),)),
    _earlier(5, 13, "depot", 2, parent=12, events=(("retry", (("reason", "timeout"),)),)),
    _earlier(5, 14, "yard", 2, parent=12, resource=(("zone", "eu"),), kind=CLIENT),
]
UNICODE = [
    _earlier(
        6,
        15,
        "größe/店 %2F+",
        3,
        name="GET /ü?a=b&c",
        attributes=(
            *(("owl", "🦉"), ("share", "100%"), ("sum", "a+b"), ("quote", "\"'\\"), ("empty", "")),
            ("ключ", "значение"),
        ),
    )
]
TEN = [_earlier(7, 16, "border", 10, duration=10 * MILLI)]
LONGER = [_earlier(8, 17, "border", 11, duration=10 * MILLI + MICRO)]
HOUR = [_earlier(9, 18, "border", 12, duration=3_600_000 * MILLI)]
FAILED = [
    _earlier(10, 19, "till", 20, is_error=True, attributes=(("code", 500), ("price", 0.5))),
    _earlier(10, 20, "till", 20, parent=19, name="inner", kind=CLIENT, attributes=(("ok", True),)),
]
FINE = [_earlier(11, 21, "till", 21, attributes=(("code", "500"), ("tags", "[1,2]")))]

RECENT: Mapping[str, Sequence[Any]] = {"call": CALL, "other": OTHER, "basket": BASKET}
EARLIER: Mapping[str, Sequence[Made]] = {
    "logs": LOGS,
    "split": SPLIT,
    "unicode": UNICODE,
    "ten": TEN,
    "longer": LONGER,
    "hour": HOUR,
    "failed": FAILED,
    "fine": FINE,
}
NAMES = dict(enumerate([*RECENT, *EARLIER], 1))
"""Trace id, as a number → the trace's name."""


def payloads() -> list[bytes]:
    """TracesData bytes of each trace, as the senders of each are understood."""
    return [
        payload(spans)
        if isinstance(spans[0], Made)
        else payload_from_json(orjson.dumps(spans)).payload
        for spans in (*RECENT.values(), *EARLIER.values())
    ]
