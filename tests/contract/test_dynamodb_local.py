"""The contract of an ItemStore, kept on DynamoDB Local, what of AWS it does, and its capacity as an oracle of sizes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib.store.dynamodb import DynamoStore, typed_item
from chalicelib.store.limits import item_bytes
from tests.contract.dynamodb_service import DynamoDBService
from tests.contract.item_store import TEXT, Backend, ItemStoreContract, item, new_partition
from tests.contract.moto_tables import PastDynamoDB

pytestmark = [pytest.mark.slow, pytest.mark.emulator]


class TestDynamoStoreOnDynamoDBLocal(ItemStoreContract):
    backend_name = "DynamoDB Local"

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, dynamodb_local):
        return Backend(DynamoStore(dynamodb_local), PastDynamoDB(dynamodb_local))


class TestDynamoDBOfDynamoDBLocal(DynamoDBService):
    backend_name = "DynamoDB Local"

    @pytest.fixture(scope="class")
    @classmethod
    def dynamodb(cls, dynamodb_local):
        return dynamodb_local


_NAMES = st.text(min_size=1, max_size=12).filter(lambda name: name not in ("p", "s", "pad"))
_NUMBERS = st.integers(1 - 10**38, 10**38 - 1) | st.builds(
    lambda digits, zeros, sign: sign * digits * 10**zeros,
    st.integers(0, 10**6),
    st.integers(0, 30),
    st.sampled_from((1, -1)),
)


class TestSizes:
    @given(
        st.dictionaries(
            _NAMES.filter(lambda name: name.isprintable()),
            st.text(max_size=40) | st.binary(max_size=40) | _NUMBERS,
            max_size=6,
        ),
        st.integers(1, 3),
        st.booleans(),
    )
    @settings(
        max_examples=60,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_item_bytes(self, dynamodb_local, more, units, in_transaction):
        """An item padded by our count to whole kilobytes costs so many write units, and one byte more costs one more.

        In a transaction each unit counts twice.
        """
        start = {**item(new_partition(), "a"), **more, "pad": b""}
        fill = units * 1_024 - item_bytes(start)
        if fill < 0:
            return
        costs = []
        for pad in (fill, fill + 1):
            padded = {**start, "s": "ab"[pad - fill], "pad": bytes(pad)}
            request = {"TableName": TEXT, "Item": typed_item(padded)}
            if in_transaction:
                answer = dynamodb_local.transact_write_items(
                    TransactItems=[{"Put": request}], ReturnConsumedCapacity="TOTAL"
                )
                costs.append(answer["ConsumedCapacity"][0]["CapacityUnits"] / 2)
            else:
                answer = dynamodb_local.put_item(**request, ReturnConsumedCapacity="TOTAL")
                costs.append(answer["ConsumedCapacity"]["CapacityUnits"])
        assert costs == [units, units + 1]
