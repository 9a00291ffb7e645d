"""DynamoDB: an ItemStore, which keeps AWS's limits (`store/limits.py`) itself, since emulators do not.

`str` is DynamoDB's S, `bytes` B, `int` N. botocore's errors become StoreThrottled or StoreError here and nowhere else.
"""

from __future__ import annotations

import random
import time
from binascii import b2a_base64
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import ClewError, LimitExceeded, StoreError, StoreThrottled
from chalicelib.model.batched import batched_by_size
from chalicelib.store.items import PARTITION_KEY, SORT_KEY, ConditionFailed, Item, Plain, Put
from chalicelib.store.limits import (
    BATCH_GET_KEYS_MAX,
    BATCH_WRITE_BYTES_MAX,
    BATCH_WRITE_ITEMS_MAX,
    check_item,
    check_key,
    check_transaction,
    item_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

_ATTEMPTS_MAX = 8
_BACKOFF_SECONDS = 0.05
"""Doubles a try, with full jitter: eight tries wait six seconds in all, at most."""

_THROTTLE_CODES = {
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "ThrottlingError",
    "RequestLimitExceeded",
    "LimitExceededException",
    "InternalServerError",
    "InternalFailure",
    "ServiceUnavailable",
    "TransactionInProgressException",
    "TransactionConflictException",
}
_RETRIED_REASONS = {
    "TransactionConflict",
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "RequestLimitExceeded",
}
_REFUSED_FOR_GOOD = {"ValidationException", "ValidationError", "ItemCollectionSizeLimitExceeded"}
"""What was to be written is at fault, and would be whenever it was tried: as a limit that was not known here."""


class DynamoStore:
    """An ItemStore on one DynamoDB client."""

    def __init__(self, client: DynamoDBClient, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep
        _serialise_batches_ourselves(client)

    def put_batch(self, table: str, items: Sequence[Item]) -> None:
        # All are checked before the first is sent: an item that is too large is found before anything is done.
        sized = [(item, check_item(item)) for item in items]
        for batch in _batches(_distinct(sized)):
            self._write(table, [{"PutRequest": {"Item": typed_item(item)}} for item in batch])

    def delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        for key in keys:
            check_key(key)
        for batch in _batches(_distinct([(key, item_bytes(key)) for key in keys])):
            self._write(table, [{"DeleteRequest": {"Key": typed_item(key)}} for key in batch])

    def _write(self, table: str, requests: Sequence[Any]) -> None:
        waiting = requests
        for attempt in range(_ATTEMPTS_MAX):
            answer = _translated(self._client.batch_write_item, RequestItems={table: waiting})
            waiting = answer.get("UnprocessedItems", {}).get(table, [])
            if not waiting:
                return
            self._back_off(attempt)
        raise StoreThrottled(f"{len(waiting)} of {len(requests)} items were not written")

    def query(
        self,
        table: str,
        partition: Plain,
        low: Plain | None = None,
        high: Plain | None = None,
        *,
        descending: bool = False,
        first_page_items: int | None = None,
    ) -> Iterator[Item]:
        arguments = _query_arguments(table, partition, low, high)
        if first_page_items is not None:
            arguments["Limit"] = first_page_items
        while True:
            page = _translated(
                self._client.query,
                **arguments,
                ConsistentRead=True,
                ScanIndexForward=not descending,
            )
            yield from map(plain_item, page["Items"])
            if not (last := page.get("LastEvaluatedKey")):
                return
            arguments["ExclusiveStartKey"] = last
            arguments.pop("Limit", None)

    def get_batch(self, table: str, keys: Sequence[Item]) -> list[Item]:
        found: list[Item] = []
        for key in keys:
            check_key(key)
        distinct = [typed_item(key) for key, _ in _distinct([(key, 0) for key in keys])]
        for start in range(0, len(distinct), BATCH_GET_KEYS_MAX):
            waiting: Any = distinct[start : start + BATCH_GET_KEYS_MAX]
            attempt = 0
            while waiting:
                answer = _translated(
                    self._client.batch_get_item,
                    RequestItems={table: {"Keys": waiting, "ConsistentRead": True}},
                )
                items = answer.get("Responses", {}).get(table, [])
                found += map(plain_item, items)
                waiting = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
                # A page of a megabyte is progress, not throttling.
                attempt = 0 if items else attempt + 1
                if waiting and attempt >= _ATTEMPTS_MAX:
                    raise StoreThrottled(f"{len(waiting)} keys were not read")
                if attempt and waiting:
                    self._back_off(attempt)
        return found

    def transact(self, actions: Sequence[Put]) -> None:
        check_transaction(actions)
        if not actions:
            return
        typed = [_typed_action(action) for action in actions]
        for attempt in range(_ATTEMPTS_MAX):
            try:
                self._client.transact_write_items(TransactItems=typed)
                return
            except ClientError as error:
                reasons = [
                    reason.get("Code", "None")
                    for reason in error.response.get("CancellationReasons", [])
                ]
                if failed := [
                    i for i, code in enumerate(reasons) if code == "ConditionalCheckFailed"
                ]:
                    raise ConditionFailed(failed) from error
                if refused := _REFUSED_FOR_GOOD.intersection(reasons):
                    raise LimitExceeded(f"DynamoDB: {refused}: {error}") from error
                if not _RETRIED_REASONS.intersection(reasons):
                    raise _translate(error) from error
            except BotoCoreError as error:
                raise StoreThrottled(f"DynamoDB cannot be reached: {error}") from error
            self._back_off(attempt)
        raise StoreThrottled(f"a transaction met others {_ATTEMPTS_MAX} times")

    def _back_off(self, attempt: int) -> None:
        self._sleep(random.uniform(0, _BACKOFF_SECONDS * 2**attempt))


def typed_item(item: Item) -> dict[str, Any]:
    """DynamoDB's typed form of plain values."""
    return {name: _typed(value) for name, value in item.items()}


def _typed(value: Plain) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, str):
        return {"S": value}
    return {"N": str(value)}


def plain_item(typed: dict[str, Any]) -> Item:
    """The inverse of `typed_item`."""
    item: Item = {}
    for name, value in typed.items():
        ((kind, content),) = value.items()
        item[name] = int(content) if kind == "N" else content
    return item


_Sized = tuple[Item, int]
"""An item, or a key, and its size."""


def _distinct(sized: Iterable[_Sized]) -> list[_Sized]:
    """The last of all items with one key: DynamoDB refuses a batch that names a key twice."""
    return list({(each[0][PARTITION_KEY], each[0][SORT_KEY]): each for each in sized}.values())


def _batches(sized: Iterable[_Sized]) -> Iterator[list[Item]]:
    """Items in order, in batches that BatchWriteItem takes."""
    for batch in batched_by_size(
        sized, _sent_bytes_at_most, BATCH_WRITE_BYTES_MAX, BATCH_WRITE_ITEMS_MAX
    ):
        yield [item for item, _ in batch]


def _sent_bytes_at_most(sized: _Sized) -> int:
    item, own_bytes = sized
    size = _SENT_AROUND_BYTES + _SENT_BYTES_PER_BYTE_MAX * own_bytes
    return sent_bytes(item) if size > _SENT_BYTES_SMALL else size


_SENT_AROUND_BYTES = 200
"""An item's part of the request, beside names and values: at most this, with the table's name."""
_SENT_BYTES_PER_BYTE_MAX = 6
"""A control character takes so many bytes in a request."""
_SENT_BYTES_SMALL = BATCH_WRITE_BYTES_MAX // BATCH_WRITE_ITEMS_MAX
"""Items of so many bytes fit a batch whatever they hold: only a larger one is looked at closely."""


def sent_bytes(item: Item) -> int:
    """What an item takes of BatchWriteItem's JSON, rounded up."""
    return _SENT_AROUND_BYTES + sum(
        _sent_text_bytes(name) + _sent_value_bytes(value) for name, value in item.items()
    )


def _sent_value_bytes(value: Plain) -> int:
    """The bytes of a value in a request, with the type around it: `: {"B": "…"}, `."""
    if isinstance(value, bytes):
        return 4 * ((len(value) + 2) // 3) + 14
    return (_sent_text_bytes(value) if isinstance(value, str) else len(str(value))) + 14


@lru_cache(maxsize=1_000)
def _sent_text_bytes(text: str) -> int:
    # Names are few, and asked for with every item.
    return len(orjson.dumps(text))


_BODY = "clew_body"


def _serialise_batches_ourselves(client: DynamoDBClient) -> None:
    """Have orjson write BatchWriteItem's body from now on: it takes a fifth of the time of botocore's walk over its
    model."""
    events, operation = client.meta.events, "dynamodb.BatchWriteItem"
    # Others may change the parameters before, and look at the body after. With an id of its own, a handler is
    # registered once, however many stores a client has.
    events.register_last(f"before-parameter-build.{operation}", _set_body_aside, "clew-aside")
    events.register_first(f"before-call.{operation}", _put_body_back, "clew-back")


def _set_body_aside(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Leave botocore the first item of each table to serialise: it may choose the endpoint by the tables."""
    context[_BODY] = orjson.dumps(params, default=_base64)
    params["RequestItems"] = {
        table: requests[:1] for table, requests in params["RequestItems"].items()
    }


def _put_body_back(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Put the body in place before botocore signs the request."""
    params["body"] = context[_BODY]


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode()


def _query_arguments(
    table: str, partition: Plain, low: Plain | None, high: Plain | None
) -> dict[str, Any]:
    values = {":p": _typed(partition)}
    condition = f"{PARTITION_KEY} = :p"
    if low is not None and high is not None:
        condition += f" AND {SORT_KEY} BETWEEN :low AND :high"
    elif low is not None:
        condition += f" AND {SORT_KEY} >= :low"
    elif high is not None:
        condition += f" AND {SORT_KEY} <= :high"
    if low is not None:
        values[":low"] = _typed(low)
    if high is not None:
        values[":high"] = _typed(high)
    return {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
    }


def _typed_action(action: Put) -> Any:
    put: dict[str, Any] = {"TableName": action.table, "Item": typed_item(action.item)}
    if action.condition:
        put["ConditionExpression"] = action.condition
    if action.values:
        put["ExpressionAttributeValues"] = typed_item(action.values)
    return {"Put": put}


def _translated(call: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return call(**arguments)
    except ClientError as error:
        raise _translate(error) from error
    except BotoCoreError as error:
        raise StoreThrottled(f"DynamoDB cannot be reached: {error}") from error


def _translate(error: ClientError) -> ClewError:
    code = error.response["Error"]["Code"]
    if code in _THROTTLE_CODES:
        return StoreThrottled(f"DynamoDB: {code}")
    said = f"DynamoDB: {code}: {error.response['Error'].get('Message', '')}"
    return LimitExceeded(said) if code in _REFUSED_FOR_GOOD else StoreError(said)
