"""Two SQS queues in memory: at least once, in no order, gone from sight for a while, dead after some tries."""

from __future__ import annotations

import base64
from itertools import count
from typing import TYPE_CHECKING, Any

from chalicelib import config
from tests.simulator.dynamodb import COMMON_FAULTS
from tests.simulator.hub import Call, Fault, Hub, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VISIBILITY_SECONDS = 90
RECEIVES_MAX = 3
"""Then SQS itself moves the message to the dead-letter queue."""
_QUEUE = (Place("queue"),)


class Kept:
    """A message in a queue."""

    def __init__(self, number: int, body: str, attributes: dict[str, Any], sent: int) -> None:
        self.number = number
        self.body = body
        self.attributes = attributes
        self.sent_unix_seconds = sent
        self.receives = 0
        self.visible_from = 0


class SimulatedSqs:
    """Both queues, and the client's methods as far as the product calls them: a queue's URL is its name."""

    def __init__(self, hub: Hub, now: Callable[[], int]) -> None:
        self._hub = hub
        self._now = now
        self._numbers = count(1)
        self.buried: set[str] = set()
        """Bodies that a consumer ever gave up; SQS's own dead letters are none of them."""
        self.queues: dict[str, list[Kept]] = {config.SPAN_QUEUE: [], config.DEAD_LETTER_QUEUE: []}

    @property
    def waiting(self) -> list[Kept]:
        return self.queues[config.SPAN_QUEUE]

    @property
    def dead(self) -> list[Kept]:
        return self.queues[config.DEAD_LETTER_QUEUE]

    def send_message_batch(self, QueueUrl: str, Entries: Sequence[Any]) -> Any:
        def act() -> Any:
            for entry in Entries:
                self.put(QueueUrl, entry["MessageBody"], entry["MessageAttributes"])
            return {"Failed": []}

        def half(_: Any) -> Any:
            done = len(Entries) // 2
            for entry in Entries[:done]:
                self.put(QueueUrl, entry["MessageBody"], entry["MessageAttributes"])
            return {"Failed": [{"Id": entry["Id"]} for entry in Entries[done:]]}

        return self._do("SendMessageBatch", act, Fault("half failed", half))

    def send_message(self, QueueUrl: str, MessageBody: str, MessageAttributes: Any) -> Any:
        def act() -> Any:
            self.buried.add(MessageBody)
            self.put(QueueUrl, MessageBody, MessageAttributes)

        return self._do("SendMessage", act)

    def _do(self, operation: str, act: Callable[[], Any], *more: Fault) -> Any:
        fault = self._hub.at(Call(operation, (), _QUEUE, (*COMMON_FAULTS, *more)))
        return fault.happen(act) if fault else act()

    def put(self, queue: str, body: str, attributes: dict[str, Any]) -> Kept:
        kept = Kept(next(self._numbers), body, attributes, self._now())
        self.queues[queue].append(kept)
        return kept

    # What Lambda's event source mapping does.

    def visible(self) -> list[Kept]:
        return [kept for kept in self.waiting if kept.visible_from <= self._now()]

    def receive(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """These messages, as an event's records; out of sight for a while. One that came too often is dead."""
        records = []
        for kept in [kept for kept in self.visible() if kept.number in numbers]:
            if kept.receives == RECEIVES_MAX:
                self.waiting.remove(kept)
                self.dead.append(kept)
                continue
            kept.receives += 1
            kept.visible_from = self._now() + VISIBILITY_SECONDS
            records.append(_record(kept))
        return records

    def again(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """These messages, in sight or not, as an event's records: SQS may hand out any message twice."""
        for kept in self.waiting:
            if kept.number in numbers:
                kept.visible_from = self._now()
        return self.receive(numbers)

    def delete(self, records: Sequence[dict[str, Any]]) -> None:
        numbers = {int(record["messageId"]) for record in records}
        self.queues[config.SPAN_QUEUE] = [k for k in self.waiting if k.number not in numbers]

    def redrive(self) -> None:
        """All dead letters back, as new messages."""
        for kept in self.dead:
            self.put(config.SPAN_QUEUE, kept.body, kept.attributes)
        self.dead.clear()


def _record(kept: Kept) -> dict[str, Any]:
    return {
        "messageId": str(kept.number),
        "body": kept.body,
        "attributes": {
            "ApproximateReceiveCount": str(kept.receives),
            "SentTimestamp": str(kept.sent_unix_seconds * 1_000),
        },
        "messageAttributes": {name: _attribute(value) for name, value in kept.attributes.items()},
    }


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    if (binary := value.get("BinaryValue")) is not None:
        return {"dataType": value["DataType"], "binaryValue": base64.b64encode(binary).decode()}
    return {"dataType": value["DataType"], "stringValue": value["StringValue"]}
