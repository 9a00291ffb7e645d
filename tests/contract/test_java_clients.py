"""Zipkin's Java clients, Brave and zipkin-reporter, as the others in tests/clients; `make contract` installs them."""

from __future__ import annotations

import pytest

from tests.clients.real import JAVA_CLIENTS, recorded
from tests.clients.test_real_clients import (
    check_found,
    check_found_with_token,
    guarded,
    skip_if_missing,
    stack,
)

__all__ = ["guarded", "stack"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.emulator,
    pytest.mark.parametrize("client", JAVA_CLIENTS, ids=lambda client: client.name),
]


def test_recorded_again(client):
    """Each sends the golden bytes, compressed on the way."""
    skip_if_missing(client)
    golden = {ending: path.read_bytes() for ending, path in client.golden.items()}
    assert recorded(client) == golden


def test_every_client_is_accepted_and_found_in_each_encoding(client, stack):
    """What each sends in each of its encodings is accepted, and found."""
    skip_if_missing(client)
    check_found(client, *stack)


def test_found_with_token(client, guarded):
    """OkHttpSender is let in with a token in a header."""
    skip_if_missing(client)
    check_found_with_token(client, guarded)
