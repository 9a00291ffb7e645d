"""The sampling strategies as one item of the table `statistics`, remembered for a minute."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from chalicelib import config
from chalicelib.errors import InvalidPayload, StoreError
from chalicelib.model.sampling import EVERYTHING, checked
from chalicelib.store.items import VALUE, item_key, value_of
from chalicelib.store.layout import SAMPLING_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store.items import Item, ItemStore

KEPT_SECONDS = 60
"""The strategies are kept as long as clients wait from one question to the next."""
_DOCUMENT_BYTES_MAX = 350_000
"""Keeps the item below DynamoDB's 400 KB."""


def strategies_in(store: ItemStore) -> dict[str, Any]:
    """The document that was stored last; everything is sampled where none was. Raises StoreError."""
    for item in store.query(config.STATISTICS_TABLE, SAMPLING_KEY.partition):
        found: dict[str, Any] = orjson.loads(value_of(item))
        return found
    return checked(EVERYTHING)


def put_strategies(store: ItemStore, document: object) -> dict[str, Any]:
    """Store a document, as `checked` returns it. Raises InvalidPayload, StoreThrottled or StoreError."""
    found = checked(document)
    value = orjson.dumps(found)
    if len(value) > _DOCUMENT_BYTES_MAX:
        raise InvalidPayload(f"the document may have {_DOCUMENT_BYTES_MAX} bytes")
    item: Item = {**item_key(*SAMPLING_KEY), VALUE: value}
    store.put_batch(config.STATISTICS_TABLE, [item])
    return found


class Strategies:
    """Asked by every client once a minute: the table is asked as often. While it is away, what was known holds."""

    def __init__(self, store: ItemStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, Any] | None = None
        self._read_at = 0.0

    def document(self) -> dict[str, Any]:
        """Raises StoreError if nothing is known yet, and the table cannot be read."""
        if self._known is None or self._clock() - self._read_at >= KEPT_SECONDS:
            try:
                self._known = strategies_in(self._store)
            except StoreError:
                if self._known is None:
                    raise
            self._read_at = self._clock()
        return self._known

    def replace(self, document: object) -> dict[str, Any]:
        """Store another document. Raises as `put_strategies` does."""
        self._known = put_strategies(self._store, document)
        self._read_at = self._clock()
        return self._known
