"""Backpressure: a sender that is faster than the consumer gets 503 with Retry-After, for a queue in memory is finite.

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
"""Bytes of messages, as SQS counts them: about fifteen million spans. moto needs a kilobyte or two more per message."""


class BoundedSender:
    """A MessageSender that raises StoreThrottled while more than `waiting_bytes_max` bytes wait in the queue."""

    def __init__(
        self, inner: MessageSender, done_bytes: Callable[[], int], waiting_bytes_max: int
    ) -> None:
        """`done_bytes` returns the bytes of all messages that have left the queue again."""
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
