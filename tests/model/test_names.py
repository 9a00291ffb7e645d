"""Names under which spans are counted: ids are taken out, by the name alone."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model.names import NAME_BYTES_MAX, is_named, key_name, statistics_name

FOLDED = [
    ("GET /users/123", "GET /users/{id}"),
    ("GET /users/7/orders/8", "GET /users/{id}/orders/{id}"),
    ("/a/1?x", "/a/{id}?x"),
    ("GET /u/550e8400-e29b-41d4-a716-446655440000/x", "GET /u/{id}/x"),
    ("job 4BF92F3577B34DA6A3CE929D0E0E4736", "job {id}"),
    ("run-9f86d081", "run-{id}"),
    ("order_123456", "order_{id}"),
    ("put 01ARZ3NDEKTSV4RRFFQ69G5FAV", "put {id}"),
]
KEPT = [
    *(
        "GET /",
        "GET /v1/users/{id}",
        "GET /2.0/users",
        "HTTP/2",
        "HTTP 404",
        "deadbeef",
        "report 2024",
    ),
    *("SELECT orders", "s3.PutObject", "step 12", "getUserById2", "base64", "a1b2c3d"),
]


@pytest.mark.parametrize(("name", "counted_as"), FOLDED)
def test_ids_in_names_are_replaced(name, counted_as):
    """Numbers in paths, long numbers, hexadecimal digits, UUIDs and ULIDs are ids, and one of them is as another."""
    assert statistics_name(name) == counted_as


@pytest.mark.parametrize("name", KEPT)
def test_words_versions_and_routes_stay_as_they_are(name):
    """Words, versions, status codes, years and routes stay as they are."""
    assert statistics_name(name) == name


@given(st.text(max_size=40), st.uuids())
def test_a_uuid_never_makes_a_name_of_its_own(text, id_):
    """Whatever stands around it, if it is no letter or digit, two ids make one name."""
    assert statistics_name(f"{text} {id_}") == statistics_name(f"{text} {uuid.UUID(int=7 << 70)}")


@given(st.text(max_size=400))
def test_once_is_enough(name):
    """A name without ids is its own, it is bounded, and every name is found by itself and by what it is counted as."""
    counted_as = statistics_name(name)
    assert len(counted_as.encode()) <= NAME_BYTES_MAX
    assert is_named(name, key_name(name))
    assert is_named(name, counted_as)


@given(st.text("0a/-_ {", min_size=1_800, max_size=2_300))
def test_long_names(name):
    """Up to 2,048 characters ids are taken out; beyond, a name is its own: looking would take long."""
    if len(name) > 2_048:
        assert statistics_name(name) == key_name(name)
    assert statistics_name("x" * 380_000 + " 123456") == key_name("x" * 380_000 + " 123456")
    assert statistics_name(f"/7/{name[:2_000]}") == statistics_name(f"/8/{name[:2_000]}")
