"""The real clients send to Clew without a line changed, and what they send is what was recorded."""

from __future__ import annotations

import threading
import time

import pytest

from local.server import datagram_socket
from local.stack import LaptopStack
from tests.clients.real import CLIENTS, Client, recorded
from tests.e2e.shop import get, http
from tests.e2e.test_make_run import Clew

pytestmark = pytest.mark.slow

TOKEN = "only-those-who-know-this"
STORED_SECONDS_MAX = 30.0


@pytest.fixture(scope="module")
def stack():
    """A Clew and its agent's port."""
    agent = datagram_socket("127.0.0.1", 0)
    with LaptopStack(
        datagram_sockets=[agent], batch_window_seconds=0.05, run_schedules=False
    ) as started:
        yield started, agent.getsockname()[1]


def skip_if_missing(client: Client) -> None:
    if client.missing:
        pytest.skip(client.missing)


def check_found(client: Client, stack: LaptopStack, agent_port: int) -> None:
    """Send, and find a trace with an error for each encoding."""
    now = int(time.time())
    client.send(now - 60, stack.url, agent_port)
    found: list[dict[str, object]] = []
    while len(found) < len(client.endings):
        # A datagram that is not taken from its socket yet is not waited for.
        stack.wait_until_stored()
        found = get(stack.url, "/v1/traces", service=client.service, status="error")["traces"]
        assert time.time() < now + STORED_SECONDS_MAX, found
    assert len(found) == len(client.endings)
    assert {trace["span_count"] for trace in found} == {2}


@pytest.fixture(scope="module")
def guarded():
    """A Clew that wants a token of everybody."""
    clew = Clew("", TOKEN=TOKEN)
    yield clew.url
    clew.process.kill()
    clew.process.communicate()


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_recorded_again(client):
    """Each sends the golden bytes: on its routes, under its media types, to its agent's port."""
    skip_if_missing(client)
    golden = {ending: path.read_bytes() for ending, path in client.golden.items()}
    assert recorded(client) == golden


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_every_client_is_accepted_and_found_in_each_encoding(client, stack):
    """What each sends in each of its encodings is accepted, and found."""
    skip_if_missing(client)
    check_found(client, *stack)


def check_found_with_token(client: Client, url: str) -> None:
    """Send with a token, in all encodings that can show one, and find the traces with it."""
    now = int(time.time())
    question = f"{url}/v1/traces?service={client.service}&status=error"
    assert http(question).status == 401
    client.send(now - 60, url, 0, TOKEN)
    expected = sum(ending != "compact" for ending in client.endings)
    found = 0
    pause = threading.Event()
    while found < expected:
        pause.wait(0.1)
        found = len(http(question, headers={"x-api-key": TOKEN}).json["traces"])
        assert time.time() < now + STORED_SECONDS_MAX, found
    assert found == expected


@pytest.mark.parametrize(
    "client", [each for each in CLIENTS if each.knows_tokens], ids=lambda client: client.name
)
def test_found_with_token(client, guarded):
    """Each that can be told a token is let in with it, as docs/zipkin.md and docs/jaeger.md say."""
    skip_if_missing(client)
    check_found_with_token(client, guarded)
