"""SQS records as Lambda hands them over, and a dead-letter queue that is a list."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from chalicelib import config
from chalicelib.queue.message import Message, body_of, message_from_payload
from tests.payloads import NOON_UNIX_SECONDS, Made, payload

if TYPE_CHECKING:
    from collections.abc import Sequence


class DeadLetterList:
    def __init__(self) -> None:
        self.buried: list[tuple[dict[str, Any], str]] = []

    def bury(self, record: dict[str, Any], reason: str, note: str) -> None:
        self.buried.append((record, reason))


def message_of(made: Sequence[Made], received: int = NOON_UNIX_SECONDS) -> Message:
    return message_of_payload(payload(made), len(made), received)


def message_of_payload(
    content: bytes, count: int = 1, received: int = NOON_UNIX_SECONDS
) -> Message:
    return message_from_payload(config.TENANT, content, count, received)


def record_of(message: Message, receive_count: int = 1) -> dict[str, Any]:
    frame = base64.b64encode(message.frame).decode()
    return {
        "messageId": message.digest.hex()[:8],
        "body": body_of(message),
        "attributes": {"ApproximateReceiveCount": str(receive_count)},
        "messageAttributes": {"payload": {"dataType": "Binary.zstd", "binaryValue": frame}},
    }
