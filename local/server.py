"""waitress on sockets that are already bound, with threads for each kind of request, bounds, and an orderly end.

sockets ──▶ Listener ──▶ Channel (door) ──▶ Pools ─┬─ SEND   threads for what is short, and for what
                                                   ├─ LIGHT  is long (turns.py); who waits too long, or
                                                   ├─ TRACE  behind too many, is told so: 503
                                                   ├─ HEAVY
                                                   └─ door   2   refusals, and who may send what is large
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from local.door import Channel, Door
from local.gateway import BODY_BYTES_MAX
from local.http_parser import HEADER_BYTES_MAX
from local.turns import ROOM, Kind, Turns, Work, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from wsgiref.types import WSGIApplication

    from local.door import Judge

_logger = logging.getLogger(__name__)

THREADS = {Kind.LIGHT: 2, **{kind: room.threads for kind, room in ROOM.items()}}
"""Threads of each kind. Most of them wait: Python runs one at a time, and few long requests are worked on at once."""
DOOR_THREADS = 2
WAITING_MAX = 32
"""The most requests of one kind that wait for a thread."""
WAITING_SECONDS_MAX = 10.0
"""The longest wait for a thread; most clients give up after 10 to 30 s."""
SWEEP_SECONDS = 0.25
_NEVER = 1 << 30
RECEIVE_BYTES = 64 * 1024
"""The size of one read of a socket: a usual request takes two reads, not the dozen of waitress's default."""
OUT_BYTES_IN_MEMORY_MAX = 256 * 1024
"""The part of an unsent answer that stays in memory; the rest goes to a temporary file."""
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""The receive buffer, where datagrams wait while a batch is sent on. Datagrams that do not fit are lost."""
FLUSH_SECONDS = 1.0
"""How long the server waits at its end for answers to be sent."""


class PortTaken(Exception):
    """The port is taken: another process listens at it."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket. Clients that connect before the server is up wait in its backlog.

    Raises PortTaken, or OSError for any other reason.
    """
    listening = _bound_socket(host, port, socket.SOCK_STREAM, socket.SO_REUSEADDR, 1)
    listening.listen(128)
    return listening


def datagram_socket(host: str, port: int) -> socket.socket:
    """Return a bound UDP socket with a large receive buffer. Raises PortTaken or OSError."""
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


class Pools:
    """One of waitress's task dispatchers for each kind of request."""

    def __init__(self, turns: Turns, busy: Callable[[Any], object]) -> None:
        """`busy` returns the answer to a request for which there is no room."""
        self._turns = turns
        self._busy = busy
        self._door = _dispatcher(DOOR_THREADS)
        self._of_kind = {kind: _dispatcher(threads) for kind, threads in THREADS.items()}

    def run(self, function: Callable[[], None]) -> None:
        """Call a short function in another thread."""
        self._door.add_task(_Call(function))

    def add_task(self, channel: Channel) -> None:
        """Queue the channel's first request for a thread. Any thread may call this."""
        request = channel.requests[0]
        kind = Kind.LIGHT if request.error else kind_of(request.command, request.path)
        channel.work = Work(self._turns, kind, channel.check_client_disconnected)
        channel.queued_at = time.monotonic()
        pool = self._of_kind[kind]
        if request.error:
            self._door.add_task(channel)
        elif kind is not Kind.SEND and len(pool.queue) >= WAITING_MAX:
            self._refuse(channel)
        else:
            pool.add_task(channel)

    def sweep(self) -> None:
        """Answer 503 to requests that have waited too long for a thread."""
        too_early = time.monotonic() - WAITING_SECONDS_MAX
        for kind, pool in self._of_kind.items():
            if kind is Kind.SEND:
                continue
            late = []
            with pool.lock:
                while pool.queue and pool.queue[0].queued_at < too_early:
                    late.append(pool.queue.popleft())
            for channel in late:
                self._refuse(channel)

    def shutdown(self, timeout_seconds: float) -> None:
        """End the threads once the running requests are finished, or time is over."""
        pools = [*self._of_kind.values(), self._door]
        for pool in pools:
            pool.set_thread_count(0)
        ends = time.monotonic() + timeout_seconds
        for pool in pools:
            pool.shutdown(timeout=max(0.0, ends - time.monotonic()))

    def _refuse(self, channel: Channel) -> None:
        request = channel.requests[0]
        request.error = self._busy(request)
        self._door.add_task(channel)


class _Call:
    """A function in the form of waitress's tasks."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.service = function

    def cancel(self) -> None:
        """Do nothing: there is nothing to clean up."""


def _dispatcher(threads: int) -> ThreadedTaskDispatcher:
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(threads)
    return dispatcher


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """A listening socket that accepts connections."""

    def __init__(self, door: Door, *arguments: Any, **named: Any) -> None:
        self._door = door
        self.channel_class = partial(Channel, door)
        super().__init__(*arguments, **named)

    def accept(self) -> Any:
        try:
            return super().accept()
        except OSError as error:
            self._door.accept_failed(error)
            raise


class Server:
    """Serves a WSGI application on all the sockets, in its own threads."""

    def __init__(
        self,
        application: WSGIApplication,
        sockets: Sequence[socket.socket],
        judge: Judge | None = None,
        turns: Turns | None = None,
    ) -> None:
        """`judge` decides which requests may send a large body; without a judge all may."""
        # Its warning about a queue of requests is noise where threads share one interpreter.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._channels: dict[int, Any] = {}
        self._ends, self._told = threading.Event(), threading.Event()
        self._soon: deque[Callable[[], None]] = deque()
        turns = turns or Turns()
        self._door = Door(judge, turns, lambda call: self._pools.run(call), self._call_soon)
        self._pools = Pools(turns, self._door.busy)
        adjustments = Adjustments(
            recv_bytes=RECEIVE_BYTES,
            ident="clew",
            max_request_header_size=HEADER_BYTES_MAX,
            max_request_body_size=BODY_BYTES_MAX + 1,
            # Bodies have a bound of their own, and stay in memory.
            inbuf_overflow=BODY_BYTES_MAX + 1,
            outbuf_overflow=OUT_BYTES_IN_MEMORY_MAX,
            log_socket_errors=False,
            # The door bounds connections and their idle time.
            connection_limit=_NEVER,
            cleanup_interval=_NEVER,
            channel_timeout=_NEVER,
        )
        self._listeners = [
            Listener(
                self._door,
                application,
                map=self._channels,
                _sock=each,
                dispatcher=self._pools,
                adj=adjustments,
                bind_socket=False,
                sockinfo=(each.family, each.type, each.proto, each.getsockname()),
            )
            for each in sockets
        ]
        self._thread = threading.Thread(target=self._serve, name="server", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Take no more connections, finish the requests that are running, send their answers, close."""
        for listener in self._listeners:
            # In the server's own thread: its map of sockets is not to be changed from another.
            listener.trigger.pull_trigger(partial(wasyncore.dispatcher.close, listener))
        self._pools.shutdown(timeout_seconds)
        self._listeners[0].trigger.pull_trigger(self._ends.set)
        # Something else may wake the thread, and have it end, before the pull is done with the trigger.
        self._told.set()
        self._thread.join()

    def _call_soon(self, call: Callable[[], None]) -> None:
        """Let the server's thread call a function; any thread may ask.

        waitress's trigger does not call it itself, for it would hold its lock meanwhile.
        """
        self._soon.append(call)
        if not self._ends.is_set():
            self._listeners[0].trigger.pull_trigger()

    def _serve(self) -> None:
        sweeps_at = 0.0
        while not self._ends.is_set():
            wasyncore.loop(timeout=SWEEP_SECONDS, use_poll=True, map=self._channels, count=1)
            while self._soon:
                self._do(self._soon.popleft())
            if time.monotonic() >= sweeps_at:
                sweeps_at = time.monotonic() + SWEEP_SECONDS
                self._do(self._door.sweep)
                self._do(self._pools.sweep)
        ends = time.monotonic() + FLUSH_SECONDS
        while self._unsent_bytes() and time.monotonic() < ends:
            wasyncore.loop(timeout=0.05, use_poll=True, map=self._channels, count=1)
        self._told.wait()
        self._door.close()
        wasyncore.close_all(self._channels)

    def _do(self, call: Callable[[], None]) -> None:
        """Call a function and log any exception: the server's thread must go on."""
        try:
            call()
        except Exception:
            _logger.exception("the server's own work failed")

    def _unsent_bytes(self) -> int:
        channels = list(self._channels.values())
        return sum(getattr(channel, "total_outbufs_len", 0) for channel in channels)
