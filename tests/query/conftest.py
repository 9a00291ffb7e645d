"""The three tables on moto, as the template makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib import config, wiring
from local.fake_aws import Moto, client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.store.dynamodb import DynamoStore


@pytest.fixture(scope="module")
def moto():
    started = Moto()
    started.start(config.PREFIX, {})
    yield
    started.stop()


@pytest.fixture
def store(moto: None) -> Iterator[DynamoStore]:
    """Empty tables."""
    yield wiring.store()
    dynamodb = client("dynamodb")
    for table in (config.SPANS_TABLE, config.INDEX_TABLE, config.STATISTICS_TABLE):
        for item in dynamodb.scan(TableName=table)["Items"]:
            dynamodb.delete_item(TableName=table, Key={"p": item["p"], "s": item["s"]})
