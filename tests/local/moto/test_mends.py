"""moto loses nothing and does not slow down under a laptop stack's threads: what `mends` is for."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import moto.backends
import pytest
from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb import comparisons
from moto.dynamodb.models.dynamo_type import DynamoType

from local.fake_aws import REGION, client

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

TABLE = "clew-statistics"
QUEUES = ("spans", "dead-letters")


@pytest.fixture
def dynamodb(aws):
    return client("dynamodb")


@pytest.fixture
def eager_threads():
    """Threads take turns a thousand times as often: what goes wrong between two of them does so soon."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(usual)


def key(name: str) -> dict[str, Any]:
    return {"p": {"S": name}, "s": {"S": "s"}}


def item(name: str, value: int) -> dict[str, Any]:
    return {**key(name), "v": {"N": str(value)}}


def put(name: str, value: int, condition: str | None = None) -> dict[str, Any]:
    action = {"TableName": TABLE, "Item": item(name, value)}
    return {"Put": {**action, **({"ConditionExpression": condition} if condition else {})}}


def value_of(dynamodb: Any, name: str) -> int | None:
    found = dynamodb.get_item(TableName=TABLE, Key=key(name)).get("Item")
    return int(found["v"]["N"]) if found else None


def test_cancelled_transaction(dynamodb):
    """A cancelled transaction leaves put, updated, deleted and new items as they were."""
    for name in ("put", "updated", "deleted"):
        dynamodb.put_item(TableName=TABLE, Item=item(name, 1))
    update = {
        "TableName": TABLE,
        "Key": key("updated"),
        "UpdateExpression": "SET v = v + :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    actions = [
        put("put", 2),
        {"Update": update},
        {"Delete": {"TableName": TABLE, "Key": key("deleted")}},
        put("new", 2),
    ]
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(
            TransactItems=[*actions, put("put-2", 1, "attribute_exists(p)")]
        )
    reasons = [reason["Code"] for reason in refused.value.response["CancellationReasons"]]
    assert reasons == ["None"] * 4 + ["ConditionalCheckFailed"]
    names = ("put", "updated", "deleted", "new", "put-2")
    assert [value_of(dynamodb, name) for name in names] == [1, 1, 1, None, None]
    dynamodb.transact_write_items(TransactItems=actions)
    assert [value_of(dynamodb, name) for name in names] == [2, 2, None, 2, None]


def test_cancelled_beside_others(dynamodb, eager_threads):
    """A cancelled transaction does not take back what others write meanwhile."""
    ends = threading.Event()

    def cancel():
        while not ends.is_set():
            with pytest.raises(ClientError):
                dynamodb.transact_write_items(
                    TransactItems=[put("mine", 1), put("never", 1, "attribute_exists(p)")]
                )

    canceller = threading.Thread(target=cancel)
    canceller.start()
    for number in range(200):
        dynamodb.put_item(TableName=TABLE, Item=item(f"other-{number}", number))
    ends.set()
    canceller.join()
    assert [value_of(dynamodb, f"other-{n}") for n in range(200)] == list(range(200))


def test_transactions_do_not_slow_down(dynamodb):
    """A transaction costs the same in a table of thousands of items."""
    from moto.dynamodb.models import dynamodb_backends

    backend = dynamodb_backends["123456789012"]["us-east-1"]
    for number in range(20_000):
        backend.put_item(TABLE, item(f"many-{number}", number))
    actions = [put(f"action-{number}", number) for number in range(90)]
    start = time.process_time()
    dynamodb.transact_write_items(TransactItems=actions)
    # moto's own way takes minutes: 90 copies of 20,000 items.
    assert time.process_time() - start < 2


def test_sending_to_a_long_queue(aws):
    """A queue of hundreds of messages takes hundreds more in little time."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="clew-spans")["QueueUrl"]
    entries = [{"Id": str(number), "MessageBody": "x"} for number in range(10)]
    start = time.process_time()
    for _ in range(50):
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    # moto's own way takes six seconds.
    assert time.process_time() - start < 2
    assert "Messages" in sqs.receive_message(QueueUrl=url)


def queue_of_moto(name: str) -> Any:
    backends: Any = moto.backends.get_backend
    return backends("sqs")[DEFAULT_ACCOUNT_ID][REGION].queues[name]


def test_sending_while_deleting(aws):
    """A message that is sent while another is deleted stays, whenever in between that is."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="while-deleting")["QueueUrl"]
    for body in ("a", "b"):
        sqs.send_message(QueueUrl=url, MessageBody=body)

    class Sends(list[Any]):
        """Somebody else sends when whoever looks at the messages has seen the last."""

        def __iter__(self) -> Iterator[Any]:
            yield from super().__iter__()
            later()

    def later() -> None:
        if queue.name not in sent:
            sent.append(queue.name)
            sqs.send_message(QueueUrl=url, MessageBody="c")

    sent: list[str] = []
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2)["Messages"]
    queue = queue_of_moto("while-deleting")
    queue._messages = Sends(queue._messages)
    for message in received:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    later()
    (left,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert left["Body"] == "c"


def test_deleted_twice(aws):
    """A message that is deleted again is no error; a receipt of nobody's is one."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="clew-dead-letters")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    for _ in range(2):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    with pytest.raises(ClientError):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="nobody's")


def test_what_is_deleted_is_freed(aws, dynamodb):
    """Neither a deleted message, nor its receipt, nor an overwritten item stays in memory."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="freed")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    dynamodb.put_item(TableName=TABLE, Item=item("freed", 1))
    table = moto.backends.get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][REGION].tables[TABLE]
    (stored,) = table.items[DynamoType({"S": "freed"})].values()
    (message,) = queue_of_moto("freed")._messages
    kept = [weakref.ref(stored), weakref.ref(message)]
    del stored, message
    (received,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
    dynamodb.put_item(TableName=TABLE, Item=item("freed", 2))
    gc.collect()
    assert [each() for each in kept] == [None, None]
    assert not queue_of_moto("freed").deleted_messages


def test_expired_items(aws, dynamodb):
    """What has expired is deleted; what has not, and what never does, stays."""
    for name, expiry in (("old", 1_000), ("new", 3_000)):
        expiring = {**item(name, 1), "x": {"N": str(expiry)}}
        dynamodb.put_item(TableName=TABLE, Item=expiring)
    dynamodb.put_item(TableName=TABLE, Item=item("ever", 1))
    aws.expire(2_000)
    assert [value_of(dynamodb, name) for name in ("old", "new", "ever")] == [None, 1, 1]


def test_conditions_are_parsed_once(dynamodb, monkeypatch):
    """A condition without values is parsed once for however many items; one with values each time."""
    parsed = []
    parse = comparisons.create_condition_expression_parser

    def counting(expression: Any, *more: Any) -> Any:
        parsed.append(expression)
        return parse(expression, *more)

    monkeypatch.setattr(comparisons, "create_condition_expression_parser", counting)
    lexed = []
    lex = comparisons.ConditionExpressionParser._lex_condition_expression

    def counting_lexer(self: Any) -> Any:
        lexed.append(self.condition_expression)
        return lex(self)

    monkeypatch.setattr(
        comparisons.ConditionExpressionParser, "_lex_condition_expression", counting_lexer
    )
    condition = "attribute_not_exists(p) AND attribute_not_exists(q)"
    for number in range(20):
        dynamodb.transact_write_items(TransactItems=[put(f"once {number}", 1, condition)])
    assert parsed.count(condition) == lexed.count(condition) == 1
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(TransactItems=[put("once 1", 2, condition)])
    assert value_of(dynamodb, "once 1") == 1


def test_dead_letters_are_sent_back(aws):
    """StartMessageMoveTask moves what is visible, attributes and all, and ListMessageMoveTasks tells."""
    sqs = client("sqs")
    urls = {name: sqs.get_queue_url(QueueName=f"clew-{name}")["QueueUrl"] for name in QUEUES}
    arns = {
        name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        for name, url in urls.items()
    }
    attributes = {
        "payload": {"DataType": "Binary.zstd", "BinaryValue": bytes(range(256))},
        "reason": {"DataType": "String", "StringValue": "because"},
    }
    for name in QUEUES:
        queue_of_moto(f"clew-{name}")._messages.clear()
    for body in ("one", "two"):
        sqs.send_message(
            QueueUrl=urls["dead-letters"], MessageBody=body, MessageAttributes=attributes
        )
    arguments = {"SourceArn": arns["dead-letters"], "DestinationArn": arns["spans"]}
    assert sqs.start_message_move_task(**arguments)["TaskHandle"]
    (task,) = sqs.list_message_move_tasks(SourceArn=arns["dead-letters"])["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 2)
    assert "Messages" not in sqs.receive_message(QueueUrl=urls["dead-letters"])
    found = sqs.receive_message(
        QueueUrl=urls["spans"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )["Messages"]
    assert sorted(each["Body"] for each in found) == ["one", "two"]
    assert [each["MessageAttributes"] for each in found] == [attributes, attributes]


def test_only_dead_letters_are_moved(aws):
    """A queue that is nobody's dead-letter queue is not emptied."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="clew-spans")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    with pytest.raises(ClientError):
        sqs.start_message_move_task(SourceArn=arn)
