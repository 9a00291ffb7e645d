"""What a deployment may meet: time that runs out, throttles for long, releases, neighbours, answers too large."""

from __future__ import annotations

import base64
import gzip
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from app import app
from chalicelib import config, wiring
from chalicelib.consume.consumer import OutOfTime
from chalicelib.errors import StoreError, StoreThrottled
from chalicelib.functions.consume import _TIME_RESERVE_MILLIS
from chalicelib.http.access import STRANGER_SECONDS, Access
from chalicelib.model.token import Scope
from chalicelib.queue import message as message_module
from chalicelib.store.tokens import tokens_in
from infra import stack
from infra.tokens import make_token
from local.fake_aws import client
from local.functions import PROJECT, REQUEST_BYTES_MAX, context_of
from tests.columns import rows_in
from tests.faults.injector import FOREVER, Fault, refused
from tests.faults.test_requests import counted, noise
from tests.faults.world import SECOND, World, answers
from tests.payloads import Made, payload, trace_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import Outcome

pytestmark = pytest.mark.slow

RESOURCE = "/v1/traces/{trace_id}"
HOT_KEY = "ProvisionedThroughputExceededException"


@pytest.fixture
def expected(world) -> Outcome:
    """What the world comes to without a fault; it is empty again, with every request in the queue."""
    world.run()
    found: Outcome = world.outcome()
    world.clear()
    for body in world.requests:
        world.send_until_acknowledged(body)
    return found


class RunsOut:
    """A Lambda context whose time is over after so many looks at it."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def __getattr__(self, name: str) -> Any:
        return getattr(context_of("consume"), name)

    def get_remaining_time_in_millis(self) -> int:
        self._looks -= 1
        return _TIME_RESERVE_MILLIS + (1 if self._looks >= 0 else 0)


@pytest.mark.parametrize("groups", range(6))
def test_out_of_time(world, expected, monkeypatch, groups):
    """A consumer whose time ends after any of its groups fails; delivered again, what was counted is not again."""
    monkeypatch.setattr(config, "GROUP_MESSAGES_MAX", 1)
    records = world.received()
    event = {"Records": records}
    try:
        app.handler_map["consume"](event, RunsOut(groups))
        assert groups == len(records)
    except OutOfTime:
        assert len(world.outcome().markers) == groups
    world.consume(world.give_back(records))
    world.settle()
    assert world.outcome() == expected


@pytest.mark.parametrize("operation", ["BatchWriteItem", "TransactWriteItems", "BatchGetItem"])
def test_hot_key_for_long(world, expected, operation):
    """A key that throttles over many deliveries buries nothing: messages come again until it has cooled down."""
    fault = Fault("hot", refused(HOT_KEY), None, (operation,), "", FOREVER)
    records = world.received()
    for _ in range(10):
        with world.injector.happening(fault, 0), pytest.raises(StoreThrottled):
            world.consume(records)
        records = world.give_back(records)
    assert world.outcome().dead_letters == []
    world.consume(records)
    world.settle()
    assert world.outcome() == expected


def test_unprocessed_for_long(world, expected):
    """Items that DynamoDB hands back for ever fail the invocation, after tries that end; nothing is buried or lost."""
    records = world.received()
    fault = Fault("half", None, None, ("BatchWriteItem",), "UnprocessedItems", FOREVER)
    with world.injector.happening(fault, 0), pytest.raises(StoreThrottled, match="not written"):
        world.consume(records)
    assert world.outcome().dead_letters == []
    world.consume(world.give_back(records))
    world.settle()
    assert world.outcome() == expected


def test_age_is_told(world, monkeypatch):
    """How old the oldest message of an event is goes into the metrics: a backlog is seen."""
    told: dict[str, int] = {}
    monkeypatch.setattr("chalicelib.telemetry.emit", lambda _, figures: told.update(figures))
    world.send_until_acknowledged(world.requests[0])
    (record,) = world.received()
    sent = str((world.now - 500) * 1_000)
    world.consume([{**record, "attributes": {**record["attributes"], "SentTimestamp": sent}}])
    assert 500 <= told["oldest_message_age"] < 600


def test_partial_responses(world, expected):
    """With ReportBatchItemFailures or without, the consumer's answer means the same: nothing is returned, or it raises.

    Source: AWS Lambda Developer Guide, "Implementing partial batch responses": null is a complete success.
    """
    records = world.received()
    with (
        world.injector.happening(Fault("no", refused("ThrottlingException"), times=FOREVER), 0),
        pytest.raises(StoreError),
    ):
        app.handler_map["consume"]({"Records": records}, context_of("consume"))
    returned = app.handler_map["consume"]({"Records": records}, context_of("consume"))
    assert returned is None
    world.delete(records)
    world.settle()
    assert world.outcome() == expected


def test_markers_outlive_every_delivery():
    """A marker is kept longer than a message can be on its way: in both queues, and once more after a redrive."""
    template = stack.TEMPLATE.read_text(encoding="utf-8")
    seconds = [
        int(line.split(":")[1])
        for line in template.splitlines()
        if "MessageRetentionPeriod:" in line
    ]
    assert len(seconds) == 2
    assert 2 * sum(seconds) < config.MARKER_RETENTION_SECONDS
    assert max(seconds) == config.DEAD_LETTER_RETENTION_SECONDS


class TestReleases:
    """A release is changed while messages wait."""

    @pytest.fixture
    def newer(self, monkeypatch) -> Iterator[pytest.MonkeyPatch]:
        """Until it is undone, what runs is a release with another message format."""
        with monkeypatch.context() as release:
            release.setattr(message_module, "FORMAT_VERSION", 2)
            yield release

    def test_new_messages_at_an_old_consumer(self, world, newer):
        """A message of a version that the consumer does not know is buried for that, and stored by one that does."""
        world.send_until_acknowledged(world.requests[0])
        newer.undo()
        world.consume(world.received())
        assert world.outcome().spans == {}
        (letter,) = world.get("/v1/dead-letters")["dead_letters"]
        assert "version 2 is not known" in letter["reason"]
        newer.setattr(message_module, "FORMAT_VERSION", 2)
        world.redrive()
        world.settle()
        assert counted(world) == 2
        assert world.outcome().dead_letters == []

    def test_a_message_of_the_first_version(self, world):
        """A message as the first release wrote it is stored: those that wait outlive a release."""
        golden = json.loads((PROJECT / "tests" / "golden" / "message_v1.json").read_text())
        world.sqs.send_message(
            QueueUrl=world.queue_url,
            MessageBody=golden["body"],
            MessageAttributes={
                "payload": {
                    "DataType": "Binary.zstd",
                    "BinaryValue": base64.b64decode(golden["payload"]),
                }
            },
        )
        world.settle()
        assert world.outcome().dead_letters == []
        assert {n: len(spans) for n, spans in world.outcome().spans.items()} == {1: 2}


class TestLargeAnswers:
    SPANS = 100

    @pytest.fixture
    def large(self, world) -> World:
        """A trace whose answer is too large for Lambda even when gzipped."""
        for i in range(self.SPANS):
            attributes = (("n", noise(i, 120_000)),)
            world.send_until_acknowledged(
                payload([Made(1, i + 1, start=world.now * SECOND, attributes=attributes)])
            )
        world.settle()
        found: World = world
        return found

    def ask(self, world: World, headers: dict[str, str], **query: str) -> tuple[int, bytes, int]:
        """Status, body unpacked, and the size of what Lambda returns."""
        event = {
            "resource": RESOURCE,
            "path": "/v1/traces/x",
            "httpMethod": "GET",
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
            "pathParameters": {"trace_id": trace_id(1).hex()},
            "stageVariables": None,
            "requestContext": {"resourcePath": RESOURCE, "httpMethod": "GET", "path": "/clew/"},
            "body": None,
            "isBase64Encoded": False,
        }
        answer = app(event, context_of("api_handler"))
        body = answer["body"]
        raw = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        if raw.startswith(b"\x1f\x8b"):
            raw = gzip.decompress(raw)
        return answer["statusCode"], raw, len(json.dumps(answer))

    def test_refused_or_paged(self, large):
        """What Lambda cannot return is a 413 that says what to do, not a 502 of the gateway's.

        As columns the same trace comes page by page, whole, each page as Lambda can return it.
        """
        for accepted in ("gzip", "identity"):
            self.assert_refused(large, {"Accept": "*/*", "Accept-Encoding": accepted})
        self.assert_paged(large)

    def assert_refused(self, large: World, headers: dict[str, str]) -> None:
        status, body, size = self.ask(large, headers)
        assert status == 413
        assert json.loads(body)["error"]["code"] == "response_too_large"
        assert size < REQUEST_BYTES_MAX

    def assert_paged(self, large: World) -> None:
        accepted = {"Accept": "application/vnd.clew.columns+json", "Accept-Encoding": "gzip"}
        names, query = [], {"attributes": "true"}
        while True:
            status, body, size = self.ask(large, accepted, **query)
            page = json.loads(body)
            assert (status, size < REQUEST_BYTES_MAX) == (200, True)
            names += [row.span_id for row in rows_in(page)]
            if page["next"] is None:
                break
            query = {"attributes": "true", "cursor": page["next"]}
        assert len(set(names)) == len(names) == self.SPANS


class TestTokensAway:
    """The table of the tokens cannot be read."""

    @pytest.fixture
    def access(self, world, monkeypatch) -> list[float]:
        """Tokens are wanted; a clock to move."""
        now = [0.0]
        access = Access(lambda: tokens_in(world.store), lambda: now[0])
        monkeypatch.setattr(wiring, "access", lambda: access)
        make_token(world.store, [Scope.INGEST], "known", "a-token-that-is-known")
        return now

    def test_who_is_known_goes_on(self, world, access):
        """Who was let in before is let in; a stranger is told to come again, not that it is one."""
        known, stranger = {"x-api-key": "a-token-that-is-known"}, {"x-api-key": "who-knows"}
        assert world.send(world.requests[0], known)[0] == 200
        fault = Fault("away", refused("ThrottlingException"), None, ("Query",), "", FOREVER)
        access[0] += 10_000
        with world.injector.happening(fault, 0):
            assert world.send(world.requests[1], known)[0] == 200
            assert world.send(world.requests[1], stranger)[0] == 503
        access[0] += STRANGER_SECONDS
        assert world.send(world.requests[1], stranger)[0] == 401

    def test_a_cold_function_without_tokens_answers_503(self, world, access):
        """A function that has never read them answers 503: its senders keep what they have."""
        known = {"x-api-key": "a-token-that-is-known"}
        fault = Fault("away", refused("InternalServerError", 500), None, ("Query",), "", FOREVER)
        with world.injector.happening(fault, 0):
            assert world.send(world.requests[0], known)[0] == 503
        access[0] += STRANGER_SECONDS
        assert world.send(world.requests[0], known)[0] == 200


def test_what_the_gateway_answers_by_itself():
    """Throttled, crashed or too slow, a function is a 503 with Retry-After to its senders: on 500 they drop spans."""
    merged = json.loads((PROJECT / "infra" / "merge.json").read_text(encoding="utf-8"))
    definition = merged["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    answers_of_gateway = definition["x-amazon-apigateway-gateway-responses"]
    for name in ("DEFAULT_5XX", "THROTTLED", "QUOTA_EXCEEDED"):
        answer = answers_of_gateway[name]
        assert answer["statusCode"] == "503"
        assert "gatewayresponse.header.Retry-After" in answer["responseParameters"]
    # A code of its own would win over DEFAULT_5XX's.
    for name in ("INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "AUTHORIZER_FAILURE"):
        assert answers_of_gateway.get(name, {"statusCode": "503"})["statusCode"] == "503"


NAMES = {
    "SPAN_QUEUE": "spans",
    "DEAD_LETTER_QUEUE": "dead-letters",
    "SPANS_TABLE": "spans",
    "INDEX_TABLE": "index",
    "STATISTICS_TABLE": "statistics",
}


@contextmanager
def prefix(monkeypatch: pytest.MonkeyPatch, text: str) -> Iterator[pytest.MonkeyPatch]:
    """Within: the code of another stage."""

    def forget_queues() -> None:
        for kept in (wiring._sqs_sender, wiring.dead_letters, wiring.dead_letter_queue):
            kept.cache_clear()

    with monkeypatch.context() as patch:
        for name, suffix in NAMES.items():
            patch.setattr(config, name, f"{text}-{suffix}")
        forget_queues()
        yield patch
        forget_queues()


class TestStages:
    """Two stages in one account."""

    @pytest.fixture
    def other(self, world, monkeypatch) -> Iterator[World]:
        """A world of the same code with another prefix."""
        stack.apply(client("cloudformation"), "clew-other", {})
        with prefix(monkeypatch, "clew-other") as patch:
            other = World(patch)
            other.clear()
            yield other

    def test_nothing_is_shared(self, other, monkeypatch):
        """What one stage has, the other neither stores nor shows."""
        other.run()
        assert other.outcome().spans
        with prefix(monkeypatch, "clew") as patch:
            mine = World(patch)
            assert mine.outcome().spans == {}
            assert mine.outcome().targets == {}
            assert answers(mine)["/v1/services"] == {"services": [], "warnings": []}
            assert mine.received() == []

    def test_wrong_prefix(self, world, monkeypatch):
        """A prefix of which nothing is there accepts no span and answers no question, rather than an empty one."""
        with prefix(monkeypatch, "clew-nowhere"):
            assert world.send(world.requests[0])[0] == 503
            assert world.get("/v1/services")["error"]["code"] == "internal"
            assert world.get("/v1/dead-letters")["error"]["code"] == "internal"
