"""The store as one question sees it: whatever is read through it is spent from the question's budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.budget import Budget
from chalicelib.store.items import VALUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.store.items import Item, ItemStore, Plain, Put


class MeteredStore:
    """An ItemStore that reads from another, within a budget: reading raises TooMuchAsked and OutOfTime, too."""

    def __init__(self, store: ItemStore, budget: Budget) -> None:
        self._store = store
        self.budget = budget

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
        budget = self.budget
        budget.check()
        for item in self._store.query(
            table,
            partition,
            low,
            high,
            descending=descending,
            first_page_items=first_page_items,
        ):
            budget.read(1, _value_bytes(item))
            yield item

    def get_batch(self, table: str, keys: Sequence[Item]) -> list[Item]:
        self.budget.check()
        found = self._store.get_batch(table, keys)
        self.budget.read(len(found), sum(map(_value_bytes, found)))
        return found

    def put_batch(self, table: str, items: Sequence[Item]) -> None:
        self._store.put_batch(table, items)

    def delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        self._store.delete_batch(table, keys)

    def transact(self, actions: Sequence[Put]) -> None:
        self._store.transact(actions)


def budget_of(store: ItemStore) -> Budget:
    """The budget that goes with a store; one of the usual limits, and without an end, where it is not metered."""
    return store.budget if isinstance(store, MeteredStore) else Budget()


def _value_bytes(item: Item) -> int:
    """The bytes of an item's value, which is nearly all of the item."""
    value = item.get(VALUE)
    return len(value) if isinstance(value, bytes) else 0
