"""One Clew in this process: server, gateway, functions, poller, clock and journal on a fake or foreign AWS."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import ScheduledEventConfig, ScheduleExpression, SQSEventConfig

from chalicelib import config, wiring
from chalicelib.errors import StoreError
from chalicelib.model.token import Scope
from infra.local import fake_aws
from infra.local.event_source_mapping import EventSourceMapping, Source
from infra.local.functions import context_of
from infra.local.gateway import Gateway
from infra.local.jaeger_agent import JaegerAgent
from infra.local.journal import Journal, JournalledSender
from infra.local.sampling_file import SamplingFile
from infra.local.schedule import Clock, Schedule, seconds_from_rate
from infra.local.server import Server, listening_socket
from infra.tokens import make_token

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from chalice.app import Chalice

    from chalicelib.queue.message import Message
    from chalicelib.queue.sqs import MessageSender

_logger = logging.getLogger(__name__)

BATCH_WINDOW_SECONDS = 1.0
"""Shorter than in production: somebody sits in front of it and waits for a trace."""
STOP_SECONDS = 5.0
"""How long each part may take to end what it is doing."""
REPLAY_CHUNK_MESSAGES = 50
"""Messages in the queue at once while a journal is replayed: moto's queue slows down with its length."""


class LocalStack:
    """A whole Clew; also a context manager.

    with LocalStack() as stack:
        post(f"{stack.url}/v1/traces", …)
        stack.wait_until_stored()
    """

    def __init__(
        self,
        app: Chalice | None = None,
        *,
        sockets: Sequence[socket.socket] = (),
        datagram_sockets: Sequence[socket.socket] = (),
        data_dir: Path | None = None,
        aws: fake_aws.Aws | None = None,
        batch_window_seconds: float = BATCH_WINDOW_SECONDS,
        parameters: Mapping[str, str] | None = None,
        run_schedules: bool = True,
        token: str = "",
        sampling_file: Path | None = None,
    ) -> None:
        """Nothing happens before `start`.

        app: the Chalice application with its event functions registered; `app.app` by default.
        sockets: listening ones, which it then owns; a free port of 127.0.0.1 by default.
        datagram_sockets: bound ones for Jaeger's agent, which it then owns; none by default.
        data_dir: the journal's folder; without it nothing is kept.
        parameters: of `stack.yaml`, beside Prefix.
        run_schedules: whether the clock runs; `summarise` works anyway.
        token: one that may do everything, kept in the table beside those that are there.
        sampling_file: strategies in the form of Jaeger's file, kept in the table; changes are kept too.
        """
        self._app = app
        self._sockets = list(sockets)
        self._datagram_sockets = list(datagram_sockets)
        self._data_dir = data_dir
        self._aws = aws or fake_aws.Moto()
        self._batch_window_seconds = batch_window_seconds
        self._parameters = parameters or {}
        self._run_schedules = run_schedules
        self._token = token
        self._sampling_file = sampling_file
        self._journal: Journal | None = None
        self._stopping = threading.Event()
        self._undo: list[Callable[[], object]] = []

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> Self:
        """Return when requests are answered.

        Raises JournalError, SamplingFileError, or what AWS raises; then nothing is left running.
        """
        self._stopping.clear()
        self._undo = []
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Finish what is running, take nothing new, let go of everything. Stopping twice is harmless."""
        self._stopping.set()
        while self._undo:
            self._undo.pop()()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self, service: str) -> Any:
        """A botocore client of the AWS that the functions see."""
        return fake_aws.client(service)

    def wait_until_stored(self, timeout_seconds: float = 60.0) -> None:
        """Return when every message that was accepted or replayed so far is consumed, or in the dead-letter queue.

        Batching windows end early meanwhile. Raises TimeoutError.
        """
        ends = time.monotonic() + timeout_seconds
        self._replay.join(timeout_seconds)
        if self._replay.is_alive() or not self._mapping.wait_until_at_most(
            0, ends - time.monotonic()
        ):
            raise TimeoutError(f"messages are left in the queue after {timeout_seconds} s")

    def summarise(self) -> None:
        """Run every schedule once, now, and raise what it raises."""
        self._clock.run_all()

    def _start(self) -> None:
        if self._data_dir is not None:
            oldest = int(time.time()) - config.RETENTION_SECONDS
            self._journal = Journal(self._data_dir, oldest)
            self._undo.append(self._journal.close)
        self._aws.start(config.PREFIX, self._parameters)
        self._undo.append(self._aws.stop)
        if self._token:
            make_token(wiring.store(), Scope, "TOKEN", self._token)
        if self._sampling_file is not None:
            sampling = SamplingFile(self._sampling_file, wiring.strategies().replace)
            sampling.start()
            self._undo.append(lambda: sampling.stop(STOP_SECONDS))
        app = self._app or _default_app()
        self._start_events(app)
        self._start_replay()
        agent = JaegerAgent(self._datagram_sockets, lambda messages: wiring.sender().send(messages))
        agent.start()
        self._undo.append(agent.stop)
        if not self._sockets:
            self._sockets = [listening_socket("127.0.0.1", 0)]
        server = Server(Gateway(app), self._sockets)
        server.start()
        self._undo.append(self._sockets.clear)
        self._undo.append(lambda: server.stop(STOP_SECONDS))

    def _start_events(self, app: Chalice) -> None:
        sqs = self.client("sqs")
        self._clock = Clock(list(schedules_of(app)), sqs.meta.region_name)
        if self._run_schedules:
            self._clock.start()
            self._undo.append(lambda: self._clock.stop(STOP_SECONDS))
        source, function = self._consumer_of(app, sqs)
        self._mapping = EventSourceMapping(sqs, source, function)
        self._mapping.start()
        self._undo.append(lambda: self._mapping.stop(STOP_SECONDS, wake=self._aws.discards))

    def _consumer_of(
        self, app: Chalice, sqs: Any
    ) -> tuple[Source, Callable[[dict[str, Any]], object]]:
        """The span queue as an event source, and the function that the application registered for it."""
        found = [source for source in app.event_sources if isinstance(source, SQSEventConfig)]
        if len(found) != 1:
            raise TypeError(f"the application has {len(found)} SQS event functions, not one")
        url = sqs.get_queue_url(QueueName=config.SPAN_QUEUE)["QueueUrl"]
        names = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = names["Attributes"]["QueueArn"]
        source = Source(url, arn, found[0].batch_size, self._batch_window_seconds)
        return source, _invocation(app, found[0].name)

    def _start_replay(self) -> None:
        inner = wiring.sender()
        self._replay = threading.Thread(
            target=self._send_again, args=(inner,), name="replay", daemon=True
        )
        if self._journal is not None:
            wiring.replace_sender(JournalledSender(self._journal, inner))
        self._replay.start()
        self._undo.append(self._replay.join)

    def _send_again(self, sender: MessageSender) -> None:
        """Put what the journal holds into the queue, no faster than it is consumed."""
        for chunk in _chunks(self._journal.messages() if self._journal else iter(())):
            while not self._stopping.is_set():
                try:
                    sender.send(chunk)
                    break
                except StoreError as error:
                    _logger.warning("the journal's messages cannot be sent yet: %s", error)
                    self._stopping.wait(1)
            while not self._stopping.is_set() and not self._caught_up():
                pass
            if self._stopping.is_set():
                return

    def _caught_up(self) -> bool:
        try:
            return self._mapping.wait_until_at_most(REPLAY_CHUNK_MESSAGES, 0.5)
        except (BotoCoreError, ClientError) as error:
            _logger.warning("the queue cannot be read: %s", error)
            return self._stopping.wait(1)


def schedules_of(app: Chalice) -> Iterator[Schedule]:
    """The scheduled functions of an application; one whose expression is no rate is said, and left out."""
    for source in app.event_sources:
        if not isinstance(source, ScheduledEventConfig):
            continue
        expression = source.schedule_expression
        if isinstance(expression, ScheduleExpression):
            expression = expression.to_string()
        try:
            seconds = seconds_from_rate(expression)
        except ValueError as error:
            _logger.warning("%s does not run here: %s", source.name, error)
            continue
        yield Schedule(source.name, seconds, _invocation(app, source.name))


def _invocation(app: Chalice, name: str) -> Callable[[dict[str, Any]], object]:
    function = app.handler_map[name]
    return lambda event: function(event, context_of(name))


def _default_app() -> Chalice:
    # Imported when AWS is there: modules may read the environment.
    from app import app

    return app


def _chunks(messages: Iterator[Message]) -> Iterator[list[Message]]:
    chunk: list[Message] = []
    for message in messages:
        chunk.append(message)
        if len(chunk) == REPLAY_CHUNK_MESSAGES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
