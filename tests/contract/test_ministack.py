"""The contracts, kept on ministack, and what of AWS it does."""

from __future__ import annotations

import pytest

from chalicelib.store.dynamodb import DynamoStore
from tests.contract.dynamodb_service import DynamoDBService
from tests.contract.item_store import Backend, ItemStoreContract
from tests.contract.message_queue import MessageQueueContract, SqsService
from tests.contract.moto_tables import PastDynamoDB

pytestmark = [pytest.mark.slow, pytest.mark.emulator]


class TestDynamoStoreOnMinistack(ItemStoreContract):
    backend_name = "ministack"

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, ministack):
        dynamodb = ministack("dynamodb")
        return Backend(DynamoStore(dynamodb), PastDynamoDB(dynamodb))


class TestDynamoDBOfMinistack(DynamoDBService):
    backend_name = "ministack"

    @pytest.fixture(scope="class")
    @classmethod
    def dynamodb(cls, ministack):
        return ministack("dynamodb")


class TestQueueOnMinistack(MessageQueueContract):
    backend_name = "ministack"

    @pytest.fixture(scope="class")
    @classmethod
    def sqs(cls, ministack):
        return ministack("sqs")


class TestSqsOfMinistack(SqsService):
    backend_name = "ministack"

    @pytest.fixture(scope="class")
    @classmethod
    def sqs(cls, ministack):
        return ministack("sqs")
