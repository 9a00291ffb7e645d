"""Spans put into a memory store as the consumer puts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.consume.commit import PendingMessage, commit
from tests.commits import pending_message
from tests.memory_store import MemoryStore
from tests.payloads import NOON_NANO, Made, payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def counted(spans: Sequence[Made]) -> PendingMessage:
    content = payload(spans)
    return pending_message(content)


def stored(batches: Iterable[Sequence[Made]], shards: int = 1) -> MemoryStore:
    """A store in which each batch came as a message of its own, in a group of its own."""
    store = MemoryStore()
    for batch in batches:
        commit(store, [counted(batch)], NOON_NANO, shards)
    return store
