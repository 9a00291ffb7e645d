"""The short way into moto leaves and answers what the usual way does; what it cannot do, the usual way refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from chalicelib import config, wiring
from chalicelib.errors import LimitExceeded
from chalicelib.queue.message import message_from_payload
from chalicelib.store.items import ConditionFailed, Put
from infra.local.fake_aws import Moto, client

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
    from chalicelib.store.dynamodb import DynamoStore

    items = DynamoStore(client("dynamodb")).get_batch(TABLE, KEYS)
    return sorted(items, key=lambda item: str(item["p"]))


def test_batches(usual):
    """Items are put and deleted as by the usual way, and nothing of it goes that way."""
    wiring.store().put_batch(TABLE, ITEMS)
    assert "BatchWriteItem" not in usual
    assert found() == ITEMS
    wiring.store().delete_batch(TABLE, KEYS)
    assert "BatchWriteItem" not in usual
    assert found() == []


def test_transactions(usual):
    """A transaction is done at once; one whose condition fails says which, and has done nothing."""
    wiring.store().transact([Put(TABLE, ITEMS[0], IF_NEW)])
    assert "TransactWriteItems" not in usual
    other: Item = {**ITEMS[0], "v": b"other"}
    with pytest.raises(ConditionFailed) as refused:
        wiring.store().transact([Put(TABLE, ITEMS[1], IF_NEW), Put(TABLE, other, IF_NEW)])
    assert refused.value.indices == {1}
    assert "TransactWriteItems" in usual
    assert found() == ITEMS[:1]


def test_refused():
    """What moto refuses is refused with its own error: nothing is lost on the short way."""
    store = wiring.store()
    with pytest.raises(LimitExceeded, match="DynamoDB: ValidationException"):
        store.put_batch(TABLE, [{"p": b"bytes, where text is wanted", "s": "s"}])


def test_messages(usual):
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
