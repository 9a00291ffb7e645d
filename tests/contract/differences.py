"""Where emulators are known to differ from AWS: the only place that says so.

The kit's test of each is expected to fail on that emulator, strictly. `docs/emulators.md` shows the same table, which
`python -m tests.contract.differences` prints.
"""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    backend: str
    behaviour: str
    on_aws: str
    here: str
    test: str
    """The test's name in `item_store.py`, `dynamodb_service.py` or `message_queue.py`."""


DIFFERENCES = (
    Difference(
        "moto",
        "Largest item, by our adapter",
        "409,600 bytes",
        "refuses from about 405,000",
        "test_the_largest_item",
    ),
    Difference(
        "moto",
        "Largest item",
        "409,600 bytes",
        "refuses from about 405,000",
        "test_largest_item",
    ),
    Difference(
        "moto",
        "BatchWriteItem, 26 requests",
        "refused",
        "done",
        "test_batch_of_26",
    ),
    Difference(
        "moto",
        "A number of 39 digits",
        "refused",
        "stored",
        "test_39_digits",
    ),
    Difference(
        "moto",
        "A transaction over 4 MB",
        "refused",
        "done",
        "test_transaction_over_4_mb",
    ),
    Difference(
        "moto",
        "A transaction sent again with its ClientRequestToken",
        "succeeds, done once",
        "done twice",
        "test_token_again",
    ),
    Difference(
        "moto",
        "Another transaction with a used ClientRequestToken",
        "refused",
        "done",
        "test_token_of_another",
    ),
    Difference(
        "ministack",
        "Largest transaction",
        "4 MB of items",
        "4 MB of JSON: bytes count in base64, by a third more",
        "test_the_largest_transaction",
    ),
    Difference(
        "ministack",
        "BatchGetItem of more than 16 MB",
        "UnprocessedKeys",
        "everything at once",
        "test_16_mb_of_items",
    ),
    Difference(
        "moto",
        "TransactionConflict where transactions meet",
        "some are cancelled",
        "never: our mends run requests one at a time",
        "test_conflicting_transactions_are_cancelled_with_their_reason",
    ),
    Difference(
        "ministack",
        "TransactionConflict where transactions meet",
        "some are cancelled",
        "never: transactions wait for each other",
        "test_conflicting_transactions_are_cancelled_with_their_reason",
    ),
    Difference(
        "DynamoDB Local",
        "TransactionConflict where transactions meet",
        "some are cancelled",
        "never: transactions wait for each other",
        "test_conflicting_transactions_are_cancelled_with_their_reason",
    ),
    Difference(
        "moto",
        "BatchGetItem of more than 1 MB of a partition",
        "UnprocessedKeys",
        "everything at once",
        "test_1_mb_of_a_partition",
    ),
    Difference(
        "ministack",
        "BatchGetItem of more than 1 MB of a partition",
        "UnprocessedKeys",
        "everything at once",
        "test_1_mb_of_a_partition",
    ),
    Difference(
        "DynamoDB Local",
        "BatchGetItem of more than 1 MB of a partition",
        "UnprocessedKeys",
        "everything at once",
        "test_1_mb_of_a_partition",
    ),
    Difference(
        "DynamoDB Local",
        "A page of a query whose filter drops everything",
        "ends at 1 MB, empty",
        "reads on to the end",
        "test_page_of_what_is_filtered",
    ),
    Difference(
        "moto",
        "ConsumedCapacity of a write",
        "a unit a kilobyte",
        "always 1",
        "test_capacity_of_a_write",
    ),
    Difference(
        "moto",
        "ConsumedCapacity of a transaction",
        "twice as much",
        "none is given",
        "test_capacity_of_a_transaction",
    ),
    Difference(
        "moto",
        "ConsumedCapacity of a strong read",
        "a unit for 4 KB",
        "always 0.5",
        "test_capacity_of_a_read",
    ),
    Difference(
        "ministack",
        "ConsumedCapacity of a strong read",
        "a unit for 4 KB",
        "always 1",
        "test_capacity_of_a_read",
    ),
    Difference(
        "moto",
        "ConsumedCapacity of a query",
        "by the sum of bytes",
        "always 1",
        "test_capacity_of_a_query",
    ),
    Difference(
        "ministack",
        "ConsumedCapacity of a query",
        "by the sum of bytes",
        "always 1",
        "test_capacity_of_a_query",
    ),
    Difference(
        "moto",
        "SendMessage over 1 MiB with attributes",
        "refused",
        "accepted: attributes do not count",
        "test_attributes_over_the_limit",
    ),
    Difference(
        "moto",
        "SendMessageBatch over 1 MiB with attributes",
        "refused",
        "accepted: attributes do not count",
        "test_batch_over_the_limit",
    ),
    Difference(
        "moto",
        "A message of eleven attributes",
        "refused",
        "accepted",
        "test_eleven_attributes",
    ),
    Difference(
        "moto",
        "An attribute without a value",
        "refused",
        "accepted",
        "test_attribute_without_a_value",
    ),
    Difference(
        "ministack",
        "SendMessage over 1 MiB with attributes",
        "refused",
        "accepted: attributes do not count",
        "test_attributes_over_the_limit",
    ),
    Difference(
        "ministack",
        "SendMessageBatch over 1 MiB with attributes",
        "refused",
        "accepted: attributes do not count",
        "test_batch_over_the_limit",
    ),
    Difference(
        "ministack",
        "A message of eleven attributes",
        "refused",
        "accepted",
        "test_eleven_attributes",
    ),
    Difference(
        "ministack",
        "An attribute without a value",
        "refused",
        "accepted",
        "test_attribute_without_a_value",
    ),
    Difference(
        "moto",
        "A body with a character that XML does not allow",
        "its entry fails",
        "accepted",
        "test_character_that_xml_does_not_allow",
    ),
    Difference(
        "moto",
        "A message without a body",
        "refused",
        "accepted",
        "test_empty_body",
    ),
    Difference(
        "moto",
        "DeleteMessage by an older receipt handle",
        "succeeds, deletes nothing",
        "deletes",
        "test_stale_receipt_handle",
    ),
    Difference(
        "ministack",
        "DeleteMessage by an older receipt handle",
        "succeeds, deletes nothing",
        "an error",
        "test_stale_receipt_handle",
    ),
    Difference(
        "moto",
        "DeadLetterQueueSourceArn of a moved message",
        "the queue it came from",
        "missing",
        "test_source_of_a_dead_letter",
    ),
    Difference(
        "ministack",
        "StartMessageMoveTask",
        "sends dead letters back",
        "not implemented",
        "test_sent_back",
    ),
)


def table() -> str:
    """The differences in Markdown."""
    rows = [
        f"| {each.backend} | {each.behaviour} | {each.on_aws} | {each.here} | `{each.test}` |"
        for each in DIFFERENCES
    ]
    return "\n".join(["| Emulator | What | AWS | Emulator's way | Test |", "|" + "---|" * 5, *rows])


if __name__ == "__main__":
    print(table())
