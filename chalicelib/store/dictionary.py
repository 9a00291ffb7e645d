"""Compression dictionaries that a Clew learns from its own spans: its chunks take half the bytes of the built-in one's.

They are items of the table `spans`, beside the chunks that cannot be read without them:

    p = "dictionary"   s = id, 4 bytes big-endian   v = the dictionary, sealed
                       s = "newest"                 v = the id of the one to write with

`consume/dictionaries.py` learns them, and writes with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model import zstd
from chalicelib.model.frame import unseal
from chalicelib.store.chunk import built_in
from chalicelib.store.items import item_key, value_of

if TYPE_CHECKING:
    from chalicelib.store.items import Item, ItemStore

PARTITION = b"dictionary"
"""No trace id: those have 16 bytes."""
NEWEST = b"newest"
_HELD_MAX = 100
_held: dict[int, zstd.ZstdDict] = {}
"""Learned dictionaries by id, once read: an id's content never changes."""


class DictionariesIn(dict[int, zstd.ZstdDict]):
    """The dictionaries that chunks of a store may name, by id: the built-in ones, and what is asked for."""

    def __init__(self, store: ItemStore) -> None:
        super().__init__(built_in())
        self._store = store

    def __missing__(self, number: int) -> zstd.ZstdDict:
        found = dictionary_with_id(self._store, number)
        if found is None:
            raise KeyError(number)
        return found


def dictionary_with_id(store: ItemStore, number: int) -> zstd.ZstdDict | None:
    """A learned dictionary, or None if there is none of this id. Raises StoreThrottled or StoreError."""
    if number in _held:
        return _held[number]
    for item in store.get_batch(config.SPANS_TABLE, [dictionary_key(number)]):
        found = zstd.ZstdDict(unseal(value_of(item)))
        hold(found)
        return found
    return None


def hold(dictionary: zstd.ZstdDict) -> None:
    if len(_held) >= _HELD_MAX:
        _held.clear()
    _held[dictionary.dict_id] = dictionary


def dictionary_key(number: int) -> Item:
    return item_key(PARTITION, number.to_bytes(4, "big"))
