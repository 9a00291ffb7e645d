"""The list of differences is of tests that exist, on backends that exist, and is what the documents show."""

from __future__ import annotations

from pathlib import Path

from tests.contract.differences import DIFFERENCES, table
from tests.contract.dynamodb_service import DynamoDBService
from tests.contract.item_store import ItemStoreContract
from tests.contract.message_queue import MessageQueueContract, SqsService

KITS = (ItemStoreContract, DynamoDBService, MessageQueueContract, SqsService)
PAGE = Path(__file__).parents[2] / "docs" / "emulators.md"


def test_each_names_a_test():
    """Each difference is held by a test of the kits, on a backend that runs it, and is listed once."""
    held = [(each.backend, each.test) for each in DIFFERENCES]
    assert len(held) == len(set(held))
    assert {backend for backend, _ in held} <= {"moto", "ministack", "DynamoDB Local"}
    assert all(any(hasattr(kit, test) for kit in KITS) for _, test in held)


def test_the_page_shows_them():
    """docs/emulators.md has the table as the list has it."""
    assert f"\n\n{table()}\n\n" in PAGE.read_text(encoding="utf-8")
