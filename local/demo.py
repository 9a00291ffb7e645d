"""`make demo`: a small shop that sends its traces to a running Clew until Ctrl-C.

    visit ──OpenTelemetry SDK, one TracerProvider a service──▶ spans ──OTLP/HTTP exporter, a request a service──▶ Clew

No service runs and nothing waits: a visit has a clock of its own, which only `Visit.spend` moves on, so a trace of
800 ms is made in one. SEED decides what happens in the shop; ids are new in every run, so that two runs do not mix.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

ENDPOINT = "http://127.0.0.1:8000"
SERVICES = {
    "frontend": "3.4.1",
    "search": "1.12.0",
    "recommendation": "0.9.3",
    "users": "2.0.7",
    "cart": "2.3.0",
    "checkout": "5.1.2",
    "inventory": "1.8.4",
    "fraud-check": "0.4.0",
    "payment": "4.0.1",
    "shipping": "1.1.5",
    "email-worker": "1.0.9",
}
"""Name of a service → its version."""
SLOW_WAREHOUSE = "eu-west-2"
"""The stock of this warehouse is read with one query for each item; all others need one query in all."""
QUEUE = "order-events"
DATABASE, CACHE, SEARCH_INDEX = "orders-db", "session-cache", "catalogue-index"
PAYMENT_PROVIDER, MAIL_SERVER = "api.cardgate.example", "smtp.mail.example"

BACKLOG_SECONDS = 30 * 60
_BACKLOG_CHUNK_TRACES = 50
_VISIT_SECONDS_MAX = 4
"""The longest visit, its e-mail included: a visit that started so long ago has ended."""
_HEALTH_TIMEOUT_SECONDS = 5.0
_EXPORT_TIMEOUT_SECONDS = 5
_WAREHOUSES = ("eu-west-1", SLOW_WAREHOUSE, "us-east-1", "ap-south-1")
_PRODUCTS = ("teapot", "kettle", "mug", "strainer", "tray", "sugar bowl", "oolong", "assam")
_DECLINED_SHARE = 0.06
_PROVIDER_DOWN_SHARE = 0.02
_MILLI = 1_000_000

Attributes = dict[str, "AttributeValue"]


class Refused(Exception):
    """The demo cannot run; the message says why."""


class PaymentFailed(Exception):
    """The payment provider refused the payment."""


class Shop:
    """The tracers of all services, and their ended spans that were not taken yet."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self._ended: dict[str, InMemorySpanExporter] = {}
        self.tracers: dict[str, trace.Tracer] = {}
        for service, version in SERVICES.items():
            resource = Resource.create(
                {
                    "service.name": service,
                    "service.version": version,
                    "deployment.environment.name": "demo",
                }
            )
            provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
            self._ended[service] = InMemorySpanExporter()
            provider.add_span_processor(SimpleSpanProcessor(self._ended[service]))
            self.tracers[service] = provider.get_tracer("clew.demo", "1.0.0")

    def visit(self, start_time_unix_nano: int) -> int:
        """Make one random visit at that time; return how many traces it made: an order's e-mail is a second one."""
        visit = Visit(self, start_time_unix_nano)
        (story,) = self.random.choices(
            (visit.opens_the_shop, visit.searches, visit.fills_the_cart, visit.orders),
            (3, 2, 2, 3),
        )
        story()
        return visit.trace_count

    def take_spans(self) -> dict[str, Sequence[ReadableSpan]]:
        """Return the spans since the last call, by service; a service without spans is left out."""
        taken: dict[str, Sequence[ReadableSpan]] = {}
        for service, ended in self._ended.items():
            if spans := ended.get_finished_spans():
                taken[service] = spans
                ended.clear()
        return taken


class Visit:
    """One visit, with a clock of its own. A method that is named after a service does that service's work."""

    def __init__(self, shop: Shop, start_time_unix_nano: int) -> None:
        self.trace_count = 1
        self._shop = shop
        self._random = shop.random
        self._now = start_time_unix_nano
        self._user = f"user-{self._random.randrange(1, 500)}"
        self._product = self._random.choice(_PRODUCTS)
        self._warehouse = self._random.choice(_WAREHOUSES)

    def spend(self, low_ms: float, high_ms: float) -> None:
        self._now += int(self._random.uniform(low_ms, high_ms) * _MILLI)

    def opens_the_shop(self) -> None:
        with self._page("GET", "/"):
            self._in_parallel(self._users, self._recommendation)
            self.spend(2, 8)

    def searches(self) -> None:
        with self._page("GET", "/search", {"url.query": f"q={self._product}"}):
            self._in_parallel(self._users, self._search)
            self.spend(2, 6)

    def fills_the_cart(self) -> None:
        with self._page("POST", "/cart"):
            self._users()
            self._cart("POST", "/items")
            self.spend(1, 4)

    def orders(self) -> None:
        try:
            with self._page("POST", "/checkout", {"order.item_count": self._random.randint(1, 9)}):
                self._checkout()
        except PaymentFailed:
            return

    def _checkout(self) -> None:
        with self._request("frontend", "checkout", "POST", "/orders") as span:
            order = f"order-{self._random.randrange(10**6, 10**7)}"
            span.set_attributes({"order.id": order, "warehouse.id": self._warehouse})
            self._cart("GET", "/items", "checkout")
            self._inventory("checkout", "POST", "/reservations")
            self._in_parallel(self._fraud_check, self._shipping)
            self._payment(order)
            self._sql("checkout", "INSERT", "orders", 3, 9)
            sent = self._publish(order)
        self._email_worker(order, sent)

    def _users(self) -> None:
        with self._request("frontend", "users", "GET", "/sessions/{id}"):
            hit = self._random.random() < 0.9
            self._redis("users", "GET", {"cache.hit": hit})
            if not hit:
                self._sql("users", "SELECT", "users", 2, 8)

    def _recommendation(self) -> None:
        with self._request("frontend", "recommendation", "GET", "/recommendations"):
            self._redis("recommendation", "MGET")
            with self._span("recommendation", "rank products", attributes={"model.version": 7}):
                self.spend(8, 45)
            self._sql("recommendation", "SELECT", "products", 3, 12)

    def _search(self) -> None:
        with self._request("frontend", "search", "GET", "/products"):
            attributes: Attributes = {
                "db.system.name": "opensearch",
                "db.operation.name": "search",
                "db.collection.name": "products",
                "server.address": SEARCH_INDEX,
                "server.port": 9200,
            }
            with self._span("search", "search products", SpanKind.CLIENT, attributes):
                self.spend(10, 90)

    def _cart(self, method: str, route: str, caller: str = "frontend") -> None:
        with self._request(caller, "cart", method, route):
            self._redis("cart", "HSET" if method == "POST" else "HGETALL")
            if method == "POST":
                self._inventory("cart", "GET", "/stock/{product}")

    def _inventory(self, caller: str, method: str, route: str) -> None:
        with self._request(caller, "inventory", method, route) as span:
            span.set_attributes({"warehouse.id": self._warehouse, "product.name": self._product})
            is_slow = self._warehouse == SLOW_WAREHOUSE
            for _ in range(self._random.randint(12, 18) if is_slow else 1):
                self._sql("inventory", "SELECT", "stock", *((38, 60) if is_slow else (3, 12)))
                self.spend(0.3, 1)

    def _fraud_check(self) -> None:
        with self._request("checkout", "fraud-check", "POST", "/scores") as span:
            self.spend(15, 70)
            span.set_attribute("fraud.score", round(self._random.random(), 3))

    def _shipping(self) -> None:
        with self._request("checkout", "shipping", "POST", "/quotes"):
            self._sql("shipping", "SELECT", "tariffs", 2, 7)
            self.spend(3, 15)

    def _payment(self, order: str) -> None:
        with self._request("checkout", "payment", "POST", "/payments") as span:
            span.set_attribute("order.id", order)
            attributes = _http_attributes("POST", "/v2/charges", PAYMENT_PROVIDER)
            try:
                with self._span("payment", "POST /v2/charges", SpanKind.CLIENT, attributes) as call:
                    self._charge(call)
            except PaymentFailed as failure:
                span.record_exception(failure, timestamp=self._now)
                raise

    def _charge(self, call: Span) -> None:
        fate = self._random.random()
        if fate < _PROVIDER_DOWN_SHARE:
            self.spend(900, 1_100)
            call.set_attributes({"http.response.status_code": 503, "error.type": "503"})
            raise PaymentFailed("the provider is not available")
        self.spend(90, 260)
        if fate < _PROVIDER_DOWN_SHARE + _DECLINED_SHARE:
            call.set_attributes({"http.response.status_code": 402, "error.type": "402"})
            raise PaymentFailed("the card was declined")
        call.set_attribute("http.response.status_code", 200)

    def _publish(self, order: str) -> trace.SpanContext:
        attributes = _messaging_attributes("send", order)
        with self._span("checkout", f"send {QUEUE}", SpanKind.PRODUCER, attributes) as span:
            self.spend(4, 12)
        return span.get_span_context()

    def _email_worker(self, order: str, sent: trace.SpanContext) -> None:
        """Take the order from the queue, in a trace of its own with a link to the span that sent it."""
        self.trace_count += 1
        attributes = _messaging_attributes("process", order)
        began, self._now = self._now, self._now + int(self._random.uniform(50, 900) * _MILLI)
        with (
            self._new_trace(),
            self._span(
                "email-worker", f"process {QUEUE}", SpanKind.CONSUMER, attributes, trace.Link(sent)
            ),
        ):
            with self._span("email-worker", "render template"):
                self.spend(3, 10)
            server: Attributes = {"server.address": MAIL_SERVER, "server.port": 587}
            with self._span("email-worker", "send mail", SpanKind.CLIENT, server):
                self.spend(60, 220)
        self._now = began

    @contextmanager
    def _new_trace(self) -> Iterator[None]:
        token = context.attach(context.Context())
        try:
            yield
        finally:
            context.detach(token)

    @contextmanager
    def _page(
        self, method: str, route: str, attributes: Mapping[str, AttributeValue] = {}
    ) -> Iterator[Span]:
        """Make the root span of a request that the visitor sends to the frontend."""
        every = {**_http_attributes(method, route), "user.id": self._user, **attributes}
        with (
            self._new_trace(),
            self._span("frontend", f"{method} {route}", SpanKind.SERVER, every) as span,
        ):
            self.spend(1, 4)
            yield span
            span.set_attribute("http.response.status_code", 200)

    @contextmanager
    def _request(self, caller: str, service: str, method: str, route: str) -> Iterator[Span]:
        """Make the two spans of a call between services; the current span within is the server's."""
        name = f"{method} {route}"
        outgoing = _http_attributes(method, route, f"{service}.shop.internal")
        with self._span(caller, name, SpanKind.CLIENT, outgoing) as client:
            self.spend(0.3, 1.5)
            incoming = _http_attributes(method, route)
            with self._span(service, name, SpanKind.SERVER, incoming) as server:
                self.spend(0.5, 3)
                yield server
                self.spend(0.2, 1)
                server.set_attribute("http.response.status_code", 200)
            self.spend(0.3, 1.5)
            client.set_attribute("http.response.status_code", 200)

    def _sql(self, service: str, operation: str, table: str, low_ms: float, high_ms: float) -> None:
        attributes: Attributes = {
            "db.system.name": "postgresql",
            "db.namespace": "shop",
            "db.operation.name": operation,
            "db.collection.name": table,
            "server.address": DATABASE,
            "server.port": 5432,
        }
        with self._span(service, f"{operation} {table}", SpanKind.CLIENT, attributes):
            self.spend(low_ms, high_ms)

    def _redis(self, service: str, command: str, more: Mapping[str, AttributeValue] = {}) -> None:
        attributes: Attributes = {
            "db.system.name": "redis",
            "db.operation.name": command,
            "server.address": CACHE,
            "server.port": 6379,
            **more,
        }
        with self._span(service, command, SpanKind.CLIENT, attributes):
            self.spend(0.3, 2)

    @contextmanager
    def _span(
        self,
        service: str,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        *links: trace.Link,
    ) -> Iterator[Span]:
        """Make a span of a service with the visit's clock; it has status ERROR if a PaymentFailed leaves it."""
        span = self._shop.tracers[service].start_span(
            name, kind=kind, attributes=attributes, links=links, start_time=self._now
        )
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield span
        except PaymentFailed as failure:
            span.set_status(StatusCode.ERROR, str(failure))
            if kind is SpanKind.SERVER:
                span.set_attributes({"http.response.status_code": 502, "error.type": "502"})
            raise
        finally:
            span.end(self._now)

    def _in_parallel(self, *calls: Callable[[], None]) -> None:
        """Run all at once: each starts at the current time, and the clock then stands at the latest end."""
        start, ends = self._now, []
        for call in calls:
            self._now = start
            call()
            ends.append(self._now)
        self._now = max(ends)


def _http_attributes(method: str, route: str, address: str | None = None) -> Attributes:
    """Return HTTP attributes; a client's span also has the address that it calls."""
    if address is None:
        return {"http.request.method": method, "http.route": route, "url.scheme": "http"}
    return {
        "http.request.method": method,
        "url.template": route,
        "server.address": address,
        "server.port": 443,
    }


def _messaging_attributes(operation: str, message: str) -> Attributes:
    return {
        "messaging.system": "aws_sqs",
        "messaging.destination.name": QUEUE,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.message.id": message,
    }


class Sender:
    """Sends a shop's spans, each service's in a request of its own, as real services do."""

    def __init__(self, endpoint: str) -> None:
        self._exporter = OTLPSpanExporter(
            f"{endpoint}/v1/traces", timeout=_EXPORT_TIMEOUT_SECONDS, compression=Compression.Gzip
        )

    def send(self, spans_by_service: Mapping[str, Sequence[ReadableSpan]]) -> bool:
        """Send all spans; return whether all were accepted. Spans that were not are lost."""
        results = [self._exporter.export(spans) for spans in spans_by_service.values()]
        return all(result is SpanExportResult.SUCCESS for result in results)

    def close(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


class Settings(NamedTuple):
    endpoint: str
    """Base URL, without a slash at its end."""
    rate: float
    """Visits a second."""
    backlog: int
    """Visits in the past half hour, sent first."""
    seed: int


def settings_from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings; an unset or empty variable has its default. Raises Refused for an invalid value."""
    endpoint = (environment.get("ENDPOINT") or ENDPOINT).rstrip("/")
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise Refused(f"ENDPOINT is {endpoint!r}; it must begin with http:// or https://")
    rate = _number(environment, "RATE", "5")
    if not 0 < rate <= 100:
        raise Refused(f"RATE is {rate:g}; it must be more than 0, and at most 100 visits a second")
    backlog, seed = _number(environment, "BACKLOG", "300"), _number(environment, "SEED", "1")
    if not 0 <= backlog <= 100_000:
        raise Refused(f"BACKLOG is {backlog:g}; it must be from 0 to 100000")
    return Settings(endpoint=endpoint, rate=rate, backlog=int(backlog), seed=int(seed))


def _number(environment: Mapping[str, str], name: str, default: str) -> float:
    text = environment.get(name) or default
    try:
        return float(text) if name == "RATE" else int(text)
    except ValueError:
        raise Refused(f"{name} is {text!r}; it must be a number") from None


def check_endpoint(endpoint: str) -> None:
    """Check that a Clew answers at the endpoint. Raises Refused if none does."""
    try:
        with urllib.request.urlopen(
            f"{endpoint}/health", timeout=_HEALTH_TIMEOUT_SECONDS
        ) as answer:
            answer.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Refused(
            f"no Clew answers at {endpoint} ({reason}); start one with: make run"
        ) from error


def lines_for(settings: Settings) -> list[str]:
    """Return the lines that a person reads at the start: what is sent, and where to look."""
    url = settings.endpoint
    slow = f"service=inventory&attribute=warehouse.id%3D{SLOW_WAREHOUSE}&min_duration=400ms"
    return [
        f"A shop of {len(SERVICES)} services sends to {url}: {settings.backlog} visits of the past half hour, "
        f"then {settings.rate:g} a second.",
        "Three things to look for:",
        f"  Why orders from one warehouse are slow:  {url}/v1/traces?{slow}",
        f"  Which payments fail, and of what:        {url}/v1/traces?service=payment&status=error",
        f"  Who calls whom, over the queue too:      {url}/v1/edges",
        "Ctrl-C ends it.",
    ]


class Demo:
    """Sends the backlog, and then visits at a rate until it is interrupted."""

    def __init__(self, settings: Settings) -> None:
        self.sent_traces = 0
        self._settings = settings
        self._shop = Shop(settings.seed)
        self._sender = Sender(settings.endpoint)
        self._is_refused = False

    def run(self) -> None:
        """Send for ever; KeyboardInterrupt ends it."""
        self._send_backlog()
        print(f"The backlog is sent: {self.sent_traces} traces. Going on…", flush=True)
        due = time.monotonic()
        while True:
            # A request a service and second is enough, whatever the rate.
            visits = max(1, round(self._settings.rate))
            start = time.time_ns() - _VISIT_SECONDS_MAX * 1_000 * _MILLI
            gap = int(1_000 * _MILLI / self._settings.rate)
            self._send([start + number * gap for number in range(visits)])
            due += visits / self._settings.rate
            time.sleep(max(0.0, due - time.monotonic()))

    def close(self) -> None:
        self._sender.close()

    def _send_backlog(self) -> None:
        width = BACKLOG_SECONDS * 1_000 * _MILLI
        latest = time.time_ns() - _VISIT_SECONDS_MAX * 1_000 * _MILLI
        starts = [
            latest - width * place // max(1, self._settings.backlog)
            for place in range(self._settings.backlog)
        ]
        starts.reverse()
        for first in range(0, len(starts), _BACKLOG_CHUNK_TRACES):
            self._send(starts[first : first + _BACKLOG_CHUNK_TRACES])

    def _send(self, starts: Sequence[int]) -> None:
        traces = sum(self._shop.visit(start) for start in starts)
        is_accepted = self._sender.send(self._shop.take_spans())
        if is_accepted:
            self.sent_traces += traces
        if self._is_refused is is_accepted:
            url, self._is_refused = self._settings.endpoint, not is_accepted
            _say_aside(
                f"{url} takes spans again"
                if is_accepted
                else f"{url} does not take spans; still trying"
            )


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    # Its own words for a refused export; ours is one line.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    try:
        settings = settings_from_environment(os.environ)
        check_endpoint(settings.endpoint)
    except Refused as error:
        _say_aside(str(error))
        return 1
    except KeyboardInterrupt:
        return 0
    print("\n".join(lines_for(settings)), flush=True)
    demo = Demo(settings)
    try:
        demo.run()
    except KeyboardInterrupt:
        print(f"\n{demo.sent_traces} traces sent.", flush=True)
    finally:
        demo.close()
    return 0


def _say_aside(line: str) -> None:
    print(f"clew demo: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
