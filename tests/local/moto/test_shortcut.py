"""The short way into moto leaves and answers what the usual way does; what it cannot do, the usual way refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from chalicelib import config, wiring
from chalicelib.errors import LimitExceeded
from chalicelib.queue.message import message_from_payload
from chalicelib.store.dynamodb import DynamoStore
from chalicelib.store.items import ConditionFailed, Put
from local.fake_aws import Moto, client

if TYPE_CHECKING:
    from chalicelib.store.items import Item

TABLE = config.STATISTICS_TABLE
ITEMS: list[Item] = [{"p": f"short {n}", "s": "s", "v": bytes(range(256)), "x": n} for n in (1, 2)]
KEYS: list[Item] = [{"p": item["p"], "s": item["s"]} for item in ITEMS]
IF_NEW = "attribute_not_exists(p)"


@pytest.fixture(scope="module", autouse=True)
def aws():
    moto = Moto(takes_shortcuts=True)
    moto.start("clew", {})
    yield
    moto.stop()


@pytest.fixture
def usual(monkeypatch):
    """The operations that went the usual way."""
    seen: list[str] = []
    process = BotocoreStubber.process_request

    def counting(stubber: Any, request: Any) -> Any:
        seen.append(request.headers["X-Amz-Target"].rpartition(b".")[2].decode())
        return process(stubber, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", counting)
    return seen


def found() -> list[Item]:
    """Past the functions' own client."""
    items = DynamoStore(client("dynamodb")).get_batch(TABLE, KEYS)
    return sorted(items, key=lambda item: str(item["p"]))


def test_batches_go_the_short_way_with_the_same_effect(usual):
    """Items are put and deleted as by the usual way, and nothing of it goes that way."""
    wiring.store().put_batch(TABLE, ITEMS)
    assert "BatchWriteItem" not in usual
    assert found() == ITEMS
    wiring.store().delete_batch(TABLE, KEYS)
    assert "BatchWriteItem" not in usual
    assert found() == []


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("first_page_items", [None, 1, 3])
@pytest.mark.parametrize(
    ("low", "high"), [(None, None), ("2", None), (None, "3"), ("2", "3"), ("2x", "2y"), ("9", "1")]
)
def test_queries_find_the_same_the_short_way(usual, low, high, first_page_items, descending):
    """A query finds what it finds by the usual way, in its order, page by page."""
    items: list[Item] = [{"p": "queried", "s": str(n), "v": bytes([n]), "x": n} for n in range(5)]
    store = wiring.store()
    store.put_batch(TABLE, items)
    del usual[:]
    asked: dict[str, Any] = {"descending": descending, "first_page_items": first_page_items}
    short = list(store.query(TABLE, "queried", low, high, **asked))
    assert not usual or (low or "") > (high or "~")
    assert short == list(
        DynamoStore(client("dynamodb")).query(TABLE, "queried", low, high, **asked)
    )


def test_a_page_of_the_short_way_ends_at_a_megabyte(usual):
    """A page of the short way ends at a megabyte, as by the usual way, and the next goes on."""
    items: list[Item] = [{"p": "paged", "s": str(n), "v": bytes(300_000)} for n in range(8)]
    wiring.store().put_batch(TABLE, items)
    del usual[:]
    assert list(wiring.store().query(TABLE, "paged")) == items
    assert not usual


def test_items_are_found_by_their_keys_the_short_way(usual):
    """Items are found by their keys, and those that are not there are not; none goes the usual way."""
    items: list[Item] = [{"p": "got", "s": str(n), "v": bytes([n]), "x": n} for n in range(3)]
    wiring.store().put_batch(TABLE, items)
    del usual[:]
    keys: list[Item] = [{"p": "got", "s": str(n)} for n in range(6)]
    assert sorted(wiring.store().get_batch(TABLE, keys), key=lambda item: str(item["s"])) == items
    assert not usual


def test_what_is_read_is_a_copy():
    """Who changes what was read changes nothing that is stored."""
    wiring.store().put_batch(TABLE, ITEMS)
    (item,) = wiring.store().query(TABLE, "short 1")
    item["x"] = 77
    assert found() == ITEMS
    wiring.store().delete_batch(TABLE, KEYS)


def test_transactions_are_done_or_refused_as_a_whole(usual):
    """A transaction is done at once; one whose condition fails says which, and has done nothing."""
    wiring.store().transact([Put(TABLE, ITEMS[0], IF_NEW)])
    assert "TransactWriteItems" not in usual
    other: Item = {**ITEMS[0], "v": b"other"}
    with pytest.raises(ConditionFailed) as refused:
        wiring.store().transact([Put(TABLE, ITEMS[1], IF_NEW), Put(TABLE, other, IF_NEW)])
    assert refused.value.indices == {1}
    assert "TransactWriteItems" in usual
    assert found() == ITEMS[:1]


def test_refusals_of_moto_keep_their_own_error():
    """What moto refuses is refused with its own error: nothing is lost on the short way."""
    store = wiring.store()
    with pytest.raises(LimitExceeded, match="DynamoDB: ValidationException"):
        store.put_batch(TABLE, [{"p": b"bytes, where text is wanted", "s": "s"}])


def test_messages_sent_the_short_way_are_received_as_usual(usual):
    """A message that is sent the short way is received as if it had gone the usual way."""
    messages = [message_from_payload("tenant", b"payload %d" % n, n, 1_000) for n in range(12)]
    wiring.sender().send(messages)
    assert "SendMessageBatch" not in usual
    sqs = client("sqs")
    url = wiring.queue_url(config.SPAN_QUEUE)
    received = [
        message
        for _ in range(2)
        for message in sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )["Messages"]
    ]
    frames = [each["MessageAttributes"]["payload"]["BinaryValue"] for each in received]
    assert frames == [message.frame for message in messages]
    attributes = received[0]["MessageAttributes"]["payload"]
    assert attributes["DataType"] == "Binary.zstd"
    assert received[0]["MD5OfMessageAttributes"]
    sqs.purge_queue(QueueUrl=url)
