"""Direct calls from botocore into moto's backends, without signature, HTTP and parsing, for the frequent operations.

    client ──parameters──▶ botocore ──before-call──▶ moto's backend ──refused──▶ the usual way, which says why

The usual way takes three quarters of the time of a batch of puts, and nearly all of that of a page of forty items. Only
the functions' own clients take the short way.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from local.moto.mends import alone_in_dynamodb

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient

_ASKED = "clew_asked"

_Answer = dict[str, Any]


def take(sqs: BaseClient, dynamodb: BaseClient) -> None:
    """Make these clients take the short way, as long as moto runs."""
    from moto.dynamodb.models import dynamodb_backends
    from moto.sqs.models import sqs_backends

    queues, tables = _backend(sqs_backends, sqs), _backend(dynamodb_backends, dynamodb)
    _shorten(sqs, "SendMessageBatch", lambda asked: _send(queues, **asked))
    _shorten(dynamodb, "BatchWriteItem", lambda asked: _write(tables, **asked))
    _shorten(dynamodb, "TransactWriteItems", lambda asked: _transact(tables, **asked))
    _shorten(dynamodb, "Query", lambda asked: _query(tables, **asked))
    _shorten(dynamodb, "BatchGetItem", lambda asked: _get(tables, **asked))


def _backend(backends: Any, client: BaseClient) -> Any:
    from moto.core.models import DEFAULT_ACCOUNT_ID

    return backends[DEFAULT_ACCOUNT_ID][client.meta.region_name]


def _shorten(client: BaseClient, operation: str, act: Callable[[dict[str, Any]], _Answer]) -> None:
    name = f"{client.meta.service_model.service_name}.{operation}"

    def set_aside(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[_ASKED] = dict(params)

    def answer(context: dict[str, Any], **_: Any) -> tuple[AWSResponse, _Answer] | None:
        try:
            answered = act(context[_ASKED])
        except Exception:
            return None  # nothing was done, or only what may be repeated
        return AWSResponse("", 200, HTTPHeaders(), None), answered

    # The first handler sees the parameters before botocore's own handlers change them.
    client.meta.events.register_first(f"provide-client-params.{name}", set_aside)
    client.meta.events.register_last(f"before-call.{name}", answer)  # type: ignore[arg-type]


def _send(backend: Any, QueueUrl: str, Entries: list[dict[str, Any]]) -> _Answer:
    from moto.sqs.models import Message

    queue = backend.get_queue(QueueUrl.rpartition("/")[2])
    messages = [Message(str(uuid.uuid4()), entry["MessageBody"]) for entry in Entries]
    for message, entry in zip(messages, Entries, strict=True):
        message.message_attributes = entry["MessageAttributes"]
        message.mark_sent(queue.delay_seconds)
        # Not by the backend, which reads all of the queue's attributes for each message, and so counts those that wait.
        queue.add_message(message)
    return {
        "Successful": [
            {"Id": entry["Id"], "MessageId": message.id}
            for message, entry in zip(messages, Entries, strict=True)
        ],
    }


def _write(backend: Any, RequestItems: dict[str, list[dict[str, Any]]]) -> _Answer:
    for table, requests in RequestItems.items():
        for request in requests:
            # Item by item, as in DynamoDB: a reader waits for one item at most.
            with alone_in_dynamodb:
                if "PutRequest" in request:
                    backend.put_item(table, request["PutRequest"]["Item"])
                else:
                    backend.delete_item(table, request["DeleteRequest"]["Key"])
            time.sleep(0)
    return {"UnprocessedItems": {}}


def _transact(backend: Any, TransactItems: list[dict[str, Any]]) -> _Answer:
    with alone_in_dynamodb:
        backend.transact_write_items(TransactItems)
    return {}


_RANGES = {
    "p = :p": None,
    "p = :p AND s BETWEEN :low AND :high": ("BETWEEN", (":low", ":high")),
    "p = :p AND s >= :low": (">=", (":low",)),
    "p = :p AND s <= :high": ("<=", (":high",)),
}
"""Key condition of the functions' queries → comparison of the sort key, and the names of its values."""
_GET_BYTES_MAX = 16 * 2**20
_PLAIN = {each: each for each in "SNB"}


def _query(
    backend: Any,
    TableName: str,
    KeyConditionExpression: str,
    ExpressionAttributeValues: dict[str, Any],
    ConsistentRead: bool,
    ScanIndexForward: bool,
    Limit: int | None = None,
    ExclusiveStartKey: dict[str, Any] | None = None,
) -> _Answer:
    values = ExpressionAttributeValues
    comparison, names = _RANGES[KeyConditionExpression] or (None, ())
    bounds = [values[name] for name in names]
    with alone_in_dynamodb:
        items, scanned, last = backend.query(
            TableName,
            values[":p"],
            comparison,
            bounds,
            Limit,
            ExclusiveStartKey,
            ScanIndexForward,
            None,
            consistent_read=ConsistentRead,
            hash_key_conditions=[("p", values[":p"])],
            range_key_conditions=[("s", comparison, bounds)] if comparison else [],
        )
    answer = {"Items": [_typed(item.attrs) for item in items], "Count": len(items)}
    if last is not None:
        answer["LastEvaluatedKey"] = _typed(last)
    return {**answer, "ScannedCount": scanned}


def _get(backend: Any, RequestItems: dict[str, dict[str, Any]]) -> _Answer:
    ((table, asked),) = RequestItems.items()
    keys = asked["Keys"]
    with alone_in_dynamodb:
        found = [backend.get_item(table, key) for key in keys]
        items = [item for item in found if item]
        if sum(item.size() for item in items) > _GET_BYTES_MAX:
            raise ValueError("some are for the next answer: the usual way says which")
        return {"Responses": {table: [_typed(item.attrs) for item in items]}, "UnprocessedKeys": {}}


def _typed(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes in the form of DynamoDB's JSON. Raises KeyError for a type that the functions do not use."""
    return {name: {_PLAIN[value.type]: value.value} for name, value in attributes.items()}
