"""Corrects twelve faults of moto 5.2 that would cost a laptop spans or time, by patching moto in place.

1. DynamoDB's requests run at the same time, so that one sees another's transaction half done.
2. TransactWriteItems copies the whole table, once for each action: a commit costs actions x items of the table.
3. If it is cancelled, those copies replace the tables, and with them what other requests wrote meanwhile.
4. Query looks at, and sorts, every item of the table: a search costs queries x items of the table.
5. SendMessage counts the queue's messages over and over, and moto's clock, read for each, takes 7 µs.
6. There is no StartMessageMoveTask: dead letters could not be sent back.
7. A condition is parsed again for each item, which is half of the time of writing a marker.
8. DeleteMessage replaces the list of messages, and loses one that is sent meanwhile; and it looks at all of them.
9. Items are never deleted, whatever their TTL.
10. Every message and item is also in a list of its class: deleted ones are never freed; and the receipts of deleted
    messages are kept.
11. An item takes a kilobyte beside its bytes (`partitions`), counts its bytes again with each attribute, and its keys
    are cast at each look at the table.
12. A queue's policy in a template is left out, with a warning (`queue_policy`).

A test shows each fault: once an upgrade of moto corrects it, its lines can be deleted.
"""

from __future__ import annotations

import copy
import re
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from local.moto.partitions import Partitions

if TYPE_CHECKING:
    from collections.abc import Iterator

alone_in_dynamodb = threading.RLock()
"""A lock that is held for a whole request: requests are short, and Python runs one thread at a time anyway."""
_mended = False
EXPIRY = "x"
"""The TTL attribute of stack.yaml; moto ignores it."""
_RECEIPT = re.compile("[a-z]{185}")
"""The form of moto's receipt handles."""
CONDITIONS_KEPT = 64
"""Cache size of parsed conditions without values; Clew has two of them."""


def apply() -> None:
    """Patch moto, once in a process; the patches stay for every user of moto in the process."""
    global _mended
    if not _mended:
        _mended = True
        _mend_memory()
        _mend_tables()
        _mend_items()
        _mend_queries()
        _mend_conditions()
        _mend_queues()
        _mend_dead_letters()
        from local.moto import queue_policy  # noqa: F401 - for moto to find it


def _mend_memory() -> None:
    from moto.core.common_models import BaseModel

    def new(model: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
        return object.__new__(model)

    # The lists serve only the API by which a moto server resets its models.
    BaseModel.__new__ = new  # type: ignore[assignment, method-assign]


def _mend_tables() -> None:
    from moto.dynamodb.models import DynamoDBBackend
    from moto.dynamodb.models.table import Table
    from moto.dynamodb.responses import DynamoHandler

    call_action = DynamoHandler.call_action
    transact_write_items = DynamoDBBackend.transact_write_items
    in_transaction = threading.local()

    def call_alone(handler: DynamoHandler) -> Any:
        with alone_in_dynamodb:
            return call_action(handler)

    def copy_of(table: Table, memo: dict[int, Any]) -> Table:
        # During a transaction the table itself is returned as its copy: restoring it then changes nothing.
        if getattr(in_transaction, "is_open", False):
            return table
        other = copy.copy(table)
        other.__dict__ = copy.deepcopy(table.__dict__, memo)
        return other

    def transact(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        before = list(_touched(backend, transact_items))
        in_transaction.is_open = True
        try:
            transact_write_items(backend, transact_items)
        except Exception:
            for touched in before:
                touched.restore()
            raise
        finally:
            in_transaction.is_open = False

    DynamoHandler.call_action = call_alone  # type: ignore[method-assign]
    DynamoDBBackend.transact_write_items = transact  # type: ignore[assignment, method-assign]
    Table.__deepcopy__ = copy_of  # type: ignore[attr-defined]


def _mend_items() -> None:
    from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
    from moto.dynamodb.models.table import Table

    set_up, put, cast_value = Table.__init__, Table.put_item, DynamoType.cast_value

    def value_of(value: DynamoType) -> Any:
        # Every look at a table hashes and compares keys; only numbers and documents need a cast.
        return value.value if value.type in ("S", "B") else cast_value.__get__(value)

    def set_up_table(table: Table, *arguments: Any, **named: Any) -> None:
        set_up(table, *arguments, **named)
        if table.has_range_key:
            table.items = Partitions(dict)

    def put_item(table: Table, *arguments: Any, **named: Any) -> Item:
        item = put(table, *arguments, **named)
        if isinstance(table.items, Partitions):
            table.items.pack(item.hash_key)
        return item

    def set_up_item(
        item: Item, hash_key: DynamoType, range_key: Any, attrs: dict[str, Any]
    ) -> None:
        item.hash_key, item.range_key = hash_key, range_key
        item.attrs = LimitedSizeDict()
        *most, last = ((name, DynamoType(value)) for name, value in attrs.items())
        dict.update(item.attrs, most)
        # The last one is set in moto's own way, which counts the bytes of all attributes each time.
        item.attrs[last[0]] = last[1]

    DynamoType.cast_value = property(value_of)  # type: ignore[assignment]
    Table.__init__ = set_up_table  # type: ignore[assignment, method-assign]
    Table.put_item = put_item  # type: ignore[assignment, method-assign]
    Item.__init__ = set_up_item  # type: ignore[assignment, method-assign]


def _mend_queries() -> None:
    from moto.dynamodb.models.table import Table

    query, all_items = Table.query, Table.all_items
    asked = threading.local()

    def query_of_partition(table: Table, hash_key: Any, *arguments: Any, **named: Any) -> Any:
        # An index has other partitions: a table with one keeps moto's own way.
        asked.partition = None if table.all_indexes() else table.items.get(hash_key, {})
        try:
            return query(table, hash_key, *arguments, **named)
        finally:
            asked.partition = None

    def items_asked_for(table: Table) -> Any:
        partition = getattr(asked, "partition", None)
        # Not sorted here: the query itself sorts what it finds.
        return all_items(table) if partition is None else list(partition.values())

    Table.query = query_of_partition  # type: ignore[assignment, method-assign]
    Table.all_items = items_asked_for  # type: ignore[assignment, method-assign]


def _mend_conditions() -> None:
    import moto.dynamodb.models
    import moto.dynamodb.models.table
    import moto.dynamodb.responses
    from moto.dynamodb.comparisons import create_condition_expression_parser
    from moto.dynamodb.comparisons import get_filter_expression as parse

    @lru_cache(CONDITIONS_KEPT)
    def parse_once(expression: str | None) -> Any:
        return parse(expression, None, None)

    def parsed(expression: str | None, names: Any, values: Any) -> Any:
        # A condition with values differs each time. A parsed condition is immutable, so it can be cached.
        return parse(expression, names, values) if names or values else parse_once(expression)

    def parser_of(expression: str | None, names: Any, values: Any) -> Any:
        if names or values:
            return create_condition_expression_parser(expression, names, values)
        return _Parsed(parse_once(expression), [])

    for module in (moto.dynamodb.models, moto.dynamodb.models.table):
        vars(module)["get_filter_expression"] = parsed
    vars(moto.dynamodb.responses)["create_condition_expression_parser"] = parser_of


class _Parsed(NamedTuple):
    """A parser's result for a condition without names and values."""

    operation: Any
    expr_attr_names_found: list[str]

    def parse(self) -> Any:
        return self.operation


def _mend_queues() -> None:
    import moto.sqs.models
    from moto.sqs.exceptions import ReceiptHandleIsInvalid

    # The same number without four datetime objects: 20 times as fast.
    vars(moto.sqs.models)["unix_time_millis"] = lambda: time.time() * 1_000

    def delete_message(queue: Any, receipt_handle: str) -> None:
        with queue._messages_lock:
            for place, message in enumerate(queue._messages):
                if message.had_receipt_handle(receipt_handle):
                    del queue._messages[place]
                    queue.pending_messages.discard(message)
                    return
        # A valid handle of a message that is gone: deleting it again is no error, as with SQS.
        if not _RECEIPT.fullmatch(receipt_handle):
            raise ReceiptHandleIsInvalid()

    moto.sqs.models.Queue.delete_message = delete_message  # type: ignore[assignment, method-assign]


def expire_items(now_unix_seconds: int) -> int:
    """Delete the items whose TTL is over, in every table; return how many they were."""
    from moto.backends import get_backend
    from moto.core.models import DEFAULT_ACCOUNT_ID

    deleted = 0
    for backend in get_backend("dynamodb")[DEFAULT_ACCOUNT_ID].values():
        with alone_in_dynamodb:
            for table in backend.tables.values():
                if isinstance(table.items, Partitions):
                    deleted += table.items.expire(EXPIRY, now_unix_seconds)
    return deleted


def _mend_dead_letters() -> None:
    from moto.core.responses import ActionResult
    from moto.sqs.exceptions import QueueDoesNotExist
    from moto.sqs.responses import SQSResponse

    def start_message_move_task(response: SQSResponse) -> ActionResult:
        """Move all visible messages at once. SQS does so in the background, each to its own source queue."""
        backend, source = response.sqs_backend, _queue_of(response, "SourceArn")
        sources = backend.list_dead_letter_source_queues(source.name)
        destination = _queue_of(response, "DestinationArn") or next(iter(sources), None)
        if destination is None or not sources:
            raise QueueDoesNotExist()
        waiting = [message for message in source._messages if message.visible]
        for message in waiting:
            backend.send_message(
                destination.name,
                message.body,
                message_attributes=message.message_attributes,
                system_attributes=message.system_attributes,
            )
            source._messages.remove(message)
        task = {
            "Status": "COMPLETED",
            "SourceArn": source.queue_arn,
            "DestinationArn": destination.queue_arn,
            "ApproximateNumberOfMessagesMoved": len(waiting),
            "ApproximateNumberOfMessagesToMove": len(waiting),
            "StartedTimestamp": int(time.time() * 1_000),
        }
        _moves.setdefault(source, []).insert(0, task)
        return ActionResult({"TaskHandle": str(len(_moves[source]))})

    def list_message_move_tasks(response: SQSResponse) -> ActionResult:
        moves = _moves.get(_queue_of(response, "SourceArn"), [])
        return ActionResult({"Results": moves[: response._get_param("MaxResults", 1)]})

    SQSResponse.start_message_move_task = start_message_move_task  # type: ignore[attr-defined]
    SQSResponse.list_message_move_tasks = list_message_move_tasks  # type: ignore[attr-defined]


_moves: WeakKeyDictionary[Any, list[dict[str, Any]]] = WeakKeyDictionary()
"""Dead-letter queue → its move tasks, latest first."""


def _queue_of(response: Any, name: str) -> Any:
    """Return the queue whose ARN is in a parameter; None without the parameter. Raises QueueDoesNotExist."""
    arn: str | None = response._get_param(name)
    return response.sqs_backend.get_queue(arn.rpartition(":")[2]) if arn else None


class _Touched(NamedTuple):
    """An item as it was before the transaction."""

    table: Any
    partition_key: Any
    sort_key: Any
    """None if the table has none."""
    item: Any

    def restore(self) -> None:
        items, key = self.table.items, self.partition_key
        if self.sort_key is not None:
            items, key = items[key], self.sort_key
        if self.item is None:
            items.pop(key, None)
        else:
            items[key] = self.item


def _touched(backend: Any, transact_items: list[dict[str, Any]]) -> Iterator[_Touched]:
    from moto.dynamodb.models.dynamo_type import DynamoType

    for action in transact_items:
        for operation in action.values():
            table = backend.tables.get(operation.get("TableName"))
            attributes = operation.get("Item") or operation.get("Key") or {}
            names = [] if table is None else [table.hash_key_attr, table.range_key_attr]
            if any(name not in attributes for name in names if name) or not names:
                continue  # moto refuses the request
            partition_key = DynamoType(attributes[table.hash_key_attr])
            sort_key = DynamoType(attributes[names[1]]) if names[1] else None
            # An Update changes the item in place.
            item = copy.deepcopy(table.get_item(partition_key, sort_key))
            yield _Touched(table, partition_key, sort_key, item)
