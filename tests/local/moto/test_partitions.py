"""A packed item is the one that was put, whatever is done with its partition, and takes less than half a kilobyte."""

from __future__ import annotations

import copy
import gc
import hashlib
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models.dynamo_type import DynamoType

from chalicelib import config
from chalicelib.consume.commit import marker_item
from chalicelib.store.dynamodb import DynamoStore
from chalicelib.store.items import ConditionFailed, Put
from local.fake_aws import REGION, client
from local.moto.partitions import Packed, Partitions

if TYPE_CHECKING:
    from chalicelib.store.items import Item

pytestmark = pytest.mark.slow

TABLE = config.STATISTICS_TABLE
IF_NEW = "attribute_not_exists(p)"


@pytest.fixture
def store(aws):
    return DynamoStore(client("dynamodb"))


def item(name: str, sort: str, expiry: int = 2_000) -> Item:
    return {"p": name, "s": sort, "v": bytes(range(256)), "x": expiry}


def held(name: str) -> Any:
    """A partition as it is held, without asking for it; None if it is not."""
    backend: Any = get_backend
    table = backend("dynamodb")[DEFAULT_ACCOUNT_ID][REGION].tables[TABLE]
    return dict.get(table.items, DynamoType({"S": name}))


def test_round_trip(aws, store):
    """An item that is alone is packed at once and read as it was put, and packed again later."""
    store.put_batch(TABLE, [item("alone", "s")])
    assert isinstance(held("alone"), Packed)
    assert list(store.query(TABLE, "alone")) == [item("alone", "s")]
    assert isinstance(held("alone"), dict)
    aws.expire(1_000)
    assert isinstance(held("alone"), Packed)
    assert store.get_batch(TABLE, [{"p": "alone", "s": "s"}]) == [item("alone", "s")]


def test_others_join(store):
    """A packed item stays when others come to its partition, and when they go."""
    store.put_batch(TABLE, [item("joined", "a")])
    store.put_batch(TABLE, [item("joined", "b")])
    assert list(store.query(TABLE, "joined")) == [item("joined", "a"), item("joined", "b")]
    store.delete_batch(TABLE, [{"p": "joined", "s": "b"}])
    assert list(store.query(TABLE, "joined")) == [item("joined", "a")]


def test_conditions_see_packed_items_and_cancelled_writes_change_nothing(store):
    """A condition sees a packed item; a transaction that is cancelled leaves it, and none where none was."""
    store.put_batch(TABLE, [item("there", "s")])
    other: Item = {**item("there", "s"), "v": b"other"}
    with pytest.raises(ConditionFailed):
        store.transact([Put(TABLE, item("new", "s")), Put(TABLE, other, IF_NEW)])
    assert list(store.query(TABLE, "there")) == [item("there", "s")]
    assert list(store.query(TABLE, "new")) == []


def test_expired_items_go_packed_or_not(aws, store):
    """Packed or not, what has expired goes, with its partition; what has not, and what never does, stays."""
    store.put_batch(TABLE, [item("old", "s", 1_000), item("kept", "s", 3_000)])
    store.put_batch(TABLE, [item("mixed", "a", 1_000), item("mixed", "b", 3_000)])
    store.put_batch(TABLE, [{"p": "ever", "s": "s"}])
    aws.expire(2_000)
    assert held("old") is None
    for name in ("kept", "mixed", "ever"):
        assert isinstance(held(name), Packed)
    assert list(store.query(TABLE, "mixed")) == [item("mixed", "b", 3_000)]


def test_looked_for_in_vain(aws, store):
    """A look at what is not there leaves nothing behind."""
    assert store.get_batch(TABLE, [{"p": "nowhere", "s": "s"}]) == []
    aws.expire(1_000)
    assert held("nowhere") is None


def test_a_copy_holds_what_the_partitions_hold():
    """A copy, as of a backup, holds what the partitions hold."""
    partitions, key = Partitions(dict), DynamoType({"S": "packed"})
    partitions[key] = Packed(("S", "s", "p", "S", "packed", "s", "S", "s", "v", "B", b"v"))
    ((_, item),) = copy.deepcopy(partitions)[key].items()
    assert {name: value.value for name, value in item.attrs.items()} == {
        "p": "packed",
        "s": "s",
        "v": b"v",
    }


def test_size_of_a_marker(store):
    """A marker, of which there is one a message for 90 days, takes less than half a kilobyte."""

    def put_markers(numbers: range) -> None:
        digests = [hashlib.sha256(b"%d" % number).digest() for number in numbers]
        store.transact([Put(TABLE, marker_item(digest, 2**31), IF_NEW) for digest in digests])

    put_markers(range(80))
    gc.collect()
    tracemalloc.start()
    try:
        for start in range(80, 1_680, 80):
            put_markers(range(start, start + 80))
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] / 1_600 < 500
    finally:
        tracemalloc.stop()
