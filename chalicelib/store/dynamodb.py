"""DynamoDB: an ItemStore, with AWS's limits kept here, since emulators do not keep them.

`str` is DynamoDB's S, `bytes` B, `int` N. botocore's errors become StoreThrottled or StoreError here and nowhere else.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import LimitExceeded, StoreError, StoreThrottled
from chalicelib.store.items import ConditionFailed, Delete, Item, Plain, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

ITEM_BYTES_MAX = 409_600
BATCH_WRITE_ITEMS_MAX = 25
BATCH_WRITE_BYTES_MAX = 16_000_000
BATCH_GET_KEYS_MAX = 100
TRANSACTION_ACTIONS_MAX = 100
TRANSACTION_BYTES_MAX = 4_000_000
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


class DynamoStore:
    """An ItemStore on one DynamoDB client."""

    def __init__(self, client: DynamoDBClient, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def put_batch(self, table: str, items: Sequence[Item]) -> None:
        by_key = {(item["p"], item.get("s")): item for item in items}
        self._write_batch(table, [{"PutRequest": {"Item": typed_item(i)}} for i in by_key.values()])

    def delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        self._write_batch(table, [{"DeleteRequest": {"Key": typed_item(key)}} for key in keys])

    def _write_batch(self, table: str, requests: Sequence[Any]) -> None:
        # All are cut before the first is sent: an item that is too large is to be found before anything is done.
        for batch in list(_batches(requests)):
            waiting = batch
            for attempt in range(_ATTEMPTS_MAX):
                answer = _translated(self._client.batch_write_item, RequestItems={table: waiting})
                waiting = answer.get("UnprocessedItems", {}).get(table, [])
                if not waiting:
                    break
                self._back_off(attempt)
            else:
                raise StoreThrottled(f"{len(waiting)} of {len(batch)} items were not written")

    def query(
        self,
        table: str,
        partition: Plain,
        low: Plain | None = None,
        high: Plain | None = None,
        *,
        descending: bool = False,
    ) -> Iterator[Item]:
        arguments = _query_arguments(table, partition, low, high)
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

    def get_batch(self, table: str, keys: Sequence[Item]) -> list[Item]:
        found: list[Item] = []
        for start in range(0, len(keys), BATCH_GET_KEYS_MAX):
            waiting: Any = [typed_item(key) for key in keys[start : start + BATCH_GET_KEYS_MAX]]
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

    def transact(self, actions: Sequence[Put | Delete]) -> None:
        typed = [_typed_action(action) for action in actions]
        _check_transaction(actions)
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


def item_bytes(item: Item) -> int:
    """What DynamoDB counts as an item's size: names and values."""
    return sum(len(name) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Plain) -> int:
    if isinstance(value, int):
        # A byte for two significant digits, one more, and one for a sign: AWS calls it approximate.
        return len(str(value)) // 2 + 3
    return len(value.encode()) if isinstance(value, str) else len(value)


def _batches(requests: Sequence[Any]) -> Iterator[list[Any]]:
    """Requests in order, in batches that BatchWriteItem takes."""
    batch: list[Any] = []
    batch_bytes = 0
    for request in requests:
        ((_, content),) = request.items()
        ((_, typed),) = content.items()
        size = item_bytes(plain_item(typed))
        if size > ITEM_BYTES_MAX:
            raise LimitExceeded(f"an item of {size} bytes; DynamoDB takes {ITEM_BYTES_MAX}")
        if len(batch) == BATCH_WRITE_ITEMS_MAX or batch_bytes + size > BATCH_WRITE_BYTES_MAX:
            yield batch
            batch, batch_bytes = [], 0
        batch.append(request)
        batch_bytes += size
    if batch:
        yield batch


def _query_arguments(
    table: str, partition: Plain, low: Plain | None, high: Plain | None
) -> dict[str, Any]:
    values = {":p": _typed(partition)}
    condition = "p = :p"
    if low is not None and high is not None:
        condition += " AND s BETWEEN :low AND :high"
    elif low is not None:
        condition += " AND s >= :low"
    elif high is not None:
        condition += " AND s <= :high"
    if low is not None:
        values[":low"] = _typed(low)
    if high is not None:
        values[":high"] = _typed(high)
    return {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
    }


def _typed_action(action: Put | Delete) -> Any:
    if isinstance(action, Delete):
        return {"Delete": {"TableName": action.table, "Key": typed_item(action.key)}}
    put: dict[str, Any] = {"TableName": action.table, "Item": typed_item(action.item)}
    if action.condition:
        put["ConditionExpression"] = action.condition
    if action.values:
        put["ExpressionAttributeValues"] = typed_item(action.values)
    return {"Put": put}


def _check_transaction(actions: Sequence[Put | Delete]) -> None:
    size = sum(item_bytes(a.item if isinstance(a, Put) else a.key) for a in actions)
    if len(actions) > TRANSACTION_ACTIONS_MAX or size > TRANSACTION_BYTES_MAX:
        raise LimitExceeded(
            f"a transaction of {len(actions)} actions and {size} bytes; "
            f"DynamoDB takes {TRANSACTION_ACTIONS_MAX} and {TRANSACTION_BYTES_MAX}"
        )
    for action in actions:
        if isinstance(action, Put) and (size := item_bytes(action.item)) > ITEM_BYTES_MAX:
            raise LimitExceeded(f"an item of {size} bytes; DynamoDB takes {ITEM_BYTES_MAX}")


def _translated(call: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return call(**arguments)
    except ClientError as error:
        raise _translate(error) from error
    except BotoCoreError as error:
        raise StoreThrottled(f"DynamoDB cannot be reached: {error}") from error


def _translate(error: ClientError) -> StoreError:
    code = error.response["Error"]["Code"]
    if code in _THROTTLE_CODES:
        return StoreThrottled(f"DynamoDB: {code}")
    return StoreError(f"DynamoDB: {code}: {error.response['Error'].get('Message', '')}")
