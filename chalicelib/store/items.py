"""The storage boundary: items in tables, as Clew uses them.

An item is a dict of plain values under attribute names. `p` and `s` are its partition and sort key; within a partition
items sort by `s`, bytes and text alike by their unsigned bytes. Every read is strongly consistent. An item whose expiry
`x` (DynamoDB's TTL attribute) has passed may be there or not: readers that care look. tests/contract holds each
sentence here, for every backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from chalicelib.errors import ClewError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Plain = str | bytes | int
Item = dict[str, Plain]

# Attribute names have one letter, because every item pays for their length.
PARTITION_KEY = "p"
SORT_KEY = "s"
VALUE = "v"
VERSION = "n"
"""A number, 1 and up, that each write raises: writes are conditioned on it (optimistic locking)."""
EXPIRY = "x"
"""Unix seconds."""
PART_COUNT = "k"
"""The number of items that a value is cut into, where it is more than one."""

IS_ABSENT = f"attribute_not_exists({PARTITION_KEY})"
"""The condition that no item with the key is there. One past its expiry that DynamoDB has not yet deleted is."""
HAS_VERSION = f"{VERSION} = :{VERSION}"
"""The condition that the item there has a version."""


class ConditionFailed(ClewError):
    """A transaction was refused for its conditions, and nothing of it was done.

    `indices` are the places of the actions whose own condition was false; other actions may have had other troubles.
    """

    def __init__(self, indices: Sequence[int]) -> None:
        super().__init__(f"conditions of actions {list(indices)} are false")
        self.indices = frozenset(indices)


class Put(NamedTuple):
    """An action of a transaction: write `item`, if the item there now satisfies `condition`."""

    table: str
    item: Item
    condition: str | None = None
    values: dict[str, Plain] | None = None
    """What the condition's `:name` placeholders stand for."""


class ItemStore(Protocol):
    """Every method raises StoreThrottled (the same call may succeed later), StoreError (it will not, as things are) or
    LimitExceeded (DynamoDB's limits: an item has 400 KB, its names counted; its keys 1 to 2,048 bytes and 1 to 1,024;
    its numbers 38 significant digits; a transaction 100 actions and 4 MB; nothing was done)."""

    def put_batch(self, table: str, items: Sequence[Item]) -> None:
        """Return when every item is durably written, over what was there; of items with one key, the last.

        Not atomic: after an error none, some or all are written, so write all again. No items: nothing is done.
        """

    def delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        """Return when no item with one of these keys is there; none need have been. Not atomic."""

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
        """Items of a partition whose sort keys lie in [low, high], ascending unless `descending`.

        Read page by page as it is iterated: not a snapshot. A page is a megabyte; the first has at most
        `first_page_items`, for those who may need no more.
        """

    def get_batch(self, table: str, keys: Sequence[Item]) -> list[Item]:
        """The items among these that are there, in no order, each once. The answer is no snapshot."""

    def transact(self, actions: Sequence[Put]) -> None:
        """Do all of the actions, atomically and durably, or raise. No actions: nothing is done.

        Raises LimitExceeded if two are on one item, ConditionFailed if conditions are false: nothing
        was done. After StoreThrottled or StoreError it may have
        been done all the same: a lost answer looks like a failure.
        """


def item_key(partition: Plain, sort: Plain) -> Item:
    """The key of an item, as `get_batch` and `delete_batch` take it."""
    return {PARTITION_KEY: partition, SORT_KEY: sort}


def versioned_put(table: str, item: Item, old_version: int) -> Put:
    """The action that writes an item if the one there has `old_version`; of 0, if none is there."""
    if old_version:
        return Put(table, item, HAS_VERSION, {f":{VERSION}": old_version})
    return Put(table, item, IS_ABSENT)


def value_of(item: Item) -> bytes:
    """The item's value, which it must have."""
    value = item[VALUE]
    assert isinstance(value, bytes)
    return value


def version_of(item: Item) -> int:
    """The item's version, which it must have."""
    version = item[VERSION]
    assert isinstance(version, int)
    return version


def expiry_of(item: Item) -> int:
    """The Unix second from which the item does not count any more; it must have one."""
    expiry = item[EXPIRY]
    assert isinstance(expiry, int)
    return expiry
