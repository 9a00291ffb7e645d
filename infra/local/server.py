"""waitress on sockets that are already bound, with an orderly end."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import waitress.server
from waitress import wasyncore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from wsgiref.types import WSGIApplication

THREADS = 8
BODY_BYTES_MAX = 64 * 1024 * 1024
"""waitress ends the connection above it. The gateway's limit is lower, so that its answer is the usual one."""
CONNECTIONS_MAX = 1_000
RECEIVE_BYTES = 64 * 1024
"""Of one read of a socket: a usual request in two of them, and not in the dozen that waitress would take."""
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""Datagrams wait there while a batch is sent on; what does not fit is lost, as with any agent."""
FLUSH_SECONDS = 1.0
"""How long answers that are written may take to leave when the server ends."""


class PortTaken(Exception):
    """Somebody else listens there."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that listens already: clients that come before the server is up wait in its backlog.

    Raises PortTaken, or OSError for any other reason.
    """
    listening = _bound_socket(host, port, socket.SOCK_STREAM, socket.SO_REUSEADDR, 1)
    listening.listen(128)
    return listening


def datagram_socket(host: str, port: int) -> socket.socket:
    """A bound UDP socket, with room for what arrives while nobody looks. Raises as `listening_socket` does."""
    return _bound_socket(host, port, socket.SOCK_DGRAM, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


def _bound_socket(
    host: str, port: int, type_: socket.SocketKind, option: int, value: int
) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=type_)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, option, value)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"port {port} of {host} is taken by another process") from error
        raise
    return bound


class Server:
    """Serves a WSGI application on all the sockets, in threads of its own."""

    def __init__(self, application: WSGIApplication, sockets: Sequence[socket.socket]) -> None:
        # Its warning about a queue of requests is noise where eight threads share one interpreter.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._channels: dict[int, Any] = {}
        self._ends, self._told = threading.Event(), threading.Event()
        created = waitress.server.create_server(
            application,
            map=self._channels,
            sockets=list(sockets),
            threads=THREADS,
            recv_bytes=RECEIVE_BYTES,
            ident="clew",
            max_request_body_size=BODY_BYTES_MAX,
            inbuf_overflow=16 * 1024 * 1024,
            connection_limit=CONNECTIONS_MAX,
            asyncore_use_poll=True,
        )
        self._tasks = created.task_dispatcher
        self._listeners = [c for c in self._channels.values() if hasattr(c, "active_channels")]
        self._thread = threading.Thread(target=self._serve, name="server", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Take no more connections, finish the requests that are running, send their answers, close."""
        for listener in self._listeners:
            # In the server's own thread: its map of sockets is not to be changed from another.
            listener.trigger.pull_trigger(partial(wasyncore.dispatcher.close, listener))
        self._tasks.shutdown(timeout=timeout_seconds)
        self._listeners[0].trigger.pull_trigger(self._ends.set)
        # Something else may wake the thread, and have it end, before the pull is done with the trigger.
        self._told.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._ends.is_set():
            wasyncore.loop(timeout=1, use_poll=True, map=self._channels, count=1)
        ends = time.monotonic() + FLUSH_SECONDS
        while self._unsent_bytes() and time.monotonic() < ends:
            wasyncore.loop(timeout=0.05, use_poll=True, map=self._channels, count=1)
        self._told.wait()
        wasyncore.close_all(self._channels)

    def _unsent_bytes(self) -> int:
        channels = list(self._channels.values())
        return sum(getattr(channel, "total_outbufs_len", 0) for channel in channels)
