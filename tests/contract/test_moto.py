"""The contracts, kept on moto, what of AWS it does, and what DynamoStore makes of AWS's limits and refusals."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import LimitExceeded, StoreError, StoreThrottled
from chalicelib.store.dynamodb import DynamoStore, sent_bytes, typed_item
from chalicelib.store.items import ConditionFailed, Put
from tests.contract.dynamodb_service import DynamoDBService
from tests.contract.item_store import (
    NOT_THERE,
    TEXT,
    Backend,
    ItemStoreContract,
    item,
    new_partition,
    numbered,
    sorts,
)
from tests.contract.message_queue import MessageQueueContract, SqsService
from tests.contract.moto_tables import PastDynamoDB, accepted, client, hooked, moto_stack, refusal

pytestmark = pytest.mark.slow


class TestDynamoStoreOnMoto(ItemStoreContract):
    backend_name = "moto"

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        with moto_stack() as client:
            dynamodb = client("dynamodb")
            yield Backend(DynamoStore(dynamodb, sleep=lambda _: None), PastDynamoDB(dynamodb))


class TestDynamoDBOfMoto(DynamoDBService):
    backend_name = "moto"

    @pytest.fixture(scope="class")
    @classmethod
    def dynamodb(cls):
        with moto_stack() as client:
            yield client("dynamodb")


class TestQueueOnMoto(MessageQueueContract):
    backend_name = "moto"

    @pytest.fixture(scope="class")
    @classmethod
    def sqs(cls):
        with moto_stack() as client:
            yield client("sqs")


class TestSqsOfMoto(SqsService):
    backend_name = "moto"

    @pytest.fixture(scope="class")
    @classmethod
    def sqs(cls):
        with moto_stack() as client:
            yield client("sqs")


@pytest.fixture(scope="module")
def dynamodb():
    with moto_stack() as client:
        yield client("dynamodb")


@pytest.fixture
def naps():
    return []


@pytest.fixture
def store(dynamodb, naps):
    return DynamoStore(dynamodb, sleep=naps.append)


@pytest.fixture
def partition():
    return new_partition()


class Partly:
    """A DynamoDB that does only the first few of a batch's requests, and hands the rest back."""

    def __init__(self, dynamodb: Any, operation: str, taken: int) -> None:
        self._dynamodb, self._operation, self._taken = dynamodb, operation, taken
        self._rest: list[Any] = []
        self.sizes: list[int] = []

    def run(self, call: Any) -> Any:
        before = f"before-parameter-build.dynamodb.{self._operation}"
        after = f"after-call.dynamodb.{self._operation}"
        with (
            hooked(self._dynamodb, before, self._take),
            hooked(self._dynamodb, after, self._hand_back),
        ):
            return call()

    def _take(self, params: dict[str, Any], **_: Any) -> None:
        ((table, requests),) = params["RequestItems"].items()
        every = requests["Keys"] if isinstance(requests, dict) else requests
        self.sizes.append(len(every))
        taken, self._rest = every[: self._taken], every[self._taken :]
        # At least one request must be sent; where none is to be done, one is done but reported as not.
        sent = taken or every[:1]
        whole = {**requests, "Keys": sent} if isinstance(requests, dict) else sent
        params["RequestItems"] = {table: whole}

    def _hand_back(self, parsed: dict[str, Any], **_: Any) -> None:
        if self._operation == "BatchWriteItem":
            parsed["UnprocessedItems"] = {TEXT: self._rest} if self._rest else {}
        else:
            if not self._taken:
                parsed["Responses"] = {}
            parsed["UnprocessedKeys"] = {TEXT: {"Keys": self._rest}} if self._rest else {}


class TestPartOfABatch:
    def test_unprocessed_items_are_sent_again(self, dynamodb, store, naps, partition):
        """What BatchWriteItem hands back is sent again, after a pause, until all is written."""
        items = numbered(partition, 27)
        partly = Partly(dynamodb, "BatchWriteItem", 10)
        partly.run(lambda: store.put_batch(TEXT, items))
        assert list(store.query(TEXT, partition)) == items
        assert partly.sizes == [25, 15, 5, 2]
        assert len(naps) == 2

    def test_unprocessed_deletes_are_sent_again(self, dynamodb, store, partition):
        """Deletes that are handed back are sent again."""
        items = numbered(partition, 20)
        store.put_batch(TEXT, items)
        keys = [item(partition, each["s"]) for each in items]
        Partly(dynamodb, "BatchWriteItem", 7).run(lambda: store.delete_batch(TEXT, keys))
        assert list(store.query(TEXT, partition)) == []

    def test_unprocessed_items_are_given_up(self, dynamodb, store, naps, partition):
        """Items that stay unprocessed end in StoreThrottled, after pauses of a few seconds in all at most."""
        partly = Partly(dynamodb, "BatchWriteItem", 0)
        with pytest.raises(StoreThrottled):
            partly.run(lambda: store.put_batch(TEXT, numbered(partition, 2)))
        assert 5 < len(partly.sizes) < 12
        assert 0 < sum(naps) < 15

    def test_unprocessed_keys_are_asked_again(self, dynamodb, store, naps, partition):
        """Keys that BatchGetItem hands back are asked again; a part that brings something is no reason to pause."""
        items = numbered(partition, 90)
        store.put_batch(TEXT, items)
        keys = [item(partition, each["s"]) for each in items]
        partly = Partly(dynamodb, "BatchGetItem", 4)
        found = partly.run(lambda: store.get_batch(TEXT, keys))
        assert sorted(sorts(found)) == sorts(items)
        assert len(partly.sizes) == 23
        assert naps == []

    def test_nothing_found_is_no_reason_to_pause(self, store, naps, partition):
        """Items that are not there are an answer: nothing is waited for."""
        assert store.get_batch(TEXT, [item(partition, "a")]) == []
        assert naps == []

    def test_unprocessed_keys_are_given_up(self, dynamodb, store, naps, partition):
        """Keys that nothing comes of end in StoreThrottled."""
        partly = Partly(dynamodb, "BatchGetItem", 0)
        with pytest.raises(StoreThrottled):
            partly.run(lambda: store.get_batch(TEXT, [item(partition, "a"), item(partition, "b")]))
        assert 5 < len(partly.sizes) < 12
        assert 0 < len(naps) < len(partly.sizes)


def calls_of(store: DynamoStore, partition: str) -> dict[str, Any]:
    one = item(partition, "a")
    return {
        "BatchWriteItem": lambda: store.put_batch(TEXT, [one]),
        "BatchGetItem": lambda: store.get_batch(TEXT, [one]),
        "Query": lambda: list(store.query(TEXT, partition)),
        "TransactWriteItems": lambda: store.transact([Put(TEXT, one)]),
    }


OPERATIONS = ("BatchWriteItem", "BatchGetItem", "Query", "TransactWriteItems")


class TestRefusals:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("ProvisionedThroughputExceededException", 400),
            ("ThrottlingException", 400),
            ("RequestLimitExceeded", 400),
            ("InternalServerError", 500),
            ("ServiceUnavailable", 503),
        ],
    )
    def test_a_refusal_for_load_is_throttling(
        self, dynamodb, store, partition, operation, code, status
    ):
        """A refusal for load, or a fault on AWS's side, is StoreThrottled: the same call may succeed later."""

        def refuse(**_: Any) -> Any:
            return refusal(code, status)

        with (
            hooked(dynamodb, f"before-call.dynamodb.{operation}", refuse),
            pytest.raises(StoreThrottled, match=code),
        ):
            calls_of(store, partition)[operation]()

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
    def test_no_use_in_trying(self, dynamodb, store, partition, operation, code):
        """Any other refusal is StoreError, not StoreThrottled."""

        def refuse(**_: Any) -> Any:
            return refusal(code)

        with (
            hooked(dynamodb, f"before-call.dynamodb.{operation}", refuse),
            pytest.raises(StoreError, match=code) as caught,
        ):
            calls_of(store, partition)[operation]()
        assert not isinstance(caught.value, StoreThrottled)

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize(
        "error",
        [EndpointConnectionError(endpoint_url="x"), ReadTimeoutError(endpoint_url="x")],
        ids=["connect", "read"],
    )
    def test_an_unreachable_dynamodb_is_throttling(
        self, dynamodb, store, partition, operation, error
    ):
        """A DynamoDB that cannot be reached, or does not answer, is StoreThrottled."""

        def fail(**_: Any) -> Any:
            raise error

        with (
            hooked(dynamodb, f"before-call.dynamodb.{operation}", fail),
            pytest.raises(StoreThrottled),
        ):
            calls_of(store, partition)[operation]()

    def test_a_table_that_is_not_there(self, store):
        """A table that does not exist is StoreError."""
        with pytest.raises(StoreError):
            store.put_batch("no-such-table", [item("a", "a")])


def cancelled(*codes: str) -> Any:
    reasons = [{"Code": code, "Message": "no"} for code in codes]
    return refusal("TransactionCanceledException", CancellationReasons=reasons)


class TestCancelledTransactions:
    @pytest.mark.parametrize(
        "reason",
        [
            "TransactionConflict",
            "ProvisionedThroughputExceeded",
            "ThrottlingError",
        ],
    )
    def test_conflicts_are_tried_again(self, dynamodb, store, naps, partition, reason):
        """A transaction that met another, or load, is tried again after a pause, and then done."""
        answers = [cancelled(reason, "None"), cancelled("None", reason)]

        def refuse(**_: Any) -> Any:
            return answers.pop() if answers else None

        with hooked(dynamodb, "before-call.dynamodb.TransactWriteItems", refuse):
            store.transact([Put(TEXT, each, NOT_THERE) for each in numbered(partition, 2)])
        assert len(list(store.query(TEXT, partition))) == 2
        assert len(naps) == 2

    def test_conflicts_without_end(self, dynamodb, store, partition):
        """A transaction that meets others again and again ends in StoreThrottled."""
        asked: list[int] = []

        def refuse(**_: Any) -> Any:
            asked.append(1)
            return cancelled("TransactionConflict")

        with (
            hooked(dynamodb, "before-call.dynamodb.TransactWriteItems", refuse),
            pytest.raises(StoreThrottled),
        ):
            store.transact([Put(TEXT, item(partition, "a"))])
        assert 5 < len(asked) < 12

    def test_conditions_before_conflicts(self, dynamodb, store, naps):
        """If a condition is false beside another trouble, ConditionFailed names just that action, at once."""

        def refuse(**_: Any) -> Any:
            return cancelled("TransactionConflict", "ConditionalCheckFailed", "None")

        with (
            hooked(dynamodb, "before-call.dynamodb.TransactWriteItems", refuse),
            pytest.raises(ConditionFailed) as caught,
        ):
            store.transact([Put(TEXT, each) for each in numbered("p", 3)])
        assert caught.value.indices == {1}
        assert naps == []

    @pytest.mark.parametrize(
        ("reason", "error"),
        [
            ("ValidationError", LimitExceeded),
            ("ItemCollectionSizeLimitExceeded", LimitExceeded),
            ("AccessDenied", StoreError),
        ],
    )
    def test_a_reason_that_stays(self, dynamodb, store, reason, error):
        """Any other reason is an error at once: of what was to be written, or of the store."""

        def refuse(**_: Any) -> Any:
            return cancelled(reason)

        with (
            hooked(dynamodb, "before-call.dynamodb.TransactWriteItems", refuse),
            pytest.raises(error),
        ):
            store.transact([Put(TEXT, item("p", "a"))])


class TestLimits:
    """AWS's limits raise LimitExceeded, and nothing is sent."""

    @pytest.fixture(autouse=True)
    def sent(self, dynamodb):
        sent: list[str] = []

        def note(model: Any, **_: Any) -> None:
            sent.append(model.name)

        with hooked(dynamodb, "before-call.dynamodb", note):
            yield sent

    def test_an_item_among_many(self, store, sent, partition):
        """Where one item is too large nothing is sent, also not what would go in an earlier request."""
        items = numbered(partition, 30)
        items[-1]["v"] = bytes(409_600)
        with pytest.raises(LimitExceeded):
            store.put_batch(TEXT, items)
        with pytest.raises(LimitExceeded):
            store.transact([Put(TEXT, each) for each in items])
        assert sent == []

    def test_a_key_among_many(self, store, sent, partition):
        """Where one key is too long nothing is deleted and nothing read."""
        keys = [*numbered(partition, 130), item(partition, "k" * 1_025)]
        for call in (store.delete_batch, store.get_batch):
            with pytest.raises(LimitExceeded):
                call(TEXT, keys)
        assert sent == []

    @pytest.mark.parametrize(
        "value", [bytes(408_000), "é" * 204_000, "\0" * 100_000, "x" * 400_000]
    )
    def test_the_bytes_of_a_batch(self, dynamodb, store, partition, value):
        """A request of BatchWriteItem has at most 16 MB as it is sent, and is not ended long before need."""
        sizes: list[int] = []

        def note(params: dict[str, Any], **_: Any) -> Any:
            sizes.append(len(params["body"]))
            return accepted()

        items = numbered(partition, 50, v=value)
        with hooked(dynamodb, "before-call.dynamodb.BatchWriteItem", note):
            store.put_batch(TEXT, items)
        assert max(sizes) <= 16_000_000
        each_bytes = sum(sizes) / 50
        assert len(sizes) == 2 or max(sizes) > 16_000_000 - 1.1 * each_bytes

    def test_a_body_is_what_botocore_would_send(self, dynamodb, store, partition):
        """A batch's body, which botocore has no part in, says what botocore's own would say."""
        bodies: list[Any] = []

        def note(params: dict[str, Any], **_: Any) -> Any:
            bodies.append(orjson.loads(params["body"]))
            return accepted()

        items = numbered(partition, 3, v=b"\0\xff", text='é"\n\0', large=-(10**37))
        typed = [{"PutRequest": {"Item": typed_item(each)}} for each in items]
        botocore_alone = client("dynamodb")
        event = "before-call.dynamodb.BatchWriteItem"
        with hooked(dynamodb, event, note), hooked(botocore_alone, event, note):
            store.put_batch(TEXT, items)
            botocore_alone.batch_write_item(RequestItems={TEXT: typed})
        ours, theirs = bodies
        assert ours == theirs

    @given(
        st.dictionaries(
            st.text(min_size=1), st.text() | st.binary() | st.integers(-(10**37), 10**37)
        )
    )
    def test_sent_bytes(self, more):
        """An item is never counted smaller than its part of the request."""
        sent = {"PutRequest": {"Item": typed_item({**item("p", "s"), **more})}}
        text = orjson.dumps(sent, default=lambda value: base64.b64encode(value).decode())
        around = len(orjson.dumps({"RequestItems": {"t" * 100: []}}))
        assert len(text) + 2 + around <= sent_bytes({**item("p", "s"), **more})
