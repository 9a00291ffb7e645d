"""A store in memory that counts what DynamoDB would bill for each call."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from capacity.units import ITEM_OVERHEAD_BYTES, read_units, write_units
from chalicelib import config
from chalicelib.store.items import ConditionFailed
from chalicelib.store.layout import FOLD_STATE_KEY
from chalicelib.store.limits import BATCH_GET_KEYS_MAX, BATCH_WRITE_ITEMS_MAX, item_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.store.items import Item, Plain, Put

_PAGE_BYTES = 1_048_576
_KINDS = {"m": "markers", "f": "segments", "h": "halves", "i": "filters", "c": "catalogues"}
_LEVELS = {"m": "minute targets", "h": "hour targets", "d": "day targets"}


def kind_of(table: str, key: Item) -> str:
    """Return the kind of an item by its key; docs/item-layout.md describes the kinds."""
    if table == config.SPANS_TABLE:
        return "chunks" if len(key["p"]) == 16 else "dictionaries"  # type: ignore[arg-type]
    if table == config.INDEX_TABLE:
        return "blocks"
    if key["s"] == FOLD_STATE_KEY:
        return "fold-states"
    letter = str(key["p"])[0]
    return _KINDS.get(letter) or _LEVELS[str(key["s"])[0]]


class CountingStore:
    """An ItemStore in memory that counts every call and every item as DynamoDB would bill it, by kind."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """Requests that DynamoDB would get, by operation."""
        self.write_units: Counter[str] = Counter()
        self.read_units: Counter[str] = Counter()
        self.put_bytes: Counter[str] = Counter()
        self._items: dict[tuple[str, Plain], dict[Plain, Item]] = defaultdict(dict)
        self._sorts: dict[tuple[str, Plain], list[Any]] = defaultdict(list)

    def stored_bytes(self) -> dict[str, int]:
        """Return the stored bytes by kind, with the overhead that DynamoDB bills for each item."""
        found: Counter[str] = Counter()
        for table, item in self.items():
            found[kind_of(table, item)] += item_bytes(item) + ITEM_OVERHEAD_BYTES
        return found

    def items(self) -> Iterator[tuple[str, Item]]:
        """Yield (table, item) for every stored item."""
        for (table, _), of_partition in self._items.items():
            for item in of_partition.values():
                yield table, item

    def forget_counts(self) -> None:
        for counter in (self.calls, self.write_units, self.read_units, self.put_bytes):
            counter.clear()

    def put_batch(self, table: str, items: Sequence[Item]) -> None:
        self.calls["BatchWriteItem"] += -(-len(items) // BATCH_WRITE_ITEMS_MAX)
        for item in items:
            self._put(table, item, in_transaction=False)

    def delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        self.calls["BatchWriteItem"] += -(-len(keys) // BATCH_WRITE_ITEMS_MAX)
        for key in keys:
            self._delete(table, key)

    def transact(self, actions: Sequence[Put]) -> None:
        self.calls["TransactWriteItems"] += 1
        failed = [i for i, action in enumerate(actions) if not self._holds(action)]
        if failed:
            raise ConditionFailed(failed)
        for action in actions:
            self._put(action.table, action.item, in_transaction=True)

    def get_batch(self, table: str, keys: Sequence[Item]) -> list[Item]:
        self.calls["BatchGetItem"] += -(-len(keys) // BATCH_GET_KEYS_MAX)
        found = []
        for key in keys:
            item = self._items[table, key["p"]].get(key["s"])
            self.read_units[kind_of(table, key)] += read_units(item_bytes(item) if item else 0)
            if item:
                found.append(dict(item))
        return found

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
        address = (table, partition)
        sorts = self._sorts[address]
        begin = 0 if low is None else bisect_left(sorts, low)
        end = len(sorts) if high is None else bisect_right(sorts, high)
        wanted = sorts[begin:end]
        ordered = wanted[::-1] if descending else wanted
        for page in self._pages(address, ordered, first_page_items):
            self.calls["Query"] += 1
            kind = kind_of(table, page[-1] if page else {"p": partition, "s": FOLD_STATE_KEY})
            self.read_units[kind] += read_units(sum(map(item_bytes, page)))
            yield from map(dict, page)

    def _pages(
        self, address: tuple[str, Plain], sorts: list[Any], first_page_items: int | None
    ) -> Iterator[list[Item]]:
        """Yield pages of a megabyte, lazily; one empty page if nothing is found."""
        page: list[Item] = []
        page_bytes = 0
        items_max = first_page_items
        for sort in sorts:
            page.append(self._items[address][sort])
            page_bytes += item_bytes(page[-1])
            if page_bytes > _PAGE_BYTES or len(page) == items_max:
                yield page
                page, page_bytes, items_max = [], 0, None
        # If the limit is reached at the last item, DynamoDB still says that there is another page.
        if page or len(sorts) in (0, first_page_items):
            yield page

    def _put(self, table: str, item: Item, *, in_transaction: bool) -> None:
        address, sort = (table, item["p"]), item["s"]
        before = self._items[address].get(sort)
        size, kind = item_bytes(item), kind_of(table, item)
        larger = max(size, item_bytes(before) if before else 0)
        self.write_units[kind] += write_units(larger, in_transaction=in_transaction)
        self.put_bytes[kind] += size
        if before is None:
            insort(self._sorts[address], sort)
        self._items[address][sort] = dict(item)

    def _delete(self, table: str, key: Item) -> None:
        address, sort = (table, key["p"]), key["s"]
        item = self._items[address].pop(sort, None)
        size = item_bytes(item) if item else 0
        self.write_units[kind_of(table, key)] += write_units(size)
        if item:
            del self._sorts[address][bisect_left(self._sorts[address], sort)]

    def _holds(self, action: Put) -> bool:
        if action.condition is None:
            return True
        there = self._items[action.table, action.item["p"]].get(action.item["s"])
        if action.condition == "attribute_not_exists(p)":
            return there is None
        assert action.values is not None
        return there is not None and there.get("n") == action.values[":n"]
