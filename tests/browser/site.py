"""A running Clew with a shop's traces and some that are hard to show, for browsers to look at."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from local.demo import SLOW_WAREHOUSE, Sender, Shop
from local.stack import LaptopStack
from tests.e2e.shop import get, http
from tests.payloads import CLIENT, INTERNAL, MILLI, SERVER, Made, payload, trace_id

if TYPE_CHECKING:
    from collections.abc import Iterator


_VISITS = 240
_BACK_SECONDS = 40 * 60
POLYGLOT = (
    "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=alert() )//%0D%0A%0d%0a//"
    "</stYle/</titLe/</teXtarEa/</scRipt/--!>\\x3csVg/<sVg/oNloAd=alert()//>\\x3e"
    "<img src=x onerror=alert(1)>"
)
"""Runs a script wherever HTML, an attribute, a URL or a script takes it for more than text."""


class Site(NamedTuple):
    url: str
    slow: str
    """A trace id: an order that waits for a warehouse which reads its stock row by row."""
    failed: str
    """A payment that was declined."""
    linked: str
    """An e-mail, linked to the order that asked for it."""
    odd: str
    """A circle, a doubled id, absent parents, an end before its start, many roots."""
    hostile: str
    """Every field is the polyglot, or long, or right to left."""
    big: str
    """5,000 spans."""


@contextmanager
def running_site() -> Iterator[Site]:
    with LaptopStack(batch_window_seconds=0.05, run_schedules=False) as stack:
        _send_shop(stack.url)
        now = time.time_ns() - 60 * 10**9
        for number, spans in enumerate((_odd(now), _hostile(now), _big(now), _with_ids(now))):
            for start in range(0, len(spans), 2_000):
                _send(stack.url, payload(spans[start : start + 2_000]))
            assert spans[0].trace == number + 1
        stack.wait_until_stored()
        stack.summarise()
        yield Site(
            stack.url,
            slow=_found(stack.url, "checkout", f"warehouse.id={SLOW_WAREHOUSE}"),
            failed=_found(stack.url, "payment", "error.type=402"),
            linked=_found(stack.url, "email-worker", "messaging.operation.type=process"),
            odd=trace_id(1).hex(),
            hostile=trace_id(2).hex(),
            big=trace_id(3).hex(),
        )


def _send_shop(url: str) -> None:
    shop, sender = Shop(seed=1), Sender(url)
    now = time.time_ns()
    for number in range(_VISITS):
        shop.visit(now - (60 + number * _BACK_SECONDS // _VISITS) * 10**9)
    assert sender.send(shop.take_spans())
    sender.close()


def _send(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/x-protobuf"}
    assert http(f"{url}/v1/traces", "POST", body, headers).status == 200


def _found(url: str, service: str, attribute: str) -> str:
    traces = get(url, "/v1/traces", service=service, attribute=attribute)["traces"]
    return str(traces[0]["trace_id"])


def _odd(now: int) -> list[Made]:
    return [
        Made(1, 1, "edge", name="GET /odd", start=now, duration=900 * MILLI),
        Made(1, 2, "edge", 1, "call", CLIENT, now + 100 * MILLI, 300 * MILLI),
        # The server's half under the same id, as Zipkin has it.
        Made(1, 2, "orders", 1, "call", SERVER, now + 120 * MILLI, 200 * MILLI),
        # Its clock is two seconds ahead.
        Made(1, 3, "skewed", 2, "handle", SERVER, now + 2_120 * MILLI, 100 * MILLI),
        Made(1, 4, "orders", 5, "in a circle", INTERNAL, now + 10 * MILLI, MILLI),
        Made(1, 5, "orders", 4, "in a circle", INTERNAL, now + 10 * MILLI, MILLI),
        Made(1, 6, "orders", 99, "its parent is missing", start=now + 50 * MILLI, duration=0),
        *(Made(1, 10 + at, "roots", 0, f"root {at}", start=now + at * MILLI) for at in range(20)),
    ]


def _hostile(now: int) -> list[Made]:
    names = (
        POLYGLOT,
        "x" * 10_000,
        "\u202e\u0623\u0647\u0644\u0627 right to left",
        "🧶" * 40,
        "{{7*7}}${7*7}",
    )
    return [
        Made(
            2,
            1 + at,
            POLYGLOT,
            min(at, 1),
            name,
            start=now + at * MILLI,
            is_error=True,
            attributes=((POLYGLOT, POLYGLOT), ("url.full", "javascript:alert(1)"), ("long", name)),
        )
        for at, name in enumerate(names)
    ]


def _with_ids(now: int) -> list[Made]:
    """Names with ids in them."""
    return [
        Made(
            4, 1 + at, "accounts", min(at, 1), f"GET /users/{1_000 + at}", SERVER, now + at * MILLI
        )
        for at in range(12)
    ]


def _big(now: int) -> list[Made]:
    """A root, fifty children, ninety-nine grandchildren each."""
    spans = [Made(3, 1, "batch", name="nightly", start=now, duration=5_000 * MILLI)]
    for child in range(50):
        start = now + child * 100 * MILLI
        parent = 10_000 * (child + 1)
        spans.append(Made(3, parent, "batch", 1, f"part {child}", INTERNAL, start, 95 * MILLI))
        spans += [
            Made(
                3, parent + at, "worker", parent, f"step {at % 7}", CLIENT, start + at * MILLI // 2
            )
            for at in range(1, 100)
        ]
    return spans
