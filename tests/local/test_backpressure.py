"""A laptop's queue has an end, and whoever meets it loses nothing."""

from __future__ import annotations

import http.client
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import app as clew
from chalicelib.errors import StoreThrottled
from chalicelib.queue.message import Message, message_from_payload
from chalicelib.queue.sqs import entry_bytes, entry_of
from local.backpressure import BoundedSender
from local.stack import LaptopStack
from tests.payloads import Made, payload

if TYPE_CHECKING:
    from collections.abc import Sequence


def message(number: int) -> Message:
    return message_from_payload("tenant", b"payload %d" % number, 1, 1_790_000_000)


class Queue:
    """What is sent, and taken; a MessageSender that may fail."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        self.done_bytes = 0
        self.is_broken = False

    def send(self, messages: Sequence[Message]) -> None:
        if self.is_broken:
            raise StoreThrottled("broken")
        self.waiting += messages

    def take(self) -> None:
        if self.waiting:
            self.done_bytes += entry_bytes(entry_of(self.waiting.pop(0)))


@given(st.lists(st.sampled_from(["send", "send two", "fail", "take"])), st.integers(1, 2_000))
def test_waiting_requests_never_exceed_the_bound_by_more_than_one(steps, bytes_max):
    """What waits never exceeds the bound by more than one request, and an empty queue takes any."""
    queue = Queue()
    sender = BoundedSender(queue, lambda: queue.done_bytes, bytes_max)
    for number, step in enumerate(steps):
        waiting = sum(entry_bytes(entry_of(one)) for one in queue.waiting)
        messages = [message(2 * number), message(2 * number + 1)][: 2 if step == "send two" else 1]
        added = sum(entry_bytes(entry_of(one)) for one in messages)
        queue.is_broken = step == "fail"
        if step == "take":
            queue.take()
        elif queue.is_broken or (waiting and waiting + added > bytes_max):
            with pytest.raises(StoreThrottled):
                sender.send(messages)
        else:
            sender.send(messages)


@pytest.mark.slow
def test_refused_until_there_is_room(tmp_path, monkeypatch):
    """While too much waits senders get 503 with Retry-After; what was accepted is stored, and there is room again."""
    consume, goes_on = clew.handler_map["consume"], threading.Event()

    def waiting(event, context):
        goes_on.wait(60)
        return consume(event, context)

    monkeypatch.setitem(clew.handler_map, "consume", waiting)
    accepted = set()
    with LaptopStack(
        data_dir=tmp_path, run_schedules=False, batch_window_seconds=0, waiting_bytes_max=5_000
    ) as stack:
        connection = http.client.HTTPConnection(urlsplit(stack.url).netloc, timeout=60)

        def ask(method: str, path: str, body: bytes = b"") -> tuple[int, str | None]:
            connection.request(method, path, body, {"Content-Type": "application/x-protobuf"})
            with connection.getresponse() as answer:
                answer.read()
                return answer.status, answer.headers["Retry-After"]

        for number in range(1, 40):
            status, retry_after = ask("POST", "/v1/traces", payload([Made(number, 1)]))
            if status == 200:
                accepted.add(number)
            else:
                assert (status, retry_after) == (503, "5")
        assert 0 < len(accepted) < 39
        goes_on.set()
        stack.wait_until_stored()
        assert ask("POST", "/v1/traces", payload([Made(99, 1)]))[0] == 200
        stack.wait_until_stored()
        found = {
            number for number in range(1, 100) if ask("GET", f"/v1/traces/{number:032x}")[0] == 200
        }
        connection.close()
    assert found == {*accepted, 99}
