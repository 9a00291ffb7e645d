"""What DynamoDB does with a request, asked past our adapter: its limits, transactions, pages and capacity.

Each sentence is AWS's own documentation. Where an emulator does otherwise, `differences.py` says so.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.store.dynamodb import typed_item
from tests.contract.item_store import NOT_THERE, TEXT, item, new_partition, numbered


def put_of(each: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": TEXT, "Item": typed_item(each), **more}}


class DynamoDBService:
    @pytest.fixture
    def partition(self):
        return new_partition()

    def write(self, dynamodb, items):
        for each in items:
            dynamodb.put_item(TableName=TEXT, Item=typed_item(each))

    def refused(self, code: str, call: Any, **arguments: Any) -> Any:
        with pytest.raises(ClientError) as caught:
            call(**arguments)
        assert caught.value.response["Error"]["Code"] == code
        return caught.value.response

    def invalid(self, call: Any, **arguments: Any) -> None:
        self.refused("ValidationException", call, **arguments)

    # Limits

    def test_largest_item(self, dynamodb, partition):
        """An item of 409,600 bytes is taken."""
        room_bytes = 409_600 - len("psav" + partition)
        self.write(dynamodb, [item(partition, "a", v=bytes(room_bytes))])

    def test_item_over_the_limit(self, dynamodb, partition):
        """An item of 409,601 bytes is refused."""
        over = item(partition, "a", v=bytes(409_601 - len("psav" + partition)))
        self.invalid(dynamodb.put_item, TableName=TEXT, Item=typed_item(over))

    def test_batch_of_26(self, dynamodb, partition):
        """BatchWriteItem of more than 25 requests is refused."""
        requests = [{"PutRequest": {"Item": typed_item(i)}} for i in numbered(partition, 26)]
        self.invalid(dynamodb.batch_write_item, RequestItems={TEXT: requests})

    def test_batch_with_a_key_twice(self, dynamodb, partition):
        """BatchWriteItem that names a key twice is refused."""
        request = {"PutRequest": {"Item": typed_item(item(partition, "a"))}}
        self.invalid(dynamodb.batch_write_item, RequestItems={TEXT: [request, request]})

    def test_101_keys(self, dynamodb, partition):
        """BatchGetItem of more than 100 keys is refused."""
        keys = [typed_item(item(partition, f"{i:03d}")) for i in range(101)]
        self.invalid(dynamodb.batch_get_item, RequestItems={TEXT: {"Keys": keys}})

    def test_get_with_a_key_twice(self, dynamodb, partition):
        """BatchGetItem that names a key twice is refused."""
        key = typed_item(item(partition, "a"))
        self.invalid(dynamodb.batch_get_item, RequestItems={TEXT: {"Keys": [key, key]}})

    def test_empty_key(self, dynamodb, partition):
        """An empty key is refused."""
        self.invalid(dynamodb.put_item, TableName=TEXT, Item=typed_item(item(partition, "")))

    @pytest.mark.parametrize("name", ["p", "s"])
    def test_long_key(self, dynamodb, partition, name):
        """A partition key over 2,048 bytes, or a sort key over 1,024, is refused."""
        bad = {**item(partition, "a"), name: "x" * (2_049 if name == "p" else 1_025)}
        self.invalid(dynamodb.put_item, TableName=TEXT, Item=typed_item(bad))

    def test_39_digits(self, dynamodb, partition):
        """A number of 39 significant digits is refused."""
        bad = item(partition, "a", v=10**38 + 1)
        self.invalid(dynamodb.put_item, TableName=TEXT, Item=typed_item(bad))

    # Transactions

    def test_transaction_over_4_mb(self, dynamodb, partition):
        """A transaction over 4 MB is refused."""
        items = numbered(partition, 11, v=bytes(400_000))
        self.invalid(dynamodb.transact_write_items, TransactItems=[put_of(i) for i in items])

    def test_101_actions(self, dynamodb, partition):
        """A transaction of more than 100 actions is refused."""
        items = numbered(partition, 101)
        self.invalid(dynamodb.transact_write_items, TransactItems=[put_of(i) for i in items])

    def test_two_actions_on_an_item(self, dynamodb, partition):
        """A transaction of two actions on one item is refused."""
        action = put_of(item(partition, "a"))
        self.invalid(dynamodb.transact_write_items, TransactItems=[action, action])

    def test_a_cancelled_transaction_has_a_reason_for_each_action(self, dynamodb, partition):
        """A cancelled transaction gives a reason for each action, in order."""
        self.write(dynamodb, [item(partition, "a")])
        actions = [
            put_of(item(partition, sort), ConditionExpression=NOT_THERE) for sort in ("b", "a", "c")
        ]
        answer = self.refused(
            "TransactionCanceledException", dynamodb.transact_write_items, TransactItems=actions
        )
        codes = [reason["Code"] for reason in answer["CancellationReasons"]]
        assert codes == ["None", "ConditionalCheckFailed", "None"]

    def test_token_again(self, dynamodb, partition):
        """A transaction sent again with its token succeeds without being done again."""
        action = put_of(item(partition, "a"), ConditionExpression=NOT_THERE)
        for _ in range(2):
            dynamodb.transact_write_items(TransactItems=[action], ClientRequestToken=partition)

    def test_token_of_another(self, dynamodb, partition):
        """Another transaction with a token that was used is refused."""
        actions = [put_of(item(partition, sort)) for sort in "ab"]
        dynamodb.transact_write_items(TransactItems=actions[:1], ClientRequestToken=partition)
        self.refused(
            "IdempotentParameterMismatchException",
            dynamodb.transact_write_items,
            TransactItems=actions[1:],
            ClientRequestToken=partition,
        )

    def test_conflicting_transactions_are_cancelled_with_their_reason(self, dynamodb, partition):
        """Of transactions that meet on an item, some are cancelled with the reason TransactionConflict."""
        actions = [put_of(each) for each in numbered(partition, 40)]

        def conflicts(_: int) -> bool:
            try:
                dynamodb.transact_write_items(TransactItems=actions)
            except ClientError as error:
                reasons = error.response["CancellationReasons"]
                return any(reason["Code"] == "TransactionConflict" for reason in reasons)
            return False

        with ThreadPoolExecutor(8) as threads:
            assert any(list(threads.map(conflicts, range(16))))

    # Pages

    def test_a_page_of_a_query_ends_at_one_megabyte(self, dynamodb, partition):
        """A page of a query ends at 1 MB, and not before: ten items of 100,000 bytes fit."""
        self.write(dynamodb, numbered(partition, 13, v=bytes(99_900)))
        page = self.query(dynamodb, partition)
        assert 10 <= page["Count"] <= 11
        assert "LastEvaluatedKey" in page

    def test_page_of_what_is_filtered(self, dynamodb, partition):
        """A page counts what its filter drops: it may be empty, and yet not the last."""
        self.write(dynamodb, numbered(partition, 25, v=bytes(99_900)))
        page = self.query(dynamodb, partition, FilterExpression="n < :n", n={":n": {"N": "0"}})
        assert page["Count"] == 0
        assert "LastEvaluatedKey" in page

    def query(self, dynamodb, partition, n=None, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = dynamodb.query(
            TableName=TEXT,
            KeyConditionExpression="p = :p",
            ExpressionAttributeValues={":p": {"S": partition}, **(n or {})},
            ConsistentRead=True,
            ReturnConsumedCapacity="TOTAL",
            **more,
        )
        return answer

    def test_16_mb_of_items(self, dynamodb):
        """BatchGetItem gives at most 16 MB, and hands the other keys back."""
        items = [item(new_partition(), "a", v=bytes(390_000)) for _ in range(44)]
        self.write(dynamodb, items)
        assert self.unprocessed(dynamodb, items) > 0

    def test_1_mb_of_a_partition(self, dynamodb, partition):
        """BatchGetItem hands keys back where more than 1 MB of one partition is asked for."""
        items = numbered(partition, 30, v=bytes(99_900))
        self.write(dynamodb, items)
        assert self.unprocessed(dynamodb, items) > 0

    def unprocessed(self, dynamodb, items) -> int:
        keys = [typed_item({"p": each["p"], "s": each["s"]}) for each in items]
        answer = dynamodb.batch_get_item(RequestItems={TEXT: {"Keys": keys}})
        return len(answer["UnprocessedKeys"].get(TEXT, {}).get("Keys", []))

    # Capacity

    def test_capacity_of_a_write(self, dynamodb, partition):
        """A write of 2,500 bytes is 3 write units."""
        answer = dynamodb.put_item(
            TableName=TEXT,
            Item=typed_item(item(partition, "a", v=bytes(2_480))),
            ReturnConsumedCapacity="TOTAL",
        )
        assert answer["ConsumedCapacity"]["CapacityUnits"] == 3

    def test_capacity_of_a_transaction(self, dynamodb, partition):
        """In a transaction a write of 2,500 bytes is 6 write units."""
        answer = dynamodb.transact_write_items(
            TransactItems=[put_of(item(partition, "a", v=bytes(2_480)))],
            ReturnConsumedCapacity="TOTAL",
        )
        assert answer["ConsumedCapacity"][0]["CapacityUnits"] == 6

    def test_capacity_of_a_read(self, dynamodb, partition):
        """A strongly consistent read of 5,000 bytes is 2 read units."""
        self.write(dynamodb, [item(partition, "a", v=bytes(4_980))])
        answer = dynamodb.get_item(
            TableName=TEXT,
            Key=typed_item(item(partition, "a")),
            ConsistentRead=True,
            ReturnConsumedCapacity="TOTAL",
        )
        assert answer["ConsumedCapacity"]["CapacityUnits"] == 2

    def test_capacity_of_a_query(self, dynamodb, partition):
        """A strongly consistent query that reads 10,000 bytes in all is 3 read units."""
        self.write(dynamodb, numbered(partition, 10, v=bytes(980)))
        assert self.query(dynamodb, partition)["ConsumedCapacity"]["CapacityUnits"] == 3
