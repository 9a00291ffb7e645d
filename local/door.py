"""Bounds on connections: how many there are, how long each may be silent, and how much of bodies is in memory.

    connect ──▶ headers, HEADER_SECONDS ──▶ body ──small────────────────────────────────▶ queue of its kind
                                              └──large──▶ may it? ──▶ room? ──▶ received ──┘
                                                            └─ no: answered now; what still comes is thrown away

A client that has shown no token gets 64 KB of a body into memory; where there are too many connections, its connection
is closed first. A large body waits in its sender's own buffers until there is room for all of it. So bodies that never
end cannot fill the memory, and slow ones are refused when others wait.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from local.gateway import BODY_BYTES_MAX
from local.http_parser import Parser
from local.turns import Kind, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.gateway import Answer
    from local.turns import Turns

CONNECTIONS_MAX = 512
"""A laptop's SDKs, a browser and a Collector have a few dozen. One more closes the one that was idle for longest."""
CONNECTIONS_OF_ADDRESS_MAX = 256
"""Connections of one other machine. This machine's programs share one address; CONNECTIONS_MAX bounds those."""
STRANGERS_MAX = 128
"""Connections without a whole request so far: the server looks at each of them in every round of its loop."""
HEADER_SECONDS = 10.0
"""Time from a request's first byte, or from connecting, to the end of its headers."""
IDLE_SECONDS = 120.0
"""How long a connection may be silent between two requests."""
WRITE_SECONDS = 30.0
"""How long a client may take no byte of its answer."""
LINGER_SECONDS = 5.0
"""How long bytes after a refusal are read and thrown away. Otherwise a TCP reset may destroy the answer."""
BODIES_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of all large bodies in memory until they are answered: a dozen of the largest that Clew takes."""
ROOM_SECONDS = 5.0
"""How long a body waits for room before its sender gets 503."""
BODY_SECONDS_MIN = 10.0
BODY_BYTES_PER_SECOND_MIN = 32 * 1024
"""The lowest mean rate of a body, looked at after BODY_SECONDS_MIN: less than a telephone line gives."""
CONTESTED_SECONDS_MAX = 1.0
CONTESTED_BYTES_PER_SECOND_MIN = 256 * 1024
"""The longest silence of a body and its lowest mean rate after that, while other bodies wait for its room."""
EMPTY_REQUESTS_MAX = 16
"""Blank lines between requests: a client may send one."""
_LOOPBACK = ("127.", "::1", "::ffff:127.")
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)


class Refusal:
    """An answer in the form that waitress expects of a request's error."""

    def __init__(self, status_line: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self._response = status_line, headers, body

    def to_response(self, _: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        return self._response


def refusal_of(answer: Answer) -> Refusal:
    from http import HTTPStatus

    status = HTTPStatus(answer.status)
    return Refusal(f"{status.value} {status.phrase}", list(answer.headers), answer.body)


TIMED_OUT = Refusal(
    "408 Request Timeout",
    [("Content-Type", "text/plain; charset=utf-8")],
    b"the request's headers did not come in time",
)


class Judge(Protocol):
    """Decides about requests by their headers."""

    def refusal(self, request: Parser, address: str) -> Answer | None:
        """Return the answer that refuses the request before its body is read; None if it may send the body."""

    def busy(self, request: Parser) -> Answer:
        """Return a 503 in the form of the request's dialect."""


class Task(WSGITask):  # type: ignore[misc]
    """A request that gives way to others, and ends with its client."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        work = self.channel.work
        work.begin()
        environ["clew.go_on"] = work.go_on
        return environ


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection. All but `service` happens in the server's own thread."""

    parser_class = Parser  # waitress makes one for its own errors
    task_class = Task
    request: Parser | None = None
    """The request that is being received."""

    def __init__(self, door: Door, *arguments: Any, **named: Any) -> None:
        self.door = door
        self.work = Work(door.turns, Kind.LIGHT)
        """The work of the request that is being answered."""
        self.queued_at = 0.0
        self.since = time.monotonic()
        """The monotonic time of the last change: opened, a request ended, or a request began."""
        self.read_at = self.written_at = self.since
        self.has_asked = False
        """Whether the connection ever had a whole request."""
        self.body_since: float | None = None
        self.may_send = False
        """Whether the request that is being received may send its large body, and has room."""
        self.is_judged = False
        """Whether the judge is deciding about the request; nothing is read meanwhile."""
        self.lingers_until: float | None = None
        self._is_cut_off = False
        """Whether there may be more of a request that was answered without it."""
        self._rest = b""
        self._empty = 0
        super().__init__(*arguments, **named)
        door.came(self)

    @property
    def address(self) -> str:
        return str(self.addr[0])

    @property
    def is_idle(self) -> bool:
        """Whether the server has nothing to do for the connection and only waits for the client."""
        return not (self.requests or self.total_outbufs_len or self.is_judged or self.may_send)

    def check_client_disconnected(self) -> bool:
        """Return whether the client has closed the connection; nothing is read meanwhile, so peek at the socket."""
        try:
            peek = socket.MSG_PEEK | socket.MSG_DONTWAIT
            return not self.connected or not self.socket.recv(1, peek)
        except BlockingIOError:
            return False
        except (OSError, AttributeError):
            return True

    def readable(self) -> bool:
        """Return whether to read from the socket. waitress asks this in each round; this version never looks ahead."""
        return not (
            self.requests
            or self.is_judged
            or self.total_outbufs_len
            or self.close_when_flushed
            or self.will_close
        )

    def handle_read(self) -> None:
        if self.lingers_until is None:
            self.read_at = time.monotonic()
            super().handle_read()
            return
        try:
            self.recv(self.adj.recv_bytes)
        except OSError:
            self.handle_close()

    def handle_write(self) -> None:
        refused = self.close_when_flushed and self.lingers_until is None and self._is_cut_off
        if not refused:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.connected and not self.total_outbufs_len:
            self._linger()

    def _linger(self) -> None:
        self.close_when_flushed = False
        self.lingers_until = time.monotonic() + LINGER_SECONDS
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def _flush_some(self, do_close: bool = True) -> bool:
        flushed = bool(super()._flush_some(do_close=do_close))
        if flushed:
            self.written_at = time.monotonic()
        return flushed

    def received(self, data: bytes) -> bool:
        with self.requests_lock:
            if self.will_close or self.close_when_flushed:
                return False
            self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        while data:
            if self.request is None:
                self.request = Parser(self.adj)
                self.since = time.monotonic()
            request = self.request
            data = data[request.received(data) :]
            if request.completed:
                self._complete(request)
                if request.error:
                    return  # where the next one would begin is not known
                continue
            if not request.headers_finished:
                continue
            if self.body_since is None:
                self.body_since = time.monotonic()
            if request.is_large and not self.may_send:
                self.is_judged, self._rest = True, data
                self.door.judge_large(self, request)
                return
            if request.expect_continue and not self.requests and not self.sent_continue:
                self.send_continue()

    def _complete(self, request: Parser) -> None:
        self.sent_continue = self.may_send = False
        self.request = None
        self.body_since = None
        self.since = time.monotonic()
        if request.empty:
            self._empty += 1
            if self._empty > EMPTY_REQUESTS_MAX:
                self.will_close = True
            return
        self._empty = 0
        if not (request.error or self.has_asked):
            self.has_asked = True
            self.door.knows(self)
        self._is_cut_off = bool(request.error)
        self.requests.append(request)
        if len(self.requests) == 1:
            self.server.add_task(self)

    def go_on(self, request: Parser) -> None:
        """Receive the large body: there is room for it."""
        with self.requests_lock:
            self.is_judged = False
            if self.request is not request or not self.connected:
                request.close()
                return
            self.may_send, self.body_since = True, time.monotonic()
            if request.expect_continue and not self.requests and not self.sent_continue:
                self.send_continue()
            rest, self._rest = self._rest, b""
            self._take(rest)

    def refuse(self, request: Parser, refusal: Refusal) -> None:
        """Answer the request that is being received at once, without what is still to come of it."""
        with self.requests_lock:
            self.is_judged, self._rest = False, b""
            if self.request is request and self.connected:
                request.error, request.completed = refusal, True
                self._complete(request)

    def service(self) -> None:
        work = self.work
        try:
            super().service()
        finally:
            self.since = time.monotonic()
            work.end()

    def handle_close(self) -> None:
        super().handle_close()
        if self.request is not None:
            self.request.close()
        self.door.left(self)


class Door:
    """All the connections of a server. Its methods belong to the server's thread, unless they say otherwise."""

    def __init__(
        self,
        judge: Judge | None,
        turns: Turns,
        run: Callable[[Callable[[], None]], None],
        call_soon: Callable[[Callable[[], None]], None],
    ) -> None:
        """`run` calls a function in another thread; `call_soon`, from any thread, calls one in the server's thread."""
        self.turns = turns
        self._judge = judge
        self._run = run
        self._call_soon = call_soon
        self._channels: set[Channel] = set()
        self._strangers: set[Channel] = set()
        self._of_address: dict[str, int] = {}
        self._waiting: deque[tuple[float, Channel, Parser]] = deque()
        self._reserved_bytes = 0
        self._lock = threading.Lock()

    def came(self, channel: Channel) -> None:
        """Count a new connection; if there are too many now, close the least useful one."""
        address = channel.address
        self._channels.add(channel)
        self._strangers.add(channel)
        self._of_address[address] = self._of_address.get(address, 0) + 1
        is_near = address.startswith(_LOOPBACK)
        if not is_near and self._of_address[address] > CONNECTIONS_OF_ADDRESS_MAX:
            self.spare_one([one for one in self._channels if one.address == address])
        elif len(self._channels) > CONNECTIONS_MAX:
            self.spare_one(self._channels)
        elif len(self._strangers) > STRANGERS_MAX:
            self.spare_one(self._strangers)

    def knows(self, channel: Channel) -> None:
        """Note that the connection has had a whole request."""
        self._strangers.discard(channel)

    def left(self, channel: Channel) -> None:
        if channel in self._channels:
            self._channels.remove(channel)
            self._strangers.discard(channel)
            self._of_address[channel.address] -= 1
            if not self._of_address[channel.address]:
                del self._of_address[channel.address]

    def spare_one(self, channels: Iterable[Channel] | None = None) -> None:
        """Close the oldest idle connection; one that never had a whole request goes before all others."""
        among = self._channels if channels is None else channels
        idle = [channel for channel in among if channel.is_idle]
        if idle:
            min(idle, key=lambda channel: (channel.has_asked, channel.since)).handle_close()
        elif channels:
            max(channels, key=lambda channel: channel.since).handle_close()

    def judge_large(self, channel: Channel, request: Parser) -> None:
        """Let the judge decide in another thread whether the request may send its body: it may have to read a table."""
        judge = self._judge
        if judge is None:
            self._call_soon(lambda: self._receive(channel, request))
            return

        def decide() -> None:
            answer = judge.refusal(request, channel.address)
            if answer is None:
                self._call_soon(lambda: self._receive(channel, request))
            else:
                self._call_soon(lambda: channel.refuse(request, refusal_of(answer)))

        self._run(decide)

    def _receive(self, channel: Channel, request: Parser) -> None:
        if self._waiting or not self._reserve(request):
            self._waiting.append((time.monotonic() + ROOM_SECONDS, channel, request))
        else:
            channel.go_on(request)

    def _reserve(self, request: Parser) -> bool:
        size = request.content_length or BODY_BYTES_MAX  # in chunks: the most that it can have
        with self._lock:
            if self._reserved_bytes and self._reserved_bytes + size > BODIES_BYTES_MAX:
                return False
            self._reserved_bytes += size
        request.release = lambda: self._give_back(size)
        return True

    def _give_back(self, size: int) -> None:
        """Return room to other bodies; any thread may call this."""
        with self._lock:
            self._reserved_bytes -= size
        if self._waiting:
            self._call_soon(self._let_in)

    def _let_in(self) -> None:
        while self._waiting:
            _, channel, request = self._waiting[0]
            if channel.connected and not self._reserve(request):
                return
            self._waiting.popleft()
            channel.go_on(request)

    def busy(self, request: Parser) -> Refusal:
        if self._judge is None:
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "5")]
            return Refusal("503 Service Unavailable", headers, b"busy: come again")
        return refusal_of(self._judge.busy(request))

    def sweep(self) -> None:
        """Close connections and refuse requests that took too long."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, channel, request = self._waiting.popleft()
            channel.refuse(request, self.busy(request))
        for channel in list(self._channels):
            self._look_at(channel, now)
        self._let_in()

    def _look_at(self, channel: Channel, now: float) -> None:
        if channel.lingers_until is not None:
            if channel.lingers_until <= now:
                channel.handle_close()
        elif channel.total_outbufs_len:
            if now - channel.written_at > WRITE_SECONDS:
                channel.handle_close()
        elif channel.requests or channel.is_judged:
            pass  # the client waits for the server
        elif channel.body_since is not None and channel.request is not None:
            if self._is_slow(channel.request, now - channel.body_since, now - channel.read_at):
                channel.refuse(channel.request, self.busy(channel.request))
        elif channel.request is not None:
            if now - channel.since > HEADER_SECONDS:
                channel.refuse(channel.request, TIMED_OUT)
        elif now - channel.since > (IDLE_SECONDS if channel.has_asked else HEADER_SECONDS):
            channel.handle_close()

    def _is_slow(self, request: Parser, seconds: float, silent_seconds: float) -> bool:
        received = request.body_bytes_received
        if seconds > BODY_SECONDS_MIN and received < seconds * BODY_BYTES_PER_SECOND_MIN:
            return True
        return bool(self._waiting) and (
            silent_seconds > CONTESTED_SECONDS_MAX
            or received < (seconds - CONTESTED_SECONDS_MAX) * CONTESTED_BYTES_PER_SECOND_MIN
        )

    def close(self) -> None:
        """Close every connection."""
        for channel in list(self._channels):
            channel.handle_close()

    def accept_failed(self, error: OSError) -> None:
        """Close a connection if the process has no file descriptor left for a new one."""
        if error.errno in _OUT_OF_FILES:
            self.spare_one()
