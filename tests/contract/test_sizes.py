"""How DynamoDB counts a value's bytes: golden figures, measured on DynamoDB Local by write units."""

from __future__ import annotations

import pytest

from chalicelib.store.limits import value_bytes


@pytest.mark.parametrize(
    ("value", "size"),
    [
        *((0, 1), (1, 2), (99, 2), (100, 2), (110, 3), (123, 3), (1_000, 2), (1_230, 3)),
        *((12_340, 4), (12_345, 4), (-1, 3), (-12, 3), (-123, 4), (1_763_888_888, 6)),
        *((1_763_888_800, 5), (2**63, 11), (10**37, 2), (10**38 - 1, 20), (-(10**37) - 1, 21)),
        *(("", 0), ("é", 2), (b"", 0), (b"\xff\0", 2)),
    ],
    ids=repr,
)
def test_value_bytes(value, size):
    """Text counts as UTF-8, bytes as they are, a number by pairs of its digits from the decimal point."""
    assert value_bytes(value) == size
