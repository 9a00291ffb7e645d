"""A consumer and a fold as processes of their own, on an emulator: whoever starts them may kill them anywhere."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.consume.consumer import Consumer
from chalicelib.errors import StoreError
from chalicelib.queue.sqs import SqsDeadLetters
from chalicelib.store.dynamodb import DynamoStore
from chalicelib.summarise.job import summarise_shards
from local.event_source_mapping import Source, record_from_message
from tests.contract.emulators import client_at

if TYPE_CHECKING:
    from collections.abc import Sequence


class Place(NamedTuple):
    """Where workers find everything."""

    dynamodb_url: str
    sqs_url: str
    queue_url: str
    dead_letters_url: str
    now_unix_seconds: int
    """Their clocks stand still: what they store is the same whenever it is done."""
    shards: int

    def store(self) -> DynamoStore:
        return DynamoStore(client_at(self.dynamodb_url, "dynamodb"))


def consume_for_ever(place: Place) -> None:
    """What Lambda's event source mapping does, two to four messages at a time, and the function."""
    sqs = client_at(place.sqs_url, "sqs")
    consumer = Consumer(
        place.store(),
        SqsDeadLetters(sqs, place.dead_letters_url),
        lambda: place.now_unix_seconds * 10**9,
        shards=place.shards,
    )
    logging.disable(logging.CRITICAL)
    while True:
        messages = _receive(sqs, place.queue_url)
        source = Source(place.queue_url, "arn:aws:sqs:us-east-1:000000000000:spans", 10, 0)
        with suppress(StoreError):
            consumer.consume([record_from_message(message, source) for message in messages])
            for message in messages:
                handle = message["ReceiptHandle"]
                sqs.delete_message(QueueUrl=place.queue_url, ReceiptHandle=handle)


def _receive(sqs: Any, queue_url: str) -> Sequence[Any]:
    answer = sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=4,
        WaitTimeSeconds=1,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    found: Sequence[Any] = answer.get("Messages", [])
    return found


def fold_for_ever(place: Place) -> None:
    store = place.store()
    while True:
        with suppress(StoreError):
            summarise_shards(store, range(place.shards), place.now_unix_seconds)
