"""Four faults of moto 5.2 that would cost a laptop its spans or its time, mended in place.

1. DynamoDB's requests run side by side, so that one sees another's transaction half done.
2. TransactWriteItems copies the whole table, once for each action: a commit costs actions x items of the table.
3. If it is cancelled, those copies replace the tables, and with them what other requests wrote meanwhile.
4. SendMessage counts all messages of the queue, several times, for an attribute that only a FIFO queue has.

A test states each of them: an upgrade of moto that mends one lets its lines go.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_dynamodb = threading.RLock()
"""Held for a whole request: requests are short, and Python runs one at a time anyway."""
_mended = False


def apply() -> None:
    """Mend moto, once in a process; it stays as it is for whoever uses moto there."""
    global _mended
    if not _mended:
        _mended = True
        _mend_tables()
        _mend_queues()


def _mend_tables() -> None:
    from moto.dynamodb.models import DynamoDBBackend
    from moto.dynamodb.models.table import Table
    from moto.dynamodb.responses import DynamoHandler

    call_action = DynamoHandler.call_action
    transact_write_items = DynamoDBBackend.transact_write_items
    in_transaction = threading.local()

    def call_alone(handler: DynamoHandler) -> Any:
        with _dynamodb:
            return call_action(handler)

    def copy_of(table: Table, memo: dict[int, Any]) -> Table:
        # During a transaction the table itself passes for its copy: putting it "back" then changes nothing.
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


def _mend_queues() -> None:
    from moto.sqs.models import Message, Queue

    add_message = Queue.add_message

    def add_uncounted(queue: Queue, message: Message) -> None:
        if queue.fifo_queue or queue.lambda_event_source_mappings:
            add_message(queue, message)
            return
        with queue._messages_lock:
            queue._messages.append(message)
            queue._messages_lock.notify_all()

    Queue.add_message = add_uncounted  # type: ignore[assignment, method-assign]


class _Touched(NamedTuple):
    """An item as it was before the transaction."""

    items: dict[Any, Any]
    """The part of the table's dictionaries that holds it: by sort key, or by partition key where there is none."""
    key: Any
    item: Any

    def restore(self) -> None:
        if self.item is None:
            self.items.pop(self.key, None)
        else:
            self.items[self.key] = self.item


def _touched(backend: Any, transact_items: list[dict[str, Any]]) -> Iterator[_Touched]:
    from moto.dynamodb.models.dynamo_type import DynamoType

    for action in transact_items:
        for operation in action.values():
            table = backend.tables.get(operation.get("TableName"))
            attributes = operation.get("Item") or operation.get("Key") or {}
            names = [] if table is None else [table.hash_key_attr, table.range_key_attr]
            if any(name not in attributes for name in names if name) or not names:
                continue  # moto refuses it
            items, key = table.items, DynamoType(attributes[table.hash_key_attr])
            if table.range_key_attr is not None:
                items, key = items[key], DynamoType(attributes[table.range_key_attr])
            # An Update changes the item in place.
            yield _Touched(items, key, copy.deepcopy(items.get(key)))
