"""Services: every name that has spans in the range, folded or not, in whichever shard."""

from __future__ import annotations

import pytest

from chalicelib import config
from chalicelib.query.services import HoursOfServices, hours_of_services
from chalicelib.store import targets
from tests.memory_store import MemoryStore
from tests.payloads import CLIENT, NOON_NANO, NOON_UNIX_SECONDS, Made
from tests.query.committed import DAY, HOUR, SECOND, fold, put, seconds_range

NOW = NOON_UNIX_SECONDS
NOON_HOUR = NOW // HOUR


def services(
    store: MemoryStore, start: int = NOW - 14 * DAY, end: int = NOW + 1, now: int = NOW
) -> HoursOfServices:
    return hours_of_services(store, seconds_range(start, end), now)


@pytest.mark.parametrize("shards", [1, 3])
def test_folded_and_unfolded_services_are_there(monkeypatch, shards):
    """Services of catalogues and of commits that are not folded are there; what only is called is none."""
    monkeypatch.setattr(config, "SHARDS_READ", shards)
    store = MemoryStore()
    caller = Made(1, 1, "shop", kind=CLIENT, attributes=(("server.address", "db"),))
    put(store, [caller, Made(1, 2, "cart", start=NOON_NANO - 2 * HOUR * SECOND)], shards=shards)
    fold(store, shards=shards)
    put(store, [Made(1, 3, "stock"), Made(1, 4, "shop", start=NOON_NANO - HOUR * SECOND)])
    assert services(store) == {
        "shop": {NOON_HOUR, NOON_HOUR - 1},
        "cart": {NOON_HOUR - 2},
        "stock": {NOON_HOUR},
    }


def test_a_range_is_in_whole_hours():
    """A service is of a range if it has spans in one of the range's hours."""
    store = MemoryStore()
    put(store, [Made(1, 1, "shop"), Made(1, 2, "cart", start=NOON_NANO - HOUR * SECOND)])
    fold(store)
    assert list(services(store, NOW + 1, NOW + 2)) == ["shop"]
    assert list(services(store, NOW - 1, NOW)) == ["cart"]
    assert list(services(store, NOW + HOUR, NOW + DAY)) == []


def test_what_has_expired_is_not_listed():
    """A catalogue past its expiry counts as gone, deleted or not."""
    store = MemoryStore()
    put(store, [Made(1, 1)])
    fold(store)
    late = NOW + config.DAY_RETENTION_SECONDS
    assert services(store, now=late - 1)
    assert services(store, now=late) == {}


def test_a_catalogue_of_several_items(monkeypatch):
    """A catalogue that is cut into parts, for it is too large for one item, is read whole."""
    monkeypatch.setattr(targets, "_PART_BYTES_MAX", 50)
    store = MemoryStore()
    put(store, [Made(1, number, f"service-{number:03d}") for number in range(1, 41)])
    put(store, [Made(1, 99, "tomorrow", start=NOON_NANO + DAY * SECOND)])
    fold(store)
    expected = sorted([f"service-{number:03d}" for number in range(1, 41)] + ["tomorrow"])
    assert sorted(services(store, NOW - DAY, NOW + 2 * DAY)) == expected
