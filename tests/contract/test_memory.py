"""The contract of an ItemStore, kept by the dict that other tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.item_store import Backend, ItemStoreContract
from tests.memory_store import MemoryStore

if TYPE_CHECKING:
    from chalicelib.store.items import Item, Plain


class PastMemory:
    def __init__(self, store: MemoryStore) -> None:
        self._items = store.items

    def write(self, table: str, item: Item) -> None:
        self._items[table, item["p"], item["s"]] = dict(item)

    def read(self, table: str, partition: Plain, sort: Plain) -> Item | None:
        return self._items.get((table, partition, sort))


class TestMemoryStore(ItemStoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        store = MemoryStore()
        return Backend(store, PastMemory(store))
