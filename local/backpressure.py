"""A queue in memory has an end: who sends faster than the consumer stores is told to come again, and loses nothing.

send ──▶ room? ──no──▶ 503 with Retry-After
           └─yes─▶ journal ──▶ queue ──▶ consumer ──▶ done
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from chalicelib.errors import StoreThrottled
from chalicelib.queue.sqs import entry_bytes, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.queue.message import Message
    from chalicelib.queue.sqs import MessageSender

WAITING_BYTES_MAX = 500_000_000
"""Of messages, as SQS counts them: some fifteen million spans. moto takes a kilobyte or two more for each message."""


class BoundedSender:
    """A MessageSender that refuses while more than so many bytes wait."""

    def __init__(
        self, inner: MessageSender, done_bytes: Callable[[], int], waiting_bytes_max: int
    ) -> None:
        """`done_bytes`: of all messages that have left the queue again."""
        self._inner = inner
        self._done_bytes = done_bytes
        self._waiting_bytes_max = waiting_bytes_max
        self._sent_bytes = 0
        self._lock = threading.Lock()

    def send(self, messages: Sequence[Message]) -> None:
        added = sum(entry_bytes(entry_of(message)) for message in messages)
        with self._lock:
            waiting = self._sent_bytes - self._done_bytes()
            # An empty queue takes whatever comes: a limit below one request would refuse it for ever.
            if waiting > 0 and waiting + added > self._waiting_bytes_max:
                raise StoreThrottled(f"{waiting} bytes wait to be stored")
            self._sent_bytes += added
        try:
            self._inner.send(messages)
        except Exception:
            with self._lock:
                self._sent_bytes -= added
            raise
