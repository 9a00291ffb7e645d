"""Jaeger's agent: old clients send each batch in a UDP datagram to a port of this machine, and get no answer.

    datagram ──payload_from_call──▶ payload ──messages_of──▶ sender

Datagrams that cannot be taken are counted, and the count is logged once a minute.
Source: jaeger-idl, thrift/agent.thrift; the ports of Jaeger's all-in-one.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.errors import InvalidPayload, StoreError
from chalicelib.jaeger.ingest import payload_from_call
from chalicelib.receive.split import messages_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from chalicelib.queue.message import Message

_logger = logging.getLogger(__name__)

_DATAGRAM_BYTES_MAX = 65_535
_LOOK_SECONDS = 0.2
_COMPLAIN_SECONDS = 60


class JaegerAgent:
    """Takes datagrams on sockets that are bound already, each in a thread of its own, until `stop`."""

    def __init__(
        self, sockets: Sequence[socket.socket], send: Callable[[Sequence[Message]], None]
    ) -> None:
        self._sockets = sockets
        self._send = send
        self._stopping = threading.Event()
        self._lost = 0
        self._complained_at = -float(_COMPLAIN_SECONDS)
        self._threads = [
            threading.Thread(target=self._listen, args=(each,), name="jaeger agent", daemon=True)
            for each in sockets
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take the datagrams that have arrived, then end the threads and close the sockets."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _listen(self, bound: socket.socket) -> None:
        bound.settimeout(_LOOK_SECONDS)
        while True:
            try:
                self._take(bound.recv(_DATAGRAM_BYTES_MAX))
            except TimeoutError:
                if self._stopping.is_set():
                    return

    def _take(self, datagram: bytes) -> None:
        try:
            normalised = payload_from_call(datagram)
            payload, count = normalised.payload, normalised.span_count
            if messages := messages_of(payload, count, config.TENANT, int(time.time())):
                self._send(messages)
        except (InvalidPayload, StoreError) as error:
            self._complain(str(error))
        except Exception as error:
            # An exception would end the port's only thread. The error's message is not logged: it may quote the sender.
            self._complain(type(error).__name__)

    def _complain(self, why: str) -> None:
        self._lost += 1
        if time.monotonic() - self._complained_at >= _COMPLAIN_SECONDS:
            self._complained_at = time.monotonic()
            _logger.warning("%d datagrams to Jaeger's agent were lost: %s", self._lost, why)
