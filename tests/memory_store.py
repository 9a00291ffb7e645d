"""An ItemStore in a dict: what every promise of the boundary comes to, at the speed that property tests need.

It keeps DynamoDB's limits by the adapter's own checks, so that whatever breaks one fails on any store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store.items import ConditionFailed, Item, Plain, Put
from chalicelib.store.limits import check_item, check_key, check_transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Address = tuple[str, Plain, Plain]


class MemoryStore:
    def __init__(self) -> None:
        self.items: dict[Address, Item] = {}
        self.calls: list[str] = []

    def put_batch(self, table: str, items: Sequence[Item]) -> None:
        self.calls.append("put_batch")
        for item in items:
            check_item(item)
        for item in items:
            self.items[table, item["p"], item["s"]] = dict(item)

    def delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        self.calls.append("delete_batch")
        for key in keys:
            check_key(key)
        for key in keys:
            self.items.pop((table, key["p"], key["s"]), None)

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
        self.calls.append("query")
        found = [
            item
            for (of_table, of_partition, sort), item in self.items.items()
            if of_table == table
            and of_partition == partition
            and (low is None or _bytes(low) <= _bytes(sort))
            and (high is None or _bytes(sort) <= _bytes(high))
        ]
        found.sort(key=lambda item: _bytes(item["s"]), reverse=descending)
        yield from map(dict, found)

    def get_batch(self, table: str, keys: Sequence[Item]) -> list[Item]:
        self.calls.append("get_batch")
        for key in keys:
            check_key(key)
        addresses = {(table, key["p"], key["s"]) for key in keys}
        return [dict(self.items[address]) for address in addresses if address in self.items]

    def transact(self, actions: Sequence[Put]) -> None:
        self.calls.append("transact")
        check_transaction(actions)
        failed = [i for i, action in enumerate(actions) if not self._holds(action)]
        if failed:
            raise ConditionFailed(failed)
        for action in actions:
            self.items[action.table, action.item["p"], action.item["s"]] = dict(action.item)

    def _holds(self, action: Put) -> bool:
        there = self.items.get((action.table, action.item["p"], action.item["s"]))
        if action.condition is None:
            return True
        if action.condition == "attribute_not_exists(p)":
            return there is None
        assert action.condition == "n = :n"
        assert action.values is not None
        return there is not None and there.get("n") == action.values[":n"]


def _bytes(value: Plain) -> bytes:
    if isinstance(value, str):
        return value.encode()
    assert isinstance(value, bytes)
    return value
