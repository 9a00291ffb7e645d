"""DynamoDB's limits, and what it counts as a size, without DynamoDB: for whoever plans what to write.

Source: "Quotas in Amazon DynamoDB" and "DynamoDB item sizes and formats" in the DynamoDB Developer Guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import LimitExceeded
from chalicelib.store.items import PARTITION_KEY, SORT_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.store.items import Item, Plain, Put

ITEM_BYTES_MAX = 409_600
KEY_BYTES_MAX = {PARTITION_KEY: 2_048, SORT_KEY: 1_024}
NUMBER_DIGITS_MAX = 38
NUMBER_MAX = 10**126
"""Numbers are below it, and their negatives."""
_NUMBER_SMALL = 10**NUMBER_DIGITS_MAX
"""Whatever is below it has no more digits than it may."""
BATCH_WRITE_ITEMS_MAX = 25
BATCH_WRITE_BYTES_MAX = 16_000_000
"""Counted as they are sent: bytes in base64, and control characters escaped."""
BATCH_GET_KEYS_MAX = 100
TRANSACTION_ACTIONS_MAX = 100
TRANSACTION_BYTES_MAX = 4_000_000


def item_bytes(item: Item) -> int:
    """What DynamoDB counts as an item's size: names and values."""
    size = 0
    # A loop rather than a sum: this runs for every item, twice.
    for name, value in item.items():
        size += len(name) if name.isascii() else len(name.encode())
        size += len(value) if isinstance(value, bytes) else value_bytes(value)
    return size


def value_bytes(value: Plain) -> int:
    """What DynamoDB counts as a value's size.

    A number's is documented as about a byte for two significant digits, and one. Exactly so, DynamoDB Local counts
    pairs of digits from the decimal point, without pairs of zeros at the end, and a byte for a sign; of zero, one byte.
    """
    if not isinstance(value, int):
        return len(value.encode()) if isinstance(value, str) else len(value)
    if value == 0:
        return 1
    digits = str(abs(value))
    trailing_zeros = len(digits) - len(digits.rstrip("0"))
    return (len(digits) + 1) // 2 - trailing_zeros // 2 + 1 + (value < 0)


def check_item(item: Item) -> int:
    """Return an item's size. Raise LimitExceeded for one that DynamoDB refuses: its keys, its numbers, its size."""
    check_key(item)
    for name, value in item.items():
        if isinstance(value, int) and not -_NUMBER_SMALL < value < _NUMBER_SMALL:
            _check_number(name, value)
    if (size := item_bytes(item)) > ITEM_BYTES_MAX:
        raise LimitExceeded(f"an item of {size} bytes; DynamoDB takes {ITEM_BYTES_MAX}")
    return size


def check_key(key: Item) -> None:
    """Raise LimitExceeded for a key that DynamoDB refuses, or one that lacks a part."""
    for name, most in KEY_BYTES_MAX.items():
        size = value_bytes(key.get(name, b""))
        if not 0 < size <= most:
            raise LimitExceeded(f"a key {name} of {size} bytes; DynamoDB takes 1 to {most}")


def _check_number(name: str, number: int) -> None:
    digits = len(str(abs(number)).rstrip("0"))
    if digits > NUMBER_DIGITS_MAX or abs(number) >= NUMBER_MAX:
        raise LimitExceeded(
            f"a number {name} of {digits} significant digits, below 10^{len(str(abs(number)))}; "
            f"DynamoDB takes {NUMBER_DIGITS_MAX}, below 10^126"
        )


def check_transaction(actions: Sequence[Put]) -> None:
    """Raise LimitExceeded for a transaction that DynamoDB refuses, whatever is stored."""
    size = 0
    for action in actions:
        size += check_item(action.item)
    if len(actions) > TRANSACTION_ACTIONS_MAX or size > TRANSACTION_BYTES_MAX:
        raise LimitExceeded(
            f"a transaction of {len(actions)} actions and {size} bytes; "
            f"DynamoDB takes {TRANSACTION_ACTIONS_MAX} and {TRANSACTION_BYTES_MAX}"
        )
    items = {
        (action.table, action.item[PARTITION_KEY], action.item[SORT_KEY]) for action in actions
    }
    if len(items) < len(actions):
        raise LimitExceeded(
            f"{len(actions)} actions on {len(items)} items; DynamoDB takes one each"
        )
