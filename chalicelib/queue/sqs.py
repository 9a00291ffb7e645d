"""SQS: sends messages, keeping its limits ourselves, since emulators do not."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import LimitExceeded, StoreThrottled
from chalicelib.model.batched import batched_by_size
from chalicelib.queue.message import (
    NOTE_ATTRIBUTE,
    PAYLOAD_ATTRIBUTE,
    REASON_ATTRIBUTE,
    Message,
    body_of,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_sqs.client import SQSClient

BATCH_ENTRIES_MAX = 10
BATCH_BYTES_MAX = 1_048_576
"""SQS: the sum over a batch of bodies and attributes (name, type and value each); also one message's limit."""
ATTRIBUTES_MAX = 10
_TEXT_TYPE = "String"
ATTRIBUTE_TYPE = "Binary.zstd"
_REFUSED_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow (its production 2, Char), SQS does not take."""


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
        entries = [entry_of(message) for message in messages]
        # All are checked before the first is sent.
        for entry in entries:
            check_entry(entry)
        for batch in batches_of(entries):
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
    return len(entry["MessageBody"].encode()) + sum(
        len(name.encode()) + len(value["DataType"].encode()) + len(_value(value))
        for name, value in entry["MessageAttributes"].items()
    )


def _value(attribute: dict[str, Any]) -> bytes:
    """The bytes of an attribute's value: text counts as UTF-8."""
    if (binary := attribute.get("BinaryValue")) is not None:
        return bytes(binary)
    return str(attribute["StringValue"]).encode()


def check_entry(entry: dict[str, Any]) -> None:
    """Raise LimitExceeded for an entry that SQS refuses: its size, its body, its attributes."""
    body, attributes = entry["MessageBody"], entry["MessageAttributes"]
    if not body:
        raise LimitExceeded("a message without a body; SQS takes one of a character or more")
    texts = [body, *(value.get("StringValue", "") for value in attributes.values())]
    if any(map(_REFUSED_CHARACTER.search, texts)):
        raise LimitExceeded("a message with a character that XML does not allow; SQS takes none")
    if len(attributes) > ATTRIBUTES_MAX:
        raise LimitExceeded(f"{len(attributes)} attributes; SQS takes {ATTRIBUTES_MAX}")
    for name, value in attributes.items():
        if not _value(value):
            raise LimitExceeded(f"an attribute {name} without a value; SQS takes none such")
    if (size := entry_bytes(entry)) > BATCH_BYTES_MAX:
        raise LimitExceeded(f"a message of {size} bytes; SQS takes {BATCH_BYTES_MAX}")


def batches_of(entries: Sequence[dict[str, Any]]) -> Iterator[list[Any]]:
    """Entries in order, in batches that SQS takes: at most ten and 1 MiB; each gets its Id.

    Every entry has passed `check_entry`: none is too large alone.
    """
    for batch in batched_by_size(entries, entry_bytes, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX):
        yield [{"Id": str(place), **entry} for place, entry in enumerate(batch)]


class SqsDeadLetters:
    """Sends what cannot be stored to the dead-letter queue itself, with the reason, and so frees its neighbours."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def bury(self, record: dict[str, Any], reason: str, note: str = "") -> None:
        """Return when the queue has the record's body and attributes, byte for byte, the reason and the note's key.

        The reason is cut, and it or the key left out, where SQS's limits leave no room: the record matters more.
        Raises StoreThrottled if the queue did not accept it.
        """
        entry = entry_of_dead_letter(record, reason, note)
        try:
            self._client.send_message(QueueUrl=self._queue_url, **entry)
        except (ClientError, BotoCoreError) as error:
            raise StoreThrottled(
                f"the dead-letter queue did not accept a message: {error}"
            ) from error


def entry_of_dead_letter(record: dict[str, Any], reason: str, note: str = "") -> dict[str, Any]:
    """A Lambda record as SendMessage takes it, with the note's key and as much of the reason as there is room for."""
    attributes = {
        name: _attribute_to_send(attribute)
        for name, attribute in record.get("messageAttributes", {}).items()
        if name not in (REASON_ATTRIBUTE, NOTE_ATTRIBUTE)
    }
    entry = {"MessageBody": record["body"], "MessageAttributes": attributes}
    if note and _room_bytes(entry, NOTE_ATTRIBUTE) >= len(note):
        attributes[NOTE_ATTRIBUTE] = {"DataType": _TEXT_TYPE, "StringValue": note}
    room_bytes = _room_bytes(entry, REASON_ATTRIBUTE)
    if room_bytes > 0 and (text := _cut(printable(reason), room_bytes)):
        attributes[REASON_ATTRIBUTE] = {"DataType": _TEXT_TYPE, "StringValue": text}
    return entry


def _room_bytes(entry: dict[str, Any], name: str) -> int:
    """How long the text of one attribute more may be; nothing or less: there is no room for it."""
    if len(entry["MessageAttributes"]) >= ATTRIBUTES_MAX:
        return 0
    return BATCH_BYTES_MAX - entry_bytes(entry) - len(name) - len(_TEXT_TYPE)


def _cut(text: str, bytes_max: int) -> str:
    """The first characters that fit, as UTF-8."""
    return text.encode()[:bytes_max].decode(errors="ignore")


def _attribute_to_send(attribute: dict[str, Any]) -> dict[str, Any]:
    """A Lambda record's message attribute, as SendMessage takes it."""
    if (binary := attribute.get("binaryValue")) is not None:
        return {"DataType": attribute["dataType"], "BinaryValue": base64.b64decode(binary)}
    return {"DataType": attribute["dataType"], "StringValue": attribute.get("stringValue") or " "}
