"""The storage boundary: items in tables, as Clew uses them.

An item is a dict of plain values under attribute names. `p` and `s` are its partition and sort key; within a partition
items sort by `s`, bytes and text alike by their unsigned bytes. Every read is strongly consistent. An item whose expiry
`x` has passed may be there or not: readers that care look. tests/contract holds each sentence here, for every backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from chalicelib.errors import ClewError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Plain = str | bytes | int
Item = dict[str, Plain]


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
        """Those of the items that are there, in no order, each once. Not a snapshot."""

    def transact(self, actions: Sequence[Put]) -> None:
        """Do all of the actions, atomically and durably, or raise. No actions: nothing is done.

        Raises LimitExceeded if two are on one item, ConditionFailed if conditions are false: nothing
        was done. After StoreThrottled or StoreError it may have
        been done all the same: a lost answer looks like a failure.
        """


def value_of(item: Item) -> bytes:
    """The bytes under `v`, which the item must have."""
    value = item["v"]
    assert isinstance(value, bytes)
    return value
