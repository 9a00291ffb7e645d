"""Units as AWS counts them, and what they cost."""

from __future__ import annotations

import pytest

from capacity.counting import CountingStore
from capacity.prices import PRICES, dollars, stored, total_dollars, xray_dollars
from capacity.units import (
    duration_seconds,
    gigabyte_seconds,
    read_units,
    sqs_requests,
    write_units,
)
from chalicelib import config
from chalicelib.store.items import Item, Put
from chalicelib.store.limits import item_bytes


@pytest.mark.parametrize(
    ("size", "units"), [(0, 1), (1, 1), (1_024, 1), (1_025, 2), (409_600, 400)]
)
def test_write_units(size, units):
    """A kilobyte that is begun is a write unit; in a transaction it is two."""
    assert write_units(size) == units
    assert write_units(size, in_transaction=True) == 2 * units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (4_096, 1), (4_097, 2), (1_048_576, 256)])
def test_read_units(size, units):
    """Four kilobytes that are begun are a read unit, and nothing found is one too."""
    assert read_units(size) == units


@pytest.mark.parametrize(("size", "requests"), [(1, 1), (65_536, 1), (65_537, 2), (1_048_576, 16)])
def test_sqs_requests(size, requests):
    """SQS bills each 64 KB that are begun as a request."""
    assert sqs_requests(size) == requests


def test_duration_and_gigabyte_seconds():
    """CPU takes longer with less memory, waiting does not; Lambda bills whole milliseconds."""
    assert duration_seconds(0.1, 0.02, 1_769) == pytest.approx(0.12)
    assert duration_seconds(0.1, 0.02, 3_538) == pytest.approx(0.12)
    assert duration_seconds(0.1, 0.02, 1_769 // 2) == pytest.approx(0.22, rel=0.01)
    assert gigabyte_seconds(0.0101, 1_024) == pytest.approx(0.011)


def test_prices_are_those_of_the_list():
    """A million of a unit costs what the list says, and X-Ray counts traces."""
    assert dollars({"write_units": 1e6, "api_requests": 2e6}) == {
        "write_units": 0.625,
        "api_requests": 7.0,
    }
    assert total_dollars(stored(2**30, 365.25 / 12)) == pytest.approx(0.45)
    assert xray_dollars(1e6, 16) == pytest.approx(0.3125)
    assert all(price.dollars > 0 and price.source for price in PRICES.values())


def test_counting_store_counts_as_dynamodb():
    """A put counts by the larger of old and new, a transaction twice, a query by its page, a missing item once."""
    store = CountingStore()
    table = config.SPANS_TABLE
    key: Item = {"p": b"t" * 16, "s": b"s"}
    large: Item = {**key, "v": bytes(3_000)}
    store.put_batch(table, [large])
    store.put_batch(table, [dict(key)])
    assert store.write_units["chunks"] == 3 + 3
    store.transact([Put(table, large)])
    assert store.write_units["chunks"] == 6 + 2 * 3
    store.put_batch(table, [{**key, "s": b"t", "v": bytes(2_000)}])
    assert [item["s"] for item in store.query(table, b"t" * 16)] == [b"s", b"t"]
    assert store.read_units["chunks"] == 2
    assert store.get_batch(table, [{"p": b"u" * 16, "s": b"s"}]) == []
    assert store.read_units["chunks"] == 3
    assert store.calls == {
        "BatchWriteItem": 3,
        "TransactWriteItems": 1,
        "Query": 1,
        "BatchGetItem": 1,
    }
    assert store.stored_bytes()["chunks"] == sum(
        item_bytes(item) + 100 for item in store.query(table, b"t" * 16)
    )
