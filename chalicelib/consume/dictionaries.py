"""Learning dictionaries: the consumer learns one from the spans that pass through it, a tenth of a second, once a day.

    chunks' texts ──sampled──▶ samples ──trained──▶ dictionary, if it is better than the one before ──▶ table spans

A chunk is written with a learned dictionary only if that one is durably there, and expires no sooner than the chunk.
`store/dictionary.py` has the items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.model import zstd
from chalicelib.model.frame import seal
from chalicelib.store.chunk import Seal, built_in_seal, sealed_by
from chalicelib.store.dictionary import NEWEST, PARTITION, dictionary_key, dictionary_with_id, hold
from chalicelib.store.items import (
    EXPIRY,
    SORT_KEY,
    VALUE,
    expiry_of,
    item_key,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.store.items import Item, ItemStore

DICTIONARY_BYTES = 32_768
"""Larger ones gain nothing more on real instrumentation, and cost each cold start their reading."""
LEARNED_SECONDS = 86_400
"""A dictionary is learned anew after so long: services and their attributes change."""
USED_SECONDS = 14 * 86_400
"""How long chunks are written with a dictionary after which none was learned."""
LOOK_SECONDS = 600
"""Between two looks for a newer dictionary, which another consumer may have learned."""
SAMPLES_MIN = 400
SAMPLES_MAX = 2_000
SAMPLE_BYTES_MAX = 16_384
"""A long trace's beginning tells as much as all of it."""
_GAIN_MIN = 0.05
"""A new dictionary must save this part of what the one before takes, on chunks that it was not learned from."""
_LEVEL = 3
"""Level 5 would save 3 % more with a dictionary of its own kind, and take twice the time."""


class Newest(NamedTuple):
    """The dictionary to write with."""

    compressor: zstd.ZstdCompressor
    expiry_unix_seconds: int


class Dictionaries:
    """What a consumer compresses chunks with; kept while the function is warm."""

    def __init__(self, store: ItemStore) -> None:
        self._store = store
        self._newest: Newest | None = None
        self._looked_unix_seconds: int | None = None
        self._samples: list[bytes] = []

    def seal_for(self, expiry_unix_seconds: int, now_unix_seconds: int) -> Seal:
        """How to seal chunks that are kept until `expiry_unix_seconds`. Raises StoreThrottled or StoreError."""
        self._look(now_unix_seconds)
        newest = self._newest
        seal_chunk: Seal = built_in_seal
        if newest and newest.expiry_unix_seconds >= expiry_unix_seconds:
            seal_chunk = sealed_by(newest.compressor)
        return self._sampling(seal_chunk) if self._is_due(now_unix_seconds) else seal_chunk

    def learn(self, now_unix_seconds: int) -> bool:
        """Learn a dictionary, if that is due and enough has passed through; return whether it was kept.

        Raises StoreThrottled or StoreError, after which it may or may not be kept: both are well.
        """
        if len(self._samples) < SAMPLES_MIN or not self._is_due(now_unix_seconds):
            return False
        samples, self._samples = self._samples, []
        learned = zstd.train_dict(samples[::2], DICTIONARY_BYTES)
        before = self._newest.compressor if self._newest else None
        is_known = dictionary_with_id(self._store, learned.dict_id) is not None
        if is_known or not _is_better(learned, before, samples[1::2]):
            return False
        expiry = now_unix_seconds + config.RETENTION_SECONDS + USED_SECONDS
        self._keep(learned, expiry)
        self._newest = Newest(_compressor(learned), expiry)
        return True

    def _keep(self, learned: zstd.ZstdDict, expiry_unix_seconds: int) -> None:
        # In this order, and each durable before the next: nobody is to write with what is not there.
        key = dictionary_key(learned.dict_id)
        item: Item = {**key, VALUE: seal(learned.dict_content), EXPIRY: expiry_unix_seconds}
        self._store.put_batch(config.SPANS_TABLE, [item])
        hold(learned)
        newest: Item = {
            **item_key(PARTITION, NEWEST),
            VALUE: key[SORT_KEY],
            EXPIRY: expiry_unix_seconds,
        }
        self._store.put_batch(config.SPANS_TABLE, [newest])

    def _look(self, now_unix_seconds: int) -> None:
        looked = self._looked_unix_seconds
        if looked is not None and now_unix_seconds - looked < LOOK_SECONDS:
            return
        for item in self._store.get_batch(config.SPANS_TABLE, [item_key(PARTITION, NEWEST)]):
            number = int.from_bytes(value_of(item), "big")
            if dictionary := dictionary_with_id(self._store, number):
                self._newest = Newest(_compressor(dictionary), expiry_of(item))
        self._looked_unix_seconds = now_unix_seconds

    def _is_due(self, now_unix_seconds: int) -> bool:
        if self._newest is None:
            return True
        kept_seconds = self._newest.expiry_unix_seconds - now_unix_seconds
        return kept_seconds <= config.RETENTION_SECONDS + USED_SECONDS - LEARNED_SECONDS

    def _sampling(self, seal_chunk: Seal) -> Seal:
        def seal_and_remember(content: bytes) -> bytes:
            if len(self._samples) < SAMPLES_MAX:
                self._samples.append(content[:SAMPLE_BYTES_MAX])
            return seal_chunk(content)

        return seal_and_remember


def _compressor(dictionary: zstd.ZstdDict) -> zstd.ZstdCompressor:
    return zstd.ZstdCompressor(level=_LEVEL, zstd_dict=dictionary.as_digested_dict)


def _is_better(
    learned: zstd.ZstdDict, before: zstd.ZstdCompressor | None, contents: Sequence[bytes]
) -> bool:
    seal_before = sealed_by(before) if before else built_in_seal
    seal_after = sealed_by(_compressor(learned))
    old = sum(len(seal_before(content)) for content in contents)
    new = sum(len(seal_after(content)) for content in contents)
    return new <= (1 - _GAIN_MIN) * old
