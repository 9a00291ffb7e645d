"""The dead-letter queue, looked into and sent back: SQS's own move task does the moving, for it outlives any function.

SQS cannot list a queue. What is known of dead letters is in the table (`store/dead_letter.py`); the queue itself gives
their number, and a look at a few, which hides none of them from anybody.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import StoreError, StoreThrottled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_sqs.client import SQSClient

PEEK_MESSAGES_MAX = 10
"""SQS hands out at most so many at once."""
_RUNNING = {"RUNNING", "CANCELLING"}
_PASSING = {"RequestThrottled", "ThrottlingException", "ServiceUnavailable", "InternalError"}


class Redrive(NamedTuple):
    """A move of every dead letter back into the span queue."""

    status: str
    """running, completed, cancelling, cancelled or failed."""
    started_unix_millis: int
    moved: int
    to_move: int | None
    failure_reason: str | None

    @property
    def is_running(self) -> bool:
        return self.status.upper() in _RUNNING


class DeadLetterQueue:
    """One dead-letter queue, and the queue in the same account and region that its messages go back to."""

    def __init__(self, client: SQSClient, queue_url: str, destination_name: str) -> None:
        self._client = client
        self._queue_url = queue_url
        self._destination_name = destination_name
        self._known_arn: str | None = None

    def message_count(self) -> int:
        """How many are there, those being moved or looked at included; SQS calls it approximate."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(value) for value in self._attributes(names).values())

    def peek(self) -> list[dict[str, Any]]:
        """A few messages, as Lambda's SQS records have them. They stay visible; SQS counts the look as a receive."""
        answer = _translated(
            self._client.receive_message,
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=PEEK_MESSAGES_MAX,
            VisibilityTimeout=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [_record(message) for message in answer.get("Messages", [])]

    def redrive(self) -> Redrive:
        """Begin to move every message back, or return the move that is under way: there is one at a time.

        The destination is named: messages that were sent here, and not moved by SQS, have none of their own.
        """
        if (latest := self.latest_redrive()) and latest.is_running:
            return latest
        arn = self._arn()
        destination = f"{arn.rpartition(':')[0]}:{self._destination_name}"
        _translated(self._client.start_message_move_task, SourceArn=arn, DestinationArn=destination)
        started = self.latest_redrive()
        if started is None:
            raise StoreError("SQS has started a move of messages, and does not list it")
        return started

    def latest_redrive(self) -> Redrive | None:
        """The latest move, by whomever; None if SQS remembers none."""
        answer = _translated(self._client.list_message_move_tasks, SourceArn=self._arn())
        return next(map(_redrive, answer.get("Results", [])), None)

    def _arn(self) -> str:
        if self._known_arn is None:
            self._known_arn = self._attributes(("QueueArn",))["QueueArn"]
        return self._known_arn

    def _attributes(self, names: tuple[str, ...]) -> Mapping[str, str]:
        answer = _translated(
            self._client.get_queue_attributes, QueueUrl=self._queue_url, AttributeNames=list(names)
        )
        attributes: Mapping[str, str] = answer["Attributes"]
        return attributes


def _translated(call: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return call(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"].rpartition(".")[2]
        kind = StoreThrottled if code in _PASSING else StoreError
        raise kind(f"the dead-letter queue: {error}") from error
    except BotoCoreError as error:
        raise StoreThrottled(f"SQS cannot be reached: {error}") from error


def _redrive(task: Mapping[str, Any]) -> Redrive:
    return Redrive(
        task["Status"].lower(),
        int(task.get("StartedTimestamp", 0)),
        int(task.get("ApproximateNumberOfMessagesMoved", 0)),
        task.get("ApproximateNumberOfMessagesToMove"),
        task.get("FailureReason"),
    )


def _record(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    if (binary := value.get("BinaryValue")) is not None:
        return {
            "dataType": value["DataType"],
            "binaryValue": base64.b64encode(binary).decode("ascii"),
        }
    return {"dataType": value["DataType"], "stringValue": value.get("StringValue", "")}
