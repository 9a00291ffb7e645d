"""Lambda's poller of an SQS queue gathers messages into events, and deletes them once the function has returned.

    ReceiveMessage ──▶ record ──▶ take_batch ──▶ function ──returned──▶ DeleteMessageBatch
                                                    └──raised──▶ nothing: the visibility timeout brings them back

This is Lambda without ReportBatchItemFailures: the function's return value is ignored, and an exception fails the whole
batch. Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS".
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.queue.sqs import entry_bytes
from local.functions import REQUEST_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_sqs import SQSClient

_logger = logging.getLogger(__name__)

RECEIVE_MESSAGES_MAX = 10
LONG_POLL_SECONDS = 20
"""SQS's longest long poll: an idle poller asks three times a minute."""
PAUSE_SECONDS = 0.2
"""The pause between two receives while a batching window is open."""
RETRY_SECONDS = 1.0
"""The pause after the queue could not be reached."""


class Source(NamedTuple):
    """A queue and how its messages are gathered."""

    queue_url: str
    queue_arn: str
    batch_size: int
    window_seconds: float
    """The batching window: time from a batch's first message to the call, unless the batch is full before."""
    bytes_max: int = REQUEST_BYTES_MAX
    """The largest JSON of an event."""

    @property
    def region(self) -> str:
        return self.queue_arn.split(":")[3]


class Received(NamedTuple):
    record: dict[str, Any]
    record_bytes: int
    """Bytes of the record in the event's JSON, in which binary attributes are base64."""
    message_bytes: int = 0
    """Bytes of the message, as SQS counts them."""


def record_from_message(message: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Return a record of Lambda's event for a message of ReceiveMessage's answer."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": source.queue_arn,
        "awsRegion": source.region,
    }
    if "MD5OfMessageAttributes" in message:
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {"stringListValues": [], "binaryListValues": []}
    if "BinaryValue" in value:
        binary = base64.b64encode(value["BinaryValue"]).decode("ascii")
        return {"binaryValue": binary, **lists, "dataType": value["DataType"]}
    return {"stringValue": value["StringValue"], **lists, "dataType": value["DataType"]}


def received_from_message(message: Mapping[str, Any], source: Source) -> Received:
    record = record_from_message(message, source)
    record_bytes = len(json.dumps(record, separators=(",", ":"))) + 1
    entry = {
        "MessageBody": message["Body"],
        "MessageAttributes": message.get("MessageAttributes", {}),
    }
    return Received(record, record_bytes, entry_bytes(entry))


def take_batch(
    waiting: Sequence[Received], source: Source
) -> tuple[list[Received], list[Received]]:
    """Return the first messages that fit one event, and the rest. At least one is taken, however large it is."""
    event_bytes = len('{"Records":[]}')
    for count, received in enumerate(waiting):
        event_bytes += received.record_bytes
        if count and (count == source.batch_size or event_bytes > source.bytes_max):
            return list(waiting[:count]), list(waiting[count:])
    return list(waiting), []


def is_complete(
    waiting: Sequence[Received],
    source: Source,
    age_seconds: float,
    last_received: int,
    is_hurried: bool,
) -> bool:
    """Return whether to call the function now with the messages that wait.

    age_seconds: the time since the first of them came. last_received: how many the last receive brought.
    """
    batch, rest = take_batch(waiting, source)
    is_full = bool(rest) or len(batch) == source.batch_size
    may_be_more = last_received == RECEIVE_MESSAGES_MAX
    is_over = is_hurried or age_seconds >= source.window_seconds
    return is_full or (bool(waiting) and is_over and not may_be_more)


class EventSourceMapping:
    """A poller in a thread of its own that calls `function` with one event at a time."""

    def __init__(
        self,
        sqs: SQSClient,
        source: Source,
        function: Callable[[dict[str, Any]], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sqs = sqs
        self._source = source
        self._function = function
        self._clock = clock
        self._changed = threading.Condition()
        self._turns = 0  # how many calls may have changed the queue
        self._hurried = 0  # how many callers wait for the queue to empty
        self._stopping = False
        self.done_bytes = 0
        """Bytes of all messages that were deleted, as SQS counts them."""
        self._thread = threading.Thread(target=self._run, name="event-source", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float, *, wake: bool) -> None:
        """End after the batch that is being handled. Messages that are not done stay in the queue.

        `wake` ends a long poll at once, by a message: only for a queue that nobody uses afterwards.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if wake:
            self._sqs.send_message(QueueUrl=self._source.queue_url, MessageBody="stop")
        self._thread.join(timeout_seconds)

    def wait_until_at_most(self, messages: int, timeout_seconds: float) -> bool:
        """Wait until the queue holds at most so many messages, those in flight included; return False if time is over.

        While a caller waits, batching windows end as soon as a receive is not full.
        """
        ends = self._clock() + timeout_seconds
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
        try:
            while not self._stopping:
                turns = self._turns
                if self._undeleted() <= messages:
                    return True
                remaining = ends - self._clock()
                if remaining <= 0:
                    return False
                # SQS itself moves messages to the dead-letter queue, which is no turn: look at intervals.
                self._wait_for_turn(turns, min(remaining, PAUSE_SECONDS))
            return False
        finally:
            with self._changed:
                self._hurried -= 1

    def _wait_for_turn(self, turns: int, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._turns != turns or self._stopping, seconds)

    def _undeleted(self) -> int:
        names = ("", "NotVisible", "Delayed")
        counts = self._sqs.get_queue_attributes(
            QueueUrl=self._source.queue_url,
            AttributeNames=[f"ApproximateNumberOfMessages{name}" for name in names],  # type: ignore[misc]
        )["Attributes"]
        return sum(int(count) for count in counts.values())

    def _run(self) -> None:
        waiting: list[Received] = []
        while not self._stopping:
            try:
                batch, waiting = self._gather(waiting)
                if batch and not self._stopping:
                    self._handle(batch)
            except (BotoCoreError, ClientError) as error:
                _logger.warning("the queue cannot be read: %s", error)
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, RETRY_SECONDS)
            self._turn()

    def _gather(self, waiting: list[Received]) -> tuple[list[Received], list[Received]]:
        """Return the next batch once it is complete, and the messages that did not fit into it."""
        opened = self._clock()
        last_received = 0
        while not self._stopping:
            age_seconds = self._clock() - opened
            is_hurried = self._hurried > 0
            if is_complete(waiting, self._source, age_seconds, last_received, is_hurried):
                return take_batch(waiting, self._source)
            received = self._receive(0 if waiting else LONG_POLL_SECONDS)
            if received and not waiting:
                opened = self._clock()
            if waiting and not received:
                remaining = self._source.window_seconds - age_seconds
                self._pause(min(remaining, PAUSE_SECONDS))
            waiting = [*waiting, *received]
            last_received = len(received)
        return [], waiting

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._hurried, seconds)

    def _receive(self, wait_seconds: int) -> list[Received]:
        answer = self._sqs.receive_message(
            QueueUrl=self._source.queue_url,
            MaxNumberOfMessages=RECEIVE_MESSAGES_MAX,
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        self._turn()
        return [
            received_from_message(message, self._source) for message in answer.get("Messages", [])
        ]

    def _handle(self, batch: Sequence[Received]) -> None:
        try:
            self._function({"Records": [received.record for received in batch]})
        except Exception:
            _logger.exception("%d messages stay in the queue: the consumer failed", len(batch))
            return
        for entries in _delete_entries(batch):
            answer = self._sqs.delete_message_batch(
                QueueUrl=self._source.queue_url,
                Entries=entries,  # type: ignore[arg-type]
            )
            if failed := answer.get("Failed"):
                _logger.warning("%d messages could not be deleted", len(failed))
        self.done_bytes += sum(received.message_bytes for received in batch)

    def _turn(self) -> None:
        with self._changed:
            self._turns += 1
            self._changed.notify_all()


def _delete_entries(batch: Sequence[Received]) -> Iterator[list[dict[str, str]]]:
    entries = [
        {"Id": str(number), "ReceiptHandle": received.record["receiptHandle"]}
        for number, received in enumerate(batch)
    ]
    for start in range(0, len(entries), RECEIVE_MESSAGES_MAX):
        yield entries[start : start + RECEIVE_MESSAGES_MAX]
