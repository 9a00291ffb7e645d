"""SQS: its limits are kept, an answer that is half a failure is a failure, and dead letters keep every byte."""

from __future__ import annotations

import base64
from itertools import zip_longest
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.consume.consumer import message_from_record
from chalicelib.errors import LimitExceeded, StoreThrottled
from chalicelib.queue.message import Message, body_of, message_from_payload
from chalicelib.queue.sqs import (
    ATTRIBUTES_MAX,
    BATCH_BYTES_MAX,
    SqsDeadLetters,
    SqsSender,
    batches_of,
    check_entry,
    entry_bytes,
    entry_of,
    entry_of_dead_letter,
)
from tests.contract.moto_tables import hooked, moto_stack, refusal
from tests.payloads import NOON_UNIX_SECONDS


def message(number: int, frame_bytes: int | None = None) -> Message:
    made = message_from_payload("default", b"payload %d" % number, number, NOON_UNIX_SECONDS)
    return made if frame_bytes is None else made._replace(frame=bytes(frame_bytes))


@pytest.fixture(scope="module")
def aws():
    with moto_stack() as client:
        yield client("sqs")


def url_of(aws: Any, name: str) -> str:
    url: str = aws.get_queue_url(QueueName=name)["QueueUrl"]
    received(aws, url)
    return url


@pytest.fixture
def span_queue(aws):
    return url_of(aws, config.SPAN_QUEUE)


@pytest.fixture
def dead_letter_queue(aws):
    return url_of(aws, config.DEAD_LETTER_QUEUE)


def received(aws: Any, url: str) -> list[Any]:
    """Takes every message off a queue."""
    found: list[Any] = []
    while messages := aws.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        found += messages
        for each in messages:
            aws.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return found


class TestBatches:
    @given(st.lists(st.integers(0, 600_000), max_size=40))
    def test_every_entry_is_in_one_batch_within_the_limits(self, sizes):
        """Every entry is in one batch, in order; no batch is over ten entries or 1 MiB, nor ended before need."""
        entries = [entry_of(message(i, size)) for i, size in enumerate(sizes)]
        batches = list(batches_of(entries))
        bodies = [entry["MessageBody"] for batch in batches for entry in batch]
        assert bodies == [entry["MessageBody"] for entry in entries]
        for batch, after in zip_longest(batches, batches[1:]):
            assert 1 <= len(batch) <= 10
            assert len({entry["Id"] for entry in batch}) == len(batch)
            size = sum(map(entry_bytes, batch))
            assert size <= BATCH_BYTES_MAX
            if after is not None:
                assert len(batch) == 10 or size + entry_bytes(after[0]) > BATCH_BYTES_MAX

    def test_entry_bytes(self):
        """SQS counts the body, and each attribute's name, type and value."""
        entry = entry_of(message(1, 1_000))
        body = len(entry["MessageBody"])
        assert entry_bytes(entry) == body + len("payload") + len("Binary.zstd") + 1_000

    def test_the_largest_payload_fits(self):
        """A payload of the largest size that `receive` makes fits a message, though nothing of it compresses."""
        payload = b"".join(
            message(number).digest for number in range(config.MESSAGE_PAYLOAD_BYTES_MAX // 32)
        )
        largest = message_from_payload("default", payload, 10**6, NOON_UNIX_SECONDS)
        assert entry_bytes(entry_of(largest)) <= BATCH_BYTES_MAX


def entry(body: str = "x", /, **attributes: Any) -> dict[str, Any]:
    return {"MessageBody": body, "MessageAttributes": attributes}


def text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


def binary(value: bytes) -> dict[str, Any]:
    return {"DataType": "Binary", "BinaryValue": value}


class TestLimits:
    """What SQS does not take is LimitExceeded, and what it just takes is not."""

    @pytest.mark.parametrize(
        ("whole", "of_bytes"),
        [
            (lambda n: entry("x" * n), 0),
            (lambda n: entry("é" * (n // 2) + "x" * (n % 2)), 0),
            (lambda n: entry("x", a=binary(bytes(n))), len("x" + "a" + "Binary")),
            (lambda n: entry("x", a=text("x" * n)), len("x" + "a" + "String")),
            (lambda n: entry("x", a=text("x"), b=binary(bytes(n))), len("xaStringxbBinary")),
        ],
        ids=["body", "body in UTF-8", "bytes", "text", "two"],
    )
    def test_a_message_has_at_most_a_mebibyte(self, whole, of_bytes):
        """A message has at most 1 MiB: its body, and the names, types and values of its attributes."""
        largest = whole(BATCH_BYTES_MAX - of_bytes)
        assert entry_bytes(largest) == 1_048_576
        check_entry(largest)
        with pytest.raises(LimitExceeded, match="1048577"):
            check_entry(whole(BATCH_BYTES_MAX - of_bytes + 1))

    def test_a_message_has_at_most_ten_attributes(self):
        """A message has at most ten attributes."""
        check_entry(entry("x", **{f"a{i}": text("x") for i in range(10)}))
        with pytest.raises(LimitExceeded, match="11 attributes"):
            check_entry(entry("x", **{f"a{i}": text("x") for i in range(11)}))

    @pytest.mark.parametrize(
        "bad", [entry(""), entry(a=text("")), entry(a=binary(b""))], ids=["body", "text", "bytes"]
    )
    def test_empty_bodies_and_values_are_refused(self, bad):
        """Neither body nor an attribute's value is empty."""
        with pytest.raises(LimitExceeded, match="without"):
            check_entry(bad)

    @pytest.mark.parametrize(
        ("good", "bad"),
        [
            ("\t", "\b"),
            ("\n", "\x0b"),
            ("\r", "\x0c"),
            ("\x20", "\x1f"),
            ("\ud7ff", "\ud800"),
            ("\ue000", "\udfff"),
            ("\ufffd", "\ufffe"),
            ("\U00010000", "\uffff"),
            ("\U0010ffff", "\0"),
        ],
        ids=ascii,
    )
    def test_only_characters_of_xml_are_taken(self, good, bad):
        """Body and text attributes hold the characters of XML 1.0 (production 2) alone."""
        check_entry(entry(good, a=text(good)))
        for refused in (entry(bad), entry(a=text(bad))):
            with pytest.raises(LimitExceeded, match="XML"):
                check_entry(refused)

    def test_before_anything_is_sent(self, aws, span_queue):
        """Where one message is too large, none is sent, also not those of an earlier batch."""
        messages = [*(message(number) for number in range(15)), message(15, 1_048_576)]
        with pytest.raises(LimitExceeded):
            SqsSender(aws, span_queue).send(messages)
        assert received(aws, span_queue) == []


class TestSender:
    def test_every_sent_message_is_in_the_queue(self, aws, span_queue):
        """Every message is in the queue when `send` returns, with body and payload as they were."""
        messages = [message(number) for number in range(23)]
        SqsSender(aws, span_queue).send(messages)
        found = {
            each["Body"]: each["MessageAttributes"]["payload"]["BinaryValue"]
            for each in received(aws, span_queue)
        }
        assert found == {body_of(each): each.frame for each in messages}

    def test_send_nothing(self, aws, span_queue):
        """No messages: SQS is not asked."""
        SqsSender(aws, span_queue).send([])
        assert received(aws, span_queue) == []

    def test_partly_failed(self, aws, span_queue):
        """An answer that lists a failed entry is StoreThrottled, although its status is 200."""

        def fail_one(parsed: dict[str, Any], **_: Any) -> None:
            parsed["Failed"] = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]

        with (
            hooked(aws, "after-call.sqs.SendMessageBatch", fail_one),
            pytest.raises(StoreThrottled, match="1 of 3"),
        ):
            SqsSender(aws, span_queue).send([message(number) for number in range(3)])

    def test_a_later_batch_fails(self, aws, span_queue):
        """A failure of any batch is one of the whole: `send` does not return as if all were accepted."""
        answers: list[Any] = [refusal("ThrottlingException"), None]

        def refuse(**_: Any) -> Any:
            return answers.pop()

        with (
            hooked(aws, "before-call.sqs.SendMessageBatch", refuse),
            pytest.raises(StoreThrottled),
        ):
            SqsSender(aws, span_queue).send([message(number) for number in range(13)])

    def test_an_unreachable_sqs_is_throttling(self, aws, span_queue):
        """An SQS that cannot be reached is StoreThrottled."""

        def fail(**_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="x")

        with hooked(aws, "before-call.sqs.SendMessageBatch", fail), pytest.raises(StoreThrottled):
            SqsSender(aws, span_queue).send([message(1)])

    def test_no_such_queue(self, aws, span_queue):
        """A queue that is not there is for the sender to try again: its spans must not be lost."""
        with pytest.raises(StoreThrottled):
            SqsSender(aws, span_queue + "-not").send([message(1)])


def record(body: str, **attributes: dict[str, Any]) -> dict[str, Any]:
    return {"messageId": "1", "body": body, "messageAttributes": attributes}


BINARY = bytes(range(256))
NOTE = "001790000000|" + "0" * 32


class TestDeadLetters:
    def test_byte_for_byte(self, aws, dead_letter_queue):
        """Body and attributes arrive as they were, and with them the reason."""
        SqsDeadLetters(aws, dead_letter_queue).bury(
            record(
                'not JSON, ünd "quoted"',
                payload={
                    "dataType": "Binary.zstd",
                    "binaryValue": base64.b64encode(BINARY).decode(),
                },
                remark={"dataType": "String", "stringValue": "näme"},
                count={"dataType": "Number", "stringValue": "7"},
            ),
            "because",
        )
        (found,) = received(aws, dead_letter_queue)
        assert found["Body"] == 'not JSON, ünd "quoted"'
        attributes = found["MessageAttributes"]
        assert attributes["payload"] == {"DataType": "Binary.zstd", "BinaryValue": BINARY}
        assert attributes["remark"] == {"DataType": "String", "StringValue": "näme"}
        assert attributes["count"] == {"DataType": "Number", "StringValue": "7"}
        assert attributes["reason"] == {"DataType": "String", "StringValue": "because"}

    def test_buried_and_sent_again(self, aws, dead_letter_queue):
        """A message of ours can be read from the dead-letter queue as from its own: it can be redriven."""
        sent = message(3)
        attribute = {
            "dataType": "Binary.zstd",
            "binaryValue": base64.b64encode(sent.frame).decode(),
        }
        dead_letters = SqsDeadLetters(aws, dead_letter_queue)
        dead_letters.bury(record(body_of(sent), payload=attribute), "first")
        (found,) = received(aws, dead_letter_queue)
        frame = base64.b64encode(found["MessageAttributes"]["payload"]["BinaryValue"]).decode()
        again = record(
            found["Body"],
            payload={"dataType": "Binary.zstd", "binaryValue": frame},
            reason={"dataType": "String", "stringValue": "first"},
        )
        assert message_from_record(again) == sent
        dead_letters.bury(again, "second")
        (found,) = received(aws, dead_letter_queue)
        assert found["MessageAttributes"]["reason"]["StringValue"] == "second"

    @pytest.mark.parametrize("others", range(1, ATTRIBUTES_MAX + 1))
    @pytest.mark.parametrize("room_bytes", [0, 1, 30, 80, 5_000])
    def test_room_for_the_note(self, others, room_bytes):
        """The note's key goes before the reason where there is room for one of them, and whatever is sent SQS takes."""
        attributes = {
            f"{number}": {"dataType": "String", "stringValue": "x"} for number in range(others)
        }
        attributes_bytes = others * len("0" + "String" + "x")
        buried = record("x" * (BATCH_BYTES_MAX - attributes_bytes - room_bytes), **attributes)
        entry = entry_of_dead_letter(buried, "because of this", NOTE)
        check_entry(entry)
        assert entry["MessageBody"] == buried["body"]
        found = entry["MessageAttributes"]
        note_bytes = len("note" + "String" + NOTE)
        has_note = others < ATTRIBUTES_MAX and room_bytes >= note_bytes
        left_bytes = room_bytes - note_bytes if has_note else room_bytes
        has_reason = others + has_note < ATTRIBUTES_MAX and left_bytes > len("reason" + "String")
        assert ("note" in found, "reason" in found) == (has_note, has_reason)

    @pytest.mark.parametrize("reason", ["", "x" * 5_000, "a\0b\nc\x1b", "\ud800"])
    def test_any_reason(self, aws, dead_letter_queue, reason):
        """Whatever the reason holds, SQS takes it: what cannot be sent is left out."""
        SqsDeadLetters(aws, dead_letter_queue).bury(record("body"), reason)
        (found,) = received(aws, dead_letter_queue)
        assert found["MessageAttributes"]["reason"]["StringValue"].isprintable()

    def test_a_refused_dead_letter_is_throttling(self, aws, dead_letter_queue):
        """If the queue does not take it, that is StoreThrottled: the record must be delivered again."""

        def refuse(**_: Any) -> Any:
            return refusal("ThrottlingException")

        with (
            hooked(aws, "before-call.sqs.SendMessage", refuse),
            pytest.raises(StoreThrottled),
        ):
            SqsDeadLetters(aws, dead_letter_queue).bury(record("body"), "because")
