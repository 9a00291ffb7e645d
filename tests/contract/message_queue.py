"""The contract of the queue: what SqsSender and SqsDeadLetters promise, what the consumer relies on, what SQS does."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.consume.consumer import message_from_record
from chalicelib.queue.message import Message, body_of, message_from_payload
from chalicelib.queue.sqs import (
    ATTRIBUTES_MAX,
    BATCH_BYTES_MAX,
    SqsDeadLetters,
    SqsSender,
    check_entry,
    entry_bytes,
    entry_of,
)
from tests.payloads import NOON_UNIX_SECONDS

_numbers = itertools.count()


def message(number: int, frame: bytes | None = None) -> Message:
    made = message_from_payload("default", b"payload %d" % number, 1, NOON_UNIX_SECONDS)
    return made if frame is None else made._replace(frame=frame)


def record_of(found: dict[str, Any]) -> dict[str, Any]:
    """A received message as Lambda's event has it."""
    attributes = {
        name: {
            "dataType": value["DataType"],
            "binaryValue": base64.b64encode(value["BinaryValue"]).decode()
            if "BinaryValue" in value
            else None,
            "stringValue": value.get("StringValue"),
        }
        for name, value in found.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": found["MessageId"],
        "body": found["Body"],
        "messageAttributes": attributes,
    }


class _Queues:
    """Queues of a test's own, so that no test sees another's messages."""

    @pytest.fixture
    def queue(self, sqs):
        return self.new_queue(sqs)

    def new_queue(self, sqs, **attributes: str) -> str:
        name = f"contract-{next(_numbers)}"
        url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def arn_of(self, sqs, queue) -> str:
        answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        arn: str = answer["Attributes"]["QueueArn"]
        return arn

    def receive(self, sqs, queue, hidden_seconds: int = 60) -> list[dict[str, Any]]:
        """What one call finds."""
        answer = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=hidden_seconds,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found

    def receive_all(self, sqs, queue) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while some := self.receive(sqs, queue):
            found += some
        return found

    def show(self, sqs, queue, found: dict[str, Any]) -> None:
        """End a message's visibility timeout."""
        sqs.change_message_visibility(
            QueueUrl=queue, ReceiptHandle=found["ReceiptHandle"], VisibilityTimeout=0
        )

    def queues_that_redrive(self, sqs, receives_max: int) -> tuple[str, str]:
        dead = self.new_queue(sqs)
        policy = {
            "deadLetterTargetArn": self.arn_of(sqs, dead),
            "maxReceiveCount": str(receives_max),
        }
        return self.new_queue(sqs, RedrivePolicy=json.dumps(policy)), dead


class MessageQueueContract(_Queues):
    def test_sent_and_received(self, sqs, queue):
        """Every message that was sent is received, and is the same read back: more than a batch of them."""
        sent = [message(number) for number in range(23)]
        SqsSender(sqs, queue).send(sent)
        found = [message_from_record(record_of(each)) for each in self.receive_all(sqs, queue)]
        assert sorted(each.digest for each in found) == sorted(each.digest for each in sent)
        assert {each.digest: each for each in found} == {each.digest: each for each in sent}

    def test_every_byte(self, sqs, queue):
        """A binary attribute comes back byte for byte, each of the 256."""
        frame = bytes(range(256)) * 4
        SqsSender(sqs, queue).send([message(1, frame)])
        (found,) = self.receive(sqs, queue)
        assert found["MessageAttributes"]["payload"] == {
            "DataType": "Binary.zstd",
            "BinaryValue": frame,
        }

    def test_largest_message(self, sqs, queue):
        """A message of 1 MiB, its attribute counted, arrives."""
        room_bytes = BATCH_BYTES_MAX - entry_bytes(entry_of(message(1, b"")))
        largest = message(1, b"x" * room_bytes)
        SqsSender(sqs, queue).send([largest])
        (found,) = self.receive(sqs, queue)
        assert found["MessageAttributes"]["payload"]["BinaryValue"] == largest.frame

    def test_hidden_while_it_is_worked_on(self, sqs, queue):
        """A received message is not received again until its visibility timeout ends; then it is, counted."""
        SqsSender(sqs, queue).send([message(1)])
        (first,) = self.receive(sqs, queue)
        assert self.receive(sqs, queue) == []
        self.show(sqs, queue, first)
        (second,) = self.receive(sqs, queue)
        counts = [each["Attributes"]["ApproximateReceiveCount"] for each in (first, second)]
        assert counts == ["1", "2"]
        assert second["MessageId"] == first["MessageId"]

    def test_a_deleted_message_is_not_received_again(self, sqs, queue):
        """A message that was deleted by its newest receipt handle is not received again."""
        SqsSender(sqs, queue).send([message(1)])
        (found,) = self.receive(sqs, queue, hidden_seconds=0)
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=found["ReceiptHandle"])
        assert self.receive(sqs, queue) == []

    def test_sqs_moves_a_message_to_the_dead_letters_after_its_receives(self, sqs):
        """After as many receives as the queue allows, SQS moves a message to the dead-letter queue as it was."""
        queue, dead = self.queues_that_redrive(sqs, receives_max=2)
        SqsSender(sqs, queue).send([message(7)])
        for _ in range(2):
            (found,) = self.receive(sqs, queue)
            self.show(sqs, queue, found)
        assert self.receive(sqs, queue) == []
        (found,) = self.receive(sqs, dead)
        assert found["Body"] == body_of(message(7))
        assert message_from_record(record_of(found)) == message(7)

    def test_a_dead_letter_keeps_body_attributes_and_reason(self, sqs, queue):
        """A dead letter has body and attributes as they were, and the reason; it can be read and sent back."""
        SqsSender(sqs, queue).send([message(3)])
        (found,) = self.receive(sqs, queue)
        dead = self.new_queue(sqs)
        SqsDeadLetters(sqs, dead).bury(record_of(found), "because")
        (letter,) = self.receive(sqs, dead)
        assert letter["Body"] == found["Body"]
        assert letter["MessageAttributes"] == {
            **found["MessageAttributes"],
            "reason": {"DataType": "String", "StringValue": "because"},
        }
        assert message_from_record(record_of(letter)) == message(3)

    @pytest.mark.parametrize("room_bytes", [0, 12, 13, 20])
    def test_buried_though_there_is_no_room(self, sqs, queue, room_bytes):
        """A dead letter near 1 MiB arrives with as much of its reason as fits, or without."""
        spare = BATCH_BYTES_MAX - room_bytes - entry_bytes(entry_of(message(1, b"")))
        large = {"DataType": "Binary.zstd", "BinaryValue": b"x" * spare}
        found = {
            "MessageId": "1",
            "Body": body_of(message(1)),
            "MessageAttributes": {"payload": large},
        }
        SqsDeadLetters(sqs, queue).bury(record_of(found), "ä, at length")
        (letter,) = self.receive(sqs, queue)
        assert letter["MessageAttributes"]["payload"] == large
        # Name and type take 12 bytes, "ä" takes 2.
        reason = letter["MessageAttributes"].get("reason", {}).get("StringValue")
        assert reason == {0: None, 12: None, 13: None, 20: "ä, at l"}[room_bytes]
        letter_entry = {
            "MessageBody": letter["Body"],
            "MessageAttributes": letter["MessageAttributes"],
        }
        check_entry(letter_entry)

    @pytest.mark.parametrize("count", [9, 10])
    def test_buried_with_many_attributes(self, sqs, queue, count):
        """A dead letter that has ten attributes, SQS's most, arrives with them and without a reason."""
        attributes = {f"a{i}": {"DataType": "Number", "StringValue": str(i)} for i in range(count)}
        found = {"MessageId": "1", "Body": "b", "MessageAttributes": attributes}
        SqsDeadLetters(sqs, queue).bury(record_of(found), "because")
        (letter,) = self.receive(sqs, queue)
        assert ("reason" in letter["MessageAttributes"]) == (count < ATTRIBUTES_MAX)
        assert attributes.items() <= letter["MessageAttributes"].items()


class SqsService(_Queues):
    """What SQS does, asked past our adapter. Where an emulator does otherwise, `differences.py` says so."""

    def refused(self, sqs, queue, body: str, attributes: dict[str, Any]) -> None:
        with pytest.raises(ClientError):
            sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes)

    def test_body_over_the_limit(self, sqs, queue):
        """A body of more than 1 MiB is refused."""
        self.refused(sqs, queue, "x" * (BATCH_BYTES_MAX + 1), {})

    def test_attributes_over_the_limit(self, sqs, queue):
        """A message of more than 1 MiB with its attributes is refused."""
        large = {"DataType": "Binary", "BinaryValue": bytes(BATCH_BYTES_MAX)}
        self.refused(sqs, queue, "x", {"a": large})

    def test_batch_over_the_limit(self, sqs, queue):
        """A batch whose messages have more than 1 MiB together, attributes counted, is refused."""
        large = {"a": {"DataType": "Binary", "BinaryValue": bytes(400_000)}}
        entries = [{"Id": str(i), "MessageBody": "x", "MessageAttributes": large} for i in range(3)]
        with pytest.raises(ClientError):
            sqs.send_message_batch(QueueUrl=queue, Entries=entries)

    def test_eleven_attributes(self, sqs, queue):
        """A message of more than ten attributes is refused."""
        one = {"DataType": "String", "StringValue": "x"}
        self.refused(sqs, queue, "x", {f"a{i}": one for i in range(11)})

    def test_attribute_without_a_value(self, sqs, queue):
        """An attribute without a value is refused."""
        self.refused(sqs, queue, "x", {"a": {"DataType": "Binary", "BinaryValue": b""}})

    def test_character_that_xml_does_not_allow(self, sqs, queue):
        """A body with a character that XML does not allow is refused: in a batch, for itself."""
        answer = sqs.send_message_batch(
            QueueUrl=queue,
            Entries=[
                {"Id": "good", "MessageBody": "x"},
                {"Id": "bad", "MessageBody": "\x00\x0b\ufffe"},
            ],
        )
        assert [each["Id"] for each in answer.get("Failed", [])] == ["bad"]

    def test_empty_body(self, sqs, queue):
        """A message without a body is refused."""
        self.refused(sqs, queue, "", {})

    def test_stale_receipt_handle(self, sqs, queue):
        """Deleting by an older receipt handle succeeds, and leaves the message."""
        sqs.send_message(QueueUrl=queue, MessageBody="x")
        (first,) = self.receive(sqs, queue, hidden_seconds=0)
        (second,) = self.receive(sqs, queue)
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
        self.show(sqs, queue, second)
        assert len(self.receive(sqs, queue)) == 1

    def test_source_of_a_dead_letter(self, sqs):
        """A message that SQS moved says which queue it came from."""
        queue, dead = self.queues_that_redrive(sqs, receives_max=1)
        sqs.send_message(QueueUrl=queue, MessageBody="x")
        (found,) = self.receive(sqs, queue)
        self.show(sqs, queue, found)
        assert self.receive(sqs, queue) == []
        (found,) = self.receive(sqs, dead)
        assert found["Attributes"]["DeadLetterQueueSourceArn"] == self.arn_of(sqs, queue)

    def test_sent_back(self, sqs):
        """StartMessageMoveTask sends dead letters back to the queue they came from."""
        _, dead = self.queues_that_redrive(sqs, receives_max=1)
        sqs.start_message_move_task(SourceArn=self.arn_of(sqs, dead))
