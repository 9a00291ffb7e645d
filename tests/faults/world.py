"""A small world around Clew, on moto: clients that send until they are told that it is done, SQS that delivers until
it is deleted, a schedule that runs again. And the oracle: what the world must come to, whatever happened on the way.

Everything goes through the real shapes: API Gateway's events into `app`, Lambda's SQS events into `consume`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import moto.backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from app import app
from chalicelib import config, wiring
from chalicelib.consume.dictionaries import Dictionaries
from chalicelib.model.frame import unseal
from chalicelib.store.dynamodb import DynamoStore, plain_item
from chalicelib.store.search_block import EVERY_SERVICE
from chalicelib.store.traces import read_rows, read_spans
from chalicelib.summarise import parents
from local.event_source_mapping import Source, record_from_message
from local.fake_aws import REGION
from local.functions import context_of
from tests.faults.injector import Died, Fault, Injector
from tests.memory_store import MemoryStore
from tests.payloads import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    MILLI,
    PRODUCER,
    SERVER,
    Made,
    payload,
    trace_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pytest
SECOND, MINUTE = 10**9, 60 * 10**9
TRIES_MAX = 6
"""Of anything, after its fault is over: more means that it will never be done."""
DATABASE = (("db.system.name", "postgresql"), ("server.address", "db-1"))


def requests_of(now_unix_seconds: int, *, with_look: bool = False) -> list[bytes]:
    """Two traces over three services, in requests of their own, and one span of hours ago that makes a roll-up.

    What is recent is dated ahead, so that no hour can end while the world runs. `with_look` adds a call whose parent
    comes an event before it, and is looked for.
    """
    soon = (now_unix_seconds + 120) * SECOND
    long_ago = (now_unix_seconds - 3 * 3_600) * SECOND
    spans = [
        [
            Made(1, 1, "shop", 0, "GET /", start=soon, duration=30 * MILLI),
            Made(1, 2, "shop", 1, "call", CLIENT, soon + 1, 20 * MILLI),
        ],
        [
            Made(1, 3, "cart", 2, "GET /cart", start=soon + 2, is_error=True),
            Made(1, 4, "cart", 3, "SELECT", CLIENT, soon + 3, 5 * MILLI, attributes=DATABASE),
        ],
        [
            Made(2, 5, "shop", 0, "POST /order", start=soon + MINUTE),
            Made(2, 6, "shop", 5, "send", PRODUCER, soon + MINUTE + 1),
        ],
        [Made(2, 7, "mail", 6, "receive", CONSUMER, soon + 2 * MINUTE, links=((2, 6),))],
        [Made(3, 8, "cart", 0, "GET /late", start=long_ago, is_error=True)],
    ]
    if with_look:
        spans[2].append(Made(2, 9, "shop", 5, "by hand", INTERNAL, soon + MINUTE + 2))
        spans[3].append(Made(2, 10, "cart", 9, "below", SERVER, soon + MINUTE + 3))
    return [payload(each) for each in spans]


class Outcome(NamedTuple):
    """What the world has come to: equal, to the byte, whatever happened on the way.

    Left out is what may differ: which chunks and blocks hold the spans and rows, for a fault may write some twice, and
    versions and expiries, for they say how often and when something was written.
    """

    spans: dict[int, list[tuple[bytes, bytes, bytes]]]
    """Trace → (resource, scope, span) wire bytes, copies left out."""
    rows: list[tuple[Any, ...]]
    """What the search index knows of each trace and service."""
    targets: dict[tuple[str, str], bytes]
    """Statistics, edges and catalogues by key, unsealed."""
    markers: set[str]
    dead_letters: list[tuple[str, str]]
    """Body and digest of the payload."""
    left: dict[str, int]
    """Messages in the queue, segments and waiting halves in the table."""


class Invocation(NamedTuple):
    """What happens next in the world, and goes on until it has succeeded."""

    kind: str
    """send, consume or summarise."""
    invoke: Callable[[], None]


class World:
    """`run` tells the whole story, with a fault or without. moto must be there."""

    def __init__(self, patch: pytest.MonkeyPatch, shards: int = 1) -> None:
        dynamodb, self.sqs = wiring.client("dynamodb"), wiring.client("sqs")
        # Retries wait for nobody here; apart from that it is the store that is deployed.
        self.store = DynamoStore(dynamodb, sleep=lambda _: None)
        patch.setattr(wiring, "store", lambda: self.store)
        patch.setattr(wiring, "dictionaries", lambda: Dictionaries(self.store))
        patch.setattr(config, "SHARDS", shards)
        patch.setattr(config, "SHARDS_READ", shards)
        # Nobody waits for the run a minute later: the next step of the same looks for parents.
        patch.setattr(parents, "LOOKED_AT_SECONDS", 0)
        self.injector = Injector(dynamodb, self.sqs)
        self.queue_url = wiring.queue_url(config.SPAN_QUEUE)
        self.dead_url = wiring.queue_url(config.DEAD_LETTER_QUEUE)
        arn = f"arn:aws:sqs:{REGION}:{DEFAULT_ACCOUNT_ID}:{config.SPAN_QUEUE}"
        self._source = Source(self.queue_url, arn, 1_000, 0)
        self.now = int(time.time())
        self._delivered: list[dict[str, Any]] = []
        self.requests = requests_of(self.now)

    def have_a_look(self) -> None:
        """Tell a story in which a parent is looked for."""
        self.requests = requests_of(self.now, with_look=True)

    def clear(self) -> None:
        """As on the first day."""
        backends: Any = moto.backends.get_backend
        for table in backends("dynamodb")[DEFAULT_ACCOUNT_ID][REGION].tables.values():
            table.items.clear()
        for queue in backends("sqs")[DEFAULT_ACCOUNT_ID][REGION].queues.values():
            queue._messages.clear()
            queue.pending_messages.clear()
            queue.deleted_messages.clear()

    # What happens in the world.

    def send(self, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """POST /v1/traces: status and body of the answer."""
        sent = {"Content-Type": "application/x-protobuf", **(headers or {})}
        event = {
            "resource": "/v1/traces",
            "path": "/v1/traces",
            "httpMethod": "POST",
            "headers": sent,
            "multiValueHeaders": {name: [value] for name, value in sent.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": "/v1/traces",
                "httpMethod": "POST",
                "path": "/clew/v1/traces",
                "identity": {"sourceIp": "192.0.2.1"},
            },
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        answer = app(event, context_of("api_handler"))
        raw: str = answer["body"]
        body = base64.b64decode(raw) if answer.get("isBase64Encoded") else raw.encode()
        return answer["statusCode"], body

    def get(self, resource: str, parameter: str = "", **query: Any) -> Any:
        """What the API answers to GET, errors too."""
        return self.ask("GET", resource, parameter, **query)

    def ask(self, method: str, resource: str, parameter: str = "", **query: Any) -> Any:
        """What the API answers, errors too."""
        name = resource.partition("{")[2].partition("}")[0]
        event = {
            "resource": resource,
            "path": resource,
            "httpMethod": method,
            "headers": {"X-Clew-Request": "1"},
            "multiValueHeaders": {"X-Clew-Request": ["1"]},
            "multiValueQueryStringParameters": {key: [str(value)] for key, value in query.items()},
            "pathParameters": {name: parameter} if name else None,
            "stageVariables": None,
            "requestContext": {"resourcePath": resource, "httpMethod": method, "path": "/clew/"},
            "body": None,
            "isBase64Encoded": False,
        }
        with self.injector.paused():
            return json.loads(app(event, context_of("api_handler"))["body"])

    def send_until_acknowledged(self, body: bytes) -> None:
        for _ in range(TRIES_MAX):
            status, answer = self.send(body)
            assert status in (200, 503), answer
            if status == 200:
                return
        raise AssertionError("never acknowledged")

    def received(self) -> list[dict[str, Any]]:
        """What SQS delivers now, as an event's records; it stays in the queue, and may be delivered again at once."""
        records: list[dict[str, Any]] = []
        with self.injector.paused():
            while True:
                answer = self.sqs.receive_message(
                    QueueUrl=self.queue_url,
                    MaxNumberOfMessages=10,
                    VisibilityTimeout=600,
                    AttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
                messages = answer.get("Messages", [])
                records += [record_from_message(each, self._source) for each in messages]
                if not messages:
                    return records

    def consume(self, records: Sequence[dict[str, Any]]) -> None:
        """Lambda's invocation; and what its event source mapping does once it returns."""
        app.handler_map["consume"]({"Records": list(records)}, context_of("consume"))
        self.delete(records)

    def delete(self, records: Sequence[dict[str, Any]]) -> None:
        with self.injector.paused():
            for record in records:
                self.sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=record["receiptHandle"]
                )

    def give_back(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same messages, delivered once more."""
        again = []
        for record in records:
            count = int(record["attributes"]["ApproximateReceiveCount"]) + 1
            attributes = {**record["attributes"], "ApproximateReceiveCount": str(count)}
            again.append({**record, "attributes": attributes})
        return again

    def redrive(self) -> Any:
        """POST /v1/dead-letters/redrive: every dead letter back into the queue, as it is."""
        return self.ask("POST", "/v1/dead-letters/redrive")

    def summarise(self) -> None:
        event = {
            "version": "0",
            "id": "1",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
        }
        more = {"account": "1", "time": "", "region": REGION, "resources": [], "detail": {}}
        app.handler_map["summarise"]({**event, **more}, context_of("summarise"))

    # Invocations that may fail, and what the world then does.

    def invocations(self) -> list[Invocation]:
        """The whole story, in order: requests, their consumption in two events, and the schedule between and after."""
        sends = [Invocation("send", partial(self._acknowledge, body)) for body in self.requests]
        consume = Invocation("consume", self._consume_all)
        summarise = Invocation("summarise", self._summarise)
        return [*sends[:3], consume, summarise, *sends[3:], consume, summarise, summarise]

    def run(
        self,
        fault: Fault | None = None,
        invocation: int = -1,
        at: int = 0,
        again: int | None = None,
    ) -> list[list[str]]:
        """The whole story, with a fault at a call of one invocation, and, if told, at one when that is tried again.

        Returns the operations of each invocation.
        """
        operations = []
        for number, (_, invoke) in enumerate(self.invocations()):
            with self.injector.happening(fault if number == invocation else None, at, again):
                invoke()
            operations.append(self.injector.operations)
        self.settle()
        return operations

    def run_twice(self, invocation: int, at: int, when: str, messages: int | None = None) -> None:
        """The whole story, with a second run of one invocation, as a whole, before or after one of its calls.

        A second consumer gets the first `messages` of those that the first one got; all of them if not said.
        """

        def interrupt() -> None:
            with self.injector.paused():
                if self.invocations()[invocation].kind == "consume":
                    self.consume(self.give_back(self._delivered[:messages]))
                else:
                    self.summarise()

        before, after = (interrupt, None) if when == "before" else (None, interrupt)
        self.run(Fault("another", before, after), invocation, at)

    def settle(self) -> None:
        """Without further faults: consume what is in the queue, summarise until that changes nothing."""
        self._consume_all()
        self._summarise()
        self._summarise()

    def _acknowledge(self, body: bytes) -> None:
        try:
            status, answer = self.send(body)
        except Died:
            status, answer = 502, b""
        if status != 200:
            assert status in (502, 503), answer
            with self.injector.paused():
                self.send_until_acknowledged(body)

    def _consume_all(self) -> None:
        self._delivered = records = self.received()
        if records:
            self._again_if_it_fails(
                lambda: self.consume(records), lambda: self.consume(self.give_back(records))
            )

    def _summarise(self) -> None:
        self._again_if_it_fails(self.summarise, self.summarise)

    def _again_if_it_fails(self, first: Callable[[], None], again: Callable[[], None]) -> None:
        try:
            first()
        except (Exception, Died):
            with self.injector.second_try():
                try:
                    again()
                    return
                except (Exception, Died):
                    pass
            with self.injector.paused():
                again()

    # What it has come to.

    def outcome(self) -> Outcome:
        with self.injector.paused():
            items = [
                (item["p"]["S"], item["s"]["S"], item)
                for item in self._items(config.STATISTICS_TABLE)
            ]
            stored = self._stored()
            return Outcome(
                self._spans(stored),
                sorted(self._rows(stored)),
                dict(self._targets(items)),
                {p for p, _, _ in items if p.startswith("m|")},
                sorted(self._dead_letters()),
                {
                    "messages": len(self.received()),
                    "segments": sum(s.startswith("s|") for p, s, _ in items if p.startswith("f|")),
                },
            )

    def _items(self, table: str) -> Iterator[dict[str, Any]]:
        pages = wiring.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=table, ConsistentRead=True):
            yield from page["Items"]

    def _stored(self) -> MemoryStore:
        """What the tables of spans and of the index hold: to be asked often, which takes long through moto."""
        stored = MemoryStore()
        for table in (config.SPANS_TABLE, config.INDEX_TABLE):
            stored.put_batch(table, [plain_item(item) for item in self._items(table)])
        return stored

    def _targets(
        self, items: Sequence[tuple[str, str, dict[str, Any]]]
    ) -> Iterator[tuple[tuple[str, str], bytes]]:
        for partition, sort, item in items:
            if partition[:2] in ("s|", "e|", "c|"):
                yield (partition, sort), unseal(item["v"]["B"])

    def _spans(self, stored: MemoryStore) -> dict[int, list[tuple[bytes, bytes, bytes]]]:
        found = {}
        for number in range(1, 10):
            spans = read_spans(stored, trace_id(number), self.now)
            if spans:
                found[number] = sorted(
                    (span.scope.resource_head, span.scope.scope_head, span.raw) for span in spans
                )
        return found

    def _rows(self, stored: MemoryStore) -> set[tuple[Any, ...]]:
        found = set()
        for hour in range(self.now // 3_600 - 4, self.now // 3_600 + 2):
            for service in (EVERY_SERVICE, "shop", "cart", "mail"):
                for rows in read_rows(stored, hour, service, self.now):
                    for row in rows:
                        found.add((row.trace_id, row.service, tuple(sorted(row.span_names))))
        # A row of a group that was bisected, or committed again with fewer messages, covers a part of another's.
        return {
            row
            for row in found
            if not any(row[:2] == other[:2] and set(row[2]) < set(other[2]) for other in found)
        }

    def _dead_letters(self) -> Iterator[tuple[str, str]]:
        answer = self.sqs.receive_message(
            QueueUrl=self.dead_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageAttributeNames=["All"],
        )
        for message in answer.get("Messages", []):
            binary = message.get("MessageAttributes", {}).get("payload", {}).get("BinaryValue", b"")
            yield message["Body"], hashlib.sha256(binary).hexdigest()


def answers(world: World) -> dict[str, Any]:
    """What the query API says of the whole world."""
    start, end = world.now - 4 * 3_600, world.now + 3_600
    return {path: world.get(path, start=start, end=end) for path in ("/v1/services", "/v1/edges")}
