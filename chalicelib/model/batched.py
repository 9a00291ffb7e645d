"""Items put together in batches that keep a bound of size."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


def batched_by_size(
    items: Iterable[T], size_of: Callable[[T], int], size_max: int, count_max: int = sys.maxsize
) -> Iterator[list[T]]:
    """Batches of the items, in order, each of at most `size_max` in all and `count_max` items.

    An item that is too large alone is a batch of its own.
    """
    batch: list[T] = []
    batch_size = 0
    for item in items:
        size = size_of(item)
        if batch and (len(batch) == count_max or batch_size + size > size_max):
            yield batch
            batch, batch_size = [], 0
        batch.append(item)
        batch_size += size
    if batch:
        yield batch
