"""The stored strategies are asked for once a minute, and what was known holds while the table is away."""

from __future__ import annotations

import pytest

from chalicelib.errors import InvalidPayload, StoreError, StoreThrottled
from chalicelib.model.sampling import EVERYTHING, checked
from chalicelib.store.sampling import KEPT_SECONDS, Strategies
from tests.memory_store import MemoryStore

HALF = checked({"default_strategy": {"param": 0.5}})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_stored_strategies_reach_other_functions_within_a_minute():
    """Another function knows them no later than it forgets what it knew; who stored them, at once."""
    store, clock = MemoryStore(), Clock()
    one, other = Strategies(store, clock), Strategies(store, clock)
    assert other.document() == checked(EVERYTHING)
    one.replace(HALF)
    assert one.document() == HALF
    clock.now = KEPT_SECONDS
    assert other.document() == HALF


def test_a_store_that_is_away(monkeypatch):
    """What was known holds; who knows nothing yet says that it cannot tell."""
    store, clock = MemoryStore(), Clock()
    knowing = Strategies(store, clock)
    knowing.replace(HALF)

    def away(*_, **__):
        raise StoreThrottled("busy")

    monkeypatch.setattr(store, "query", away)
    clock.now = KEPT_SECONDS
    assert knowing.document() == HALF
    with pytest.raises(StoreError):
        Strategies(store, clock).document()


def test_a_wrong_document_changes_nothing():
    """It is refused before anything is stored."""
    store = MemoryStore()
    strategies = Strategies(store)
    strategies.replace(HALF)
    with pytest.raises(InvalidPayload):
        strategies.replace({"default_strategy": {"param": 7}})
    assert Strategies(store).document() == HALF
