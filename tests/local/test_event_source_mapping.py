"""The poller behaves as Lambda's does: event shape, batches, and what becomes of a failed batch."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from typing import Any

import pytest

from local.event_source_mapping import (
    EventSourceMapping,
    Received,
    Source,
    is_complete,
    received_from_message,
    record_from_message,
    take_batch,
)
from local.fake_aws import client

SOURCE = Source("url", "arn:aws:sqs:eu-west-1:123456789012:clew-spans", 10, 5)
MESSAGE = {
    "MessageId": "id-1",
    "ReceiptHandle": "handle-1",
    "MD5OfBody": "md5-of-body",
    "Body": '{"version":1}',
    "Attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1800000000000"},
    "MD5OfMessageAttributes": "md5-of-attributes",
    "MessageAttributes": {
        "payload": {"DataType": "Binary.zstd", "BinaryValue": b"\xff\x00"},
        "note": {"DataType": "String", "StringValue": "text"},
    },
}


def received(record_bytes: int) -> Received:
    return Received({}, record_bytes)


class TestRecord:
    def test_a_record_has_the_shape_of_lambda_events(self):
        """A record has the shape of Lambda's SQS events, with binary attributes as base64."""
        assert record_from_message(MESSAGE, SOURCE) == {
            "messageId": "id-1",
            "receiptHandle": "handle-1",
            "body": '{"version":1}',
            "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1800000000000"},
            "messageAttributes": {
                "payload": {
                    "binaryValue": "/wA=",
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": "Binary.zstd",
                },
                "note": {
                    "stringValue": "text",
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": "String",
                },
            },
            "md5OfBody": "md5-of-body",
            "md5OfMessageAttributes": "md5-of-attributes",
            "eventSource": "aws:sqs",
            "eventSourceARN": SOURCE.queue_arn,
            "awsRegion": "eu-west-1",
        }

    def test_a_record_counts_as_its_json_does(self):
        """A record counts as the event's JSON has it: binary attributes a third larger than they are."""
        attribute = {"DataType": "Binary.zstd", "BinaryValue": bytes(900_000)}
        large = {**MESSAGE, "MessageAttributes": {"payload": attribute}}
        assert 1_200_000 < received_from_message(large, SOURCE).record_bytes < 1_201_000


class TestBatch:
    def test_a_batch_has_no_more_messages_than_asked_for(self):
        """A batch has no more messages than the function asked for; the rest waits, in order."""
        waiting = [received(number) for number in range(25)]
        assert take_batch(waiting, SOURCE) == (waiting[:10], waiting[10:])

    def test_an_event_stays_within_its_bytes(self):
        """An event stays within Lambda's 6 MB, or within what the source says."""
        waiting = [received(1_333_000)] * 10
        batch, rest = take_batch(waiting, SOURCE)
        assert (len(batch), len(rest)) == (4, 6)
        batch, rest = take_batch(waiting, SOURCE._replace(bytes_max=3_000_000))
        assert (len(batch), len(rest)) == (2, 8)

    def test_one_too_large(self):
        """A message that is too large alone is delivered: nothing may wait for ever."""
        assert take_batch([received(9_000_000), received(1)], SOURCE) == (
            [received(9_000_000)],
            [received(1)],
        )

    def test_an_empty_queue_calls_nothing(self):
        """Nothing waits, nothing is called."""
        assert take_batch([], SOURCE) == ([], [])
        assert not is_complete([], SOURCE, 99, 0, is_hurried=True)

    @pytest.mark.parametrize(
        ("count", "age_seconds", "last_received", "is_hurried", "expected"),
        [
            (1, 4.9, 0, False, False),
            (1, 5.0, 0, False, True),
            (1, 0.0, 0, True, True),
            (10, 0.0, 10, False, True),
            (8, 5.0, 10, False, False),  # the queue seems to have more: take it along
        ],
    )
    def test_a_batch_is_called_when_full_or_its_window_is_over(
        self, count, age_seconds, last_received, is_hurried, expected
    ):
        """A batch is called when it is full or its window over, and at once while somebody waits."""
        waiting = [received(1)] * count
        assert is_complete(waiting, SOURCE, age_seconds, last_received, is_hurried) is expected

    def test_six_megabytes(self):
        """A batch is full when the next message would take the event over 6 MB."""
        assert is_complete([received(2_000_000)] * 4, SOURCE, 0, 4, is_hurried=False)


class Function:
    """A consumer that remembers its events, and raises for the first few."""

    def __init__(self, failures: int = 0) -> None:
        self.events: list[dict[str, Any]] = []
        self.called = threading.Event()
        self._failures = failures

    def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.called.set()
        if len(self.events) <= self._failures:
            raise RuntimeError("told to fail")

    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in event["Records"]] for event in self.events]


@pytest.fixture(scope="module")
def sqs(aws):
    return client("sqs")


@pytest.fixture
def queue_urls(sqs):
    """A queue whose messages come back at once and die after three calls, and where they go then."""
    dead = sqs.create_queue(QueueName=f"dead-{uuid.uuid4()}")["QueueUrl"]
    policy = {"deadLetterTargetArn": arn_of(sqs, dead), "maxReceiveCount": 3}
    attributes = {"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(policy)}
    live = sqs.create_queue(QueueName=f"live-{uuid.uuid4()}", Attributes=attributes)["QueueUrl"]
    return live, dead


def arn_of(sqs: Any, url: str) -> str:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn: str = answer["Attributes"]["QueueArn"]
    return arn


@pytest.fixture
def poll(sqs, queue_urls):
    """Starts a poller of the queue, and ends it."""
    mappings = []
    url = queue_urls[0]

    def start(function, batch_size=10, window_seconds=0.0):
        source = Source(url, arn_of(sqs, url), batch_size, window_seconds)
        mappings.append(EventSourceMapping(sqs, source, function))
        mappings[-1].start()
        return mappings[-1]

    yield start
    for mapping in mappings:
        mapping.stop(5, wake=True)


@pytest.fixture
def send(sqs, queue_urls):
    """Puts messages with these bodies into the queue."""

    def send(*bodies):
        for body in bodies:
            sqs.send_message(QueueUrl=queue_urls[0], MessageBody=body)

    return send


class TestPoller:
    def test_a_delivered_message_is_deleted_after_success(self, send, poll):
        """A message is delivered once and deleted when the function has returned."""
        function = Function()
        mapping = poll(function)
        send("one")
        assert mapping.wait_until_at_most(0, 60)
        assert function.bodies() == [["one"]]

    def test_messages_that_wait_together_come_together(self, send, poll):
        """Messages that wait together come together, as many as a batch has."""
        send(*"abcde")
        function = Function()
        assert poll(function, batch_size=3).wait_until_at_most(0, 60)
        assert [len(bodies) for bodies in function.bodies()] == [3, 2]
        assert sorted(itertools.chain(*function.bodies())) == list("abcde")

    def test_failed_messages_come_again_with_a_higher_count(self, send, poll):
        """The messages of a call that raised come again, with a higher receive count."""
        function = Function(failures=2)
        mapping = poll(function)
        send("again")
        assert mapping.wait_until_at_most(0, 60)
        counts = [
            event["Records"][0]["attributes"]["ApproximateReceiveCount"]
            for event in function.events
        ]
        assert counts == ["1", "2", "3"]

    def test_dead_letter(self, sqs, queue_urls, send, poll):
        """A message whose calls keep raising goes to the dead-letter queue."""
        function = Function(failures=99)
        mapping = poll(function)
        send("poison")
        assert mapping.wait_until_at_most(0, 60)
        assert function.bodies() == [["poison"]] * 3
        messages = sqs.receive_message(QueueUrl=queue_urls[1])["Messages"]
        assert [message["Body"] for message in messages] == ["poison"]

    def test_return_value(self, send, poll):
        """What the function returns means nothing: partial responses are off, as `chalice deploy` leaves them."""
        events = []

        def function(event):
            events.append(event)
            failed = [{"itemIdentifier": record["messageId"]} for record in event["Records"]]
            return {"batchItemFailures": failed}

        mapping = poll(function)
        send("one")
        assert mapping.wait_until_at_most(0, 60)
        assert len(events) == 1

    def test_who_waits_for_emptiness_skips_the_window(self, send, poll):
        """Who waits for the queue to empty does not wait for a batching window."""
        function = Function()
        mapping = poll(function, window_seconds=300)
        send("one")
        assert mapping.wait_until_at_most(0, 60)
        assert function.bodies() == [["one"]]

    def test_too_slow(self, send, poll):
        """Waiting ends without success when the time is over."""
        may_go = threading.Event()
        mapping = poll(lambda event: may_go.wait(60))
        send("one")
        assert not mapping.wait_until_at_most(0, 0.05)
        may_go.set()
        assert mapping.wait_until_at_most(0, 60)

    def test_window_is_kept(self, send, poll):
        """Without hurry a message is delivered when the window is over, by itself."""
        function = Function()
        poll(function, window_seconds=0.05)
        send("one")
        assert function.called.wait(60)
