"""SQS: sends messages, keeping its limits ourselves, since emulators do not."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import LimitExceeded, StoreThrottled
from chalicelib.queue.message import PAYLOAD_ATTRIBUTE, Message, body_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_sqs.client import SQSClient

BATCH_ENTRIES_MAX = 10
BATCH_BYTES_MAX = 1_048_576
"""SQS: the sum over a batch of bodies and attributes (name, type and value each); also one message's limit."""
ATTRIBUTE_TYPE = "Binary.zstd"


class MessageSender(Protocol):
    def send(self, messages: Sequence[Message]) -> None:
        """Return when the queue has durably accepted every message.

        Raises StoreThrottled or StoreError if it has not: none, some or all were accepted, so the client must
        send its request again, and the same digests make that harmless.
        """


class SqsSender:
    """A MessageSender on one SQS queue."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def send(self, messages: Sequence[Message]) -> None:
        for batch in batches_of([entry_of(message) for message in messages]):
            try:
                answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=batch)
            except ClientError as error:
                raise StoreThrottled(f"SQS: {error.response['Error']['Code']}") from error
            except BotoCoreError as error:
                raise StoreThrottled(f"SQS cannot be reached: {error}") from error
            if failed := answer.get("Failed"):
                raise StoreThrottled(f"SQS did not accept {len(failed)} of {len(batch)} messages")


def entry_of(message: Message) -> dict[str, Any]:
    """One SendMessageBatch entry, without its Id."""
    attribute = {"DataType": ATTRIBUTE_TYPE, "BinaryValue": message.frame}
    return {"MessageBody": body_of(message), "MessageAttributes": {PAYLOAD_ATTRIBUTE: attribute}}


def entry_bytes(entry: dict[str, Any]) -> int:
    """What SQS counts against its limit: the body, and name, type and value of each attribute."""
    attributes = entry["MessageAttributes"].items()
    return len(entry["MessageBody"].encode()) + sum(
        len(name.encode()) + len(value["DataType"]) + len(value["BinaryValue"])
        for name, value in attributes
    )


def batches_of(entries: Sequence[dict[str, Any]]) -> Iterator[list[Any]]:
    """Entries in order, in batches that SQS takes: at most ten and 1 MiB; each gets its Id.

    Raises LimitExceeded for an entry that is too large alone: `receive` splits below that, so it is our bug.
    """
    batch: list[dict[str, Any]] = []
    batch_bytes = 0
    for entry in entries:
        size = entry_bytes(entry)
        if size > BATCH_BYTES_MAX:
            raise LimitExceeded(f"a message of {size} bytes; SQS takes {BATCH_BYTES_MAX}")
        if len(batch) == BATCH_ENTRIES_MAX or batch_bytes + size > BATCH_BYTES_MAX:
            yield batch
            batch, batch_bytes = [], 0
        batch.append({"Id": str(len(batch)), **entry})
        batch_bytes += size
    if batch:
        yield batch


class SqsDeadLetters:
    """Sends what cannot be stored to the dead-letter queue itself, with the reason, and so frees its neighbours."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def bury(self, record: dict[str, Any], reason: str) -> None:
        """Return when the queue has the record's body and attributes, byte for byte, and the reason.

        Raises StoreThrottled otherwise.
        """
        attributes = {
            name: _attribute_to_send(attribute)
            for name, attribute in record.get("messageAttributes", {}).items()
        }
        attributes["reason"] = {"DataType": "String", "StringValue": _printable(reason)}
        try:
            self._client.send_message(
                QueueUrl=self._queue_url,
                MessageBody=record["body"],
                MessageAttributes=attributes,  # type: ignore[arg-type]
            )
        except (ClientError, BotoCoreError) as error:
            raise StoreThrottled(
                f"the dead-letter queue did not accept a message: {error}"
            ) from error


def _attribute_to_send(attribute: dict[str, Any]) -> dict[str, Any]:
    """A Lambda record's message attribute, as SendMessage takes it."""
    if (binary := attribute.get("binaryValue")) is not None:
        return {"DataType": attribute["dataType"], "BinaryValue": base64.b64decode(binary)}
    return {"DataType": attribute["dataType"], "StringValue": attribute.get("stringValue") or " "}


def _printable(reason: str) -> str:
    """What SQS accepts as text: no control characters; and not more than anyone reads."""
    return "".join(c if c.isprintable() else " " for c in reason[:1_000]) or "unknown"
