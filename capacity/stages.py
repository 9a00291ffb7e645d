"""Runs the product's own stages without AWS: from requests through SQS events to commits."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

from capacity.counting import CountingStore
from capacity.load import START_NANO, requests
from chalicelib.consume.consumer import Consumer
from chalicelib.consume.dictionaries import Dictionaries
from chalicelib.otlp.endpoint import receive_traces
from chalicelib.queue.message import PAYLOAD_ATTRIBUTE, body_of
from chalicelib.queue.sqs import ATTRIBUTE_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.consume.consumer import Record
    from chalicelib.queue.message import Message
    from chalicelib.store.items import ItemStore

PROTOBUF = {"content-type": "application/x-protobuf"}
GZIPPED = {**PROTOBUF, "content-encoding": "gzip"}


def receive(
    body: bytes, now_unix_seconds: int, headers: dict[str, str] = PROTOBUF
) -> list[Message]:
    """Return the messages of a request. Raises AssertionError unless it is accepted."""
    messages: list[Message] = []
    answer = receive_traces(headers, body, now_unix_seconds, messages.extend)
    assert answer.status == 200, answer
    return messages


def record_of(message: Message) -> Record:
    """Return a message in the form of Lambda's SQS event; values that are not ours have realistic lengths."""
    return {
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "A" * 184,
        "body": body_of(message),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(message.received_unix_seconds * 1_000),
            "SenderId": "AROAEXAMPLEEXAMPLEEXA:clew-dev-api_handler",
            "ApproximateFirstReceiveTimestamp": str(message.received_unix_seconds * 1_000),
        },
        "messageAttributes": {
            PAYLOAD_ATTRIBUTE: {
                "binaryValue": base64.b64encode(message.frame).decode(),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": ATTRIBUTE_TYPE,
            }
        },
        "md5OfBody": "e" * 32,
        "md5OfMessageAttributes": "e" * 32,
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:clew-dev-spans",
        "awsRegion": "us-east-1",
    }


class _NoDeadLetters:
    def bury(self, record: Record, reason: str, note: str) -> None:
        raise AssertionError(f"the load has no message that cannot be stored: {reason}")


@cache
def learned() -> Dictionaries:
    """Return the dictionaries of a consumer that has run for a while, learned from other spans of the same services."""
    store = CountingStore()
    dictionaries = Dictionaries(store)
    bodies = requests(8, 10_240, 512)
    records = [record_of(m) for body in bodies for m in receive(body, START_NANO // 10**9)]
    Consumer(store, _NoDeadLetters(), lambda: START_NANO, dictionaries=dictionaries).consume(
        records
    )
    return dictionaries


def consumer_of(store: ItemStore, now_unix_nano: Callable[[], int]) -> Consumer:
    """Return a consumer like that of the Lambda function, which keeps it over its invocations."""
    return Consumer(store, _NoDeadLetters(), now_unix_nano, dictionaries=learned())


def consume_all(messages: Sequence[Message], store: ItemStore, now_unix_nano: int) -> None:
    """Consume messages as in one invocation of the Lambda function."""
    records: list[Any] = [record_of(message) for message in messages]
    consumer_of(store, lambda: now_unix_nano).consume(records)
