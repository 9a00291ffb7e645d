"""A DynamoDB client in memory, with its ways to refuse, to lose, to do half, and to be slow.

What it keeps of DynamoDB: strongly consistent pages (and no more than pages); batches item by item; transactions that
lock their items from their conditions' check until they are done, so that others meet them; size limits are our own
adapter's work. What it does by choice: each fault of `_faults`.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.simulator.hub import Call, Died, Fault, Hub, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Key = tuple[str, Any, Any]
"""Table, partition key, sort key."""
_URL = "https://example.com"


class _Events:
    """Our adapter hooks into botocore's serialisation, which there is none of here."""

    def register_last(self, *_: Any) -> None: ...

    def register_first(self, *_: Any) -> None: ...


class _Meta:
    events = _Events()


class SimulatedDynamoDB:
    meta = _Meta()

    def __init__(self, hub: Hub, page_items: int = 1_000, *, is_coarse: bool = False) -> None:
        self._hub = hub
        self._page_items = page_items
        self._is_coarse = is_coarse
        """Batches and transactions are one step each: for who tries all orders."""
        self.items: dict[Key, dict[str, Any]] = {}
        self._locked: set[Key] = set()
        self._late = 0
        self.transactions = 0
        """Done so far."""

    # The client's methods, as far as the adapter calls them.

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> Any:
        ((table, requests),) = RequestItems.items()
        keys = [_request_key(table, request) for request in requests]
        writes = tuple(Place(key[:2], key[2], key[2]) for key in keys)

        def act() -> Any:
            middle = len(requests) if self._is_coarse else (len(requests) + 1) // 2
            left = self._write(table, requests[:middle])
            if middle < len(requests):
                self._hub.at(Call("the batch's other half", writes=writes))
                left += self._write(table, requests[middle:])
            return {"UnprocessedItems": {table: left} if left else {}}

        def half(_: Any) -> Any:
            done = len(requests) // 2
            self._write(table, requests[:done])
            return {"UnprocessedItems": {table: requests[done:]}}

        more = (Fault("half unprocessed", half),)
        return self._do(Call("BatchWriteItem", (), writes, self._faults(more)), act)

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:
        ((table, wanted),) = RequestItems.items()
        keys = [_key(table, key) for key in wanted["Keys"]]
        reads = tuple(Place(key[:2], key[2], key[2]) for key in keys)

        def answer(some: Sequence[Key]) -> Any:
            items = [dict(self.items[key]) for key in some if key in self.items]
            return {"Responses": {table: items}}

        def half(_: Any) -> Any:
            done = (len(keys) + 1) // 2
            back = {table: {**wanted, "Keys": wanted["Keys"][done:]}} if keys[done:] else {}
            return {**answer(keys[:done]), "UnprocessedKeys": back}

        more = (Fault("keys unprocessed", half),)
        return self._do(Call("BatchGetItem", reads, (), self._faults(more)), lambda: answer(keys))

    def query(
        self,
        TableName: str,
        ExpressionAttributeValues: dict[str, Any],
        ScanIndexForward: bool,
        ExclusiveStartKey: dict[str, Any] | None = None,
        Limit: int | None = None,
        **_: Any,
    ) -> Any:
        values = {name: _plain(value) for name, value in ExpressionAttributeValues.items()}
        partition, low, high = values[":p"], values.get(":low"), values.get(":high")
        last = _plain(ExclusiveStartKey["s"]) if ExclusiveStartKey else None

        def is_next(sort: Any) -> bool:
            return last is None or (sort > last if ScanIndexForward else sort < last)

        def act() -> Any:
            sorts = sorted(
                (
                    key[2]
                    for key in self.items
                    if key[:2] == (TableName, partition)
                    and (low is None or low <= key[2])
                    and (high is None or key[2] <= high)
                    and is_next(key[2])
                ),
                reverse=not ScanIndexForward,
            )
            page_items = min(self._page_items, Limit or self._page_items)
            page = [dict(self.items[TableName, partition, s]) for s in sorts[:page_items]]
            more = {"LastEvaluatedKey": page[-1]} if len(sorts) > len(page) else {}
            return {"Items": page, **more}

        reads = (Place((TableName, partition), low, high),)
        return self._do(Call("Query", reads, (), self._faults()), act)

    def transact_write_items(self, TransactItems: list[Any]) -> Any:
        puts = [each["Put"] for each in TransactItems]
        keys = [_key(put["TableName"], put["Item"]) for put in puts]
        writes = tuple(Place(key[:2], key[2], key[2]) for key in keys)

        def act() -> Any:
            reasons = [self._reason(key, put) for key, put in zip(keys, puts, strict=True)]
            if any(reasons):
                raise cancelled(*reasons)
            if not self._is_coarse:
                # Decided, and not yet done: whoever comes now meets it.
                self._locked.update(keys)
                self._hub.at(Call("the transaction's second phase", writes=writes))
                self._locked.difference_update(keys)
            for key, put in zip(keys, puts, strict=True):
                self.items[key] = dict(put["Item"])
            self.transactions += 1
            return {}

        more = [
            Fault(f"cancelled: {code}", _raising(partial(cancelled, code)))
            for code in ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
        ]
        return self._do(Call("TransactWriteItems", (), writes, self._faults(more)), act)

    # What they do.

    def _write(self, table: str, requests: Sequence[Any]) -> list[Any]:
        """Write; return what could not be, for a transaction holds it."""
        left = []
        for request in requests:
            key = _request_key(table, request)
            if key in self._locked:
                left.append(request)
            elif "PutRequest" in request:
                self.items[key] = dict(request["PutRequest"]["Item"])
            else:
                self.items.pop(key, None)
        return left

    def _reason(self, key: Key, put: dict[str, Any]) -> str:
        """Why an action cannot be done; empty if it can."""
        if key in self._locked:
            return "TransactionConflict"
        there = self.items.get(key)
        condition = put.get("ConditionExpression")
        if condition == "attribute_not_exists(p)" and there is not None:
            return "ConditionalCheckFailed"
        if condition == "n = :n":
            wanted = put["ExpressionAttributeValues"][":n"]
            if there is None or there.get("n") != wanted:
                return "ConditionalCheckFailed"
        return ""

    def _do(self, call: Call, act: Callable[[], Any]) -> Any:
        fault = self._hub.at(call)
        return fault.happen(act) if fault else act()

    def _faults(self, more: Sequence[Fault] = ()) -> list[Fault]:
        return [*_COMMON, Fault("done late", self._later), *more]

    def _later(self, act: Callable[[], Any]) -> Any:
        """The caller gives up waiting; some time later it is done all the same."""
        self._late += 1
        call = Call("done late")
        self._hub.add(f"request {self._late}", lambda: _late(self._hub, call, act))
        raise ReadTimeoutError(endpoint_url=_URL)


def _late(hub: Hub, call: Call, act: Callable[[], Any]) -> None:
    hub.at(call)
    # Nobody listens any more.
    with suppress(ClientError):
        act()


def refused(code: str, **more: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "simulated"}, **more}
    return ClientError(response, "simulated")


def cancelled(*reasons: str) -> ClientError:
    codes = [{"Code": reason or "None"} for reason in reasons]
    return refused("TransactionCanceledException", CancellationReasons=codes)


def _raising(error: Callable[[], BaseException]) -> Callable[[Any], Any]:
    def happen(_: Any) -> Any:
        raise error()

    return happen


def _done_then(error: Callable[[], BaseException]) -> Callable[[Any], Any]:
    def happen(act: Callable[[], Any]) -> Any:
        # What it would have said is lost as well.
        with suppress(ClientError):
            act()
        raise error()

    return happen


_COMMON = (
    Fault("dies before", _raising(Died)),
    Fault("dies after", _done_then(Died)),
    Fault("answer lost", _done_then(lambda: ReadTimeoutError(endpoint_url=_URL))),
    Fault("unreachable", _raising(lambda: EndpointConnectionError(endpoint_url=_URL))),
    Fault("throttled", _raising(lambda: refused("ThrottlingException"))),
    Fault("server error", _done_then(lambda: refused("InternalServerError"))),
)
COMMON_FAULTS = _COMMON
"""What can happen at a call of any service."""


def _key(table: str, item: dict[str, Any]) -> Key:
    return table, _plain(item["p"]), _plain(item["s"])


def _request_key(table: str, request: dict[str, Any]) -> Key:
    put = request.get("PutRequest")
    return _key(table, put["Item"] if put else request["DeleteRequest"]["Key"])


def _plain(typed: dict[str, Any]) -> Any:
    ((_, value),) = typed.items()
    return value
