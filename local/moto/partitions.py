"""Packs the items of a moto table that are not in use: moto's objects take a kilobyte beside an item's bytes.

    Table.items ─┬─ partition of several items ──▶ {sort key: Item}
                 └─ partition of one ────────────▶ Packed, until it is read

Chunks and markers are alone in their partitions and rarely read, and they are nearly all that a laptop holds.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moto.dynamodb.models.dynamo_type import DynamoType, Item

_SCALARS = ("S", "B", "N")
"""DynamoDB types whose values are plain text or bytes, not objects of moto."""


class Packed(tuple[Any, ...]):
    """The only item of a partition: type and value of its sort key, then name, type and value of each attribute."""

    __slots__ = ()

    def attribute(self, name: str) -> Any:
        """Return the value of an attribute, in the form of DynamoDB's JSON; None if there is no such attribute."""
        names = self[2::3]
        return self[4 + 3 * names.index(name)] if name in names else None

    def unpacked(self, partition_key: DynamoType) -> dict[DynamoType, Item]:
        """Return the partition in moto's own form."""
        from moto.dynamodb.models.dynamo_type import DynamoType, Item

        attributes = zip(self[2::3], self[3::3], self[4::3], strict=True)
        sort_key = DynamoType({self[0]: self[1]})
        typed = {name: {type_: value} for name, type_, value in attributes}
        return {sort_key: Item(partition_key, sort_key, typed)}


def packed(partition: dict[DynamoType, Item]) -> Packed | None:
    """Return a partition of one item in packed form; None if it has several items, or a nested value."""
    if len(partition) != 1:
        return None
    ((sort_key, item),) = partition.items()
    if any(value.type not in _SCALARS for value in item.attrs.values()):
        return None
    attributes = ((name, value.type, value.value) for name, value in item.attrs.items())
    return Packed(chain((sort_key.type, sort_key.value), *attributes))


class Partitions(defaultdict[Any, Any]):
    """`Table.items`, by partition key. A partition that is read is unpacked, and stays so until it is packed again.

    Like moto's own it creates an empty partition for a missing key.
    """

    def __getitem__(self, key: DynamoType) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, Packed):
            found = self[key] = found.unpacked(key)
        return found

    def get(self, key: DynamoType, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - that would be this method itself

    def values(self) -> Any:
        return [self[key] for key in list(self)]

    def items(self) -> Any:
        return [(key, self[key]) for key in list(self)]

    def pack(self, key: DynamoType) -> None:
        partition = super().get(key)
        if isinstance(partition, dict) and (smaller := packed(partition)):
            self[key] = smaller

    def expire(self, attribute: str, now_unix_seconds: int) -> int:
        """Delete the items whose TTL attribute is in the past; return how many. Pack the partitions that were read."""
        deleted = 0
        for key, partition in list(super().items()):
            if isinstance(partition, Packed):
                if _is_over(partition.attribute(attribute), now_unix_seconds):
                    del self[key]
                    deleted += 1
                continue
            over = [
                sort_key
                for sort_key, item in partition.items()
                if attribute in item.attrs
                and _is_over(item.attrs[attribute].value, now_unix_seconds)
            ]
            for sort_key in over:
                del partition[sort_key]
            deleted += len(over)
            # Reading a missing key has left an empty partition, too.
            if partition:
                self.pack(key)
            else:
                del self[key]
        return deleted


def _is_over(expiry: str | None, now_unix_seconds: int) -> bool:
    return expiry is not None and int(expiry) < now_unix_seconds
