"""A whole Clew in this process: server, gateway, functions, poller, clock and journal on moto or another AWS."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from chalice.app import ScheduledEventConfig, ScheduleExpression, SQSEventConfig

from chalicelib import config, wiring
from chalicelib.model.token import Scope
from chalicelib.queue.sqs import entry_of
from infra.tokens import make_token
from local import fake_aws
from local.backpressure import WAITING_BYTES_MAX, BoundedSender
from local.event_source_mapping import EventSourceMapping, Source, record_from_message
from local.functions import context_of
from local.gateway import Gateway
from local.jaeger_agent import JaegerAgent
from local.journal import Journal, JournalledSender
from local.judge import GatewayJudge, with_hosts
from local.memory import give_back
from local.proven_now import ProvenNow
from local.sampling_file import SamplingFile
from local.schedule import Clock, Schedule, seconds_from_rate
from local.server import Server, listening_socket
from local.turns import Background, Turns
from local.ui_folder import with_ui_folder

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from wsgiref.types import WSGIApplication

    from chalice.app import Chalice

    from chalicelib.queue.message import Message
    from local.hosts import Hosts
    from local.otlp_grpc import OtlpGrpc
    from local.ui_folder import UiFolder

_logger = logging.getLogger(__name__)

BATCH_WINDOW_SECONDS = 1.0
"""The batching window, shorter than in production: a person waits for the trace."""
EVENT_BYTES_MAX = 2_000_000
"""The largest event of the consumer, a third of Lambda's. Requests go before the consumer, and with a tenth of a
processor it must still finish an event in time."""
STOP_SECONDS = 5.0
"""How long each part may take to finish at the end."""
REPLAY_BYTES_MAX = 6_000_000
"""The largest event when the journal is replayed; about as much as Lambda takes."""
REPLAY_PAUSE_SECONDS_MAX = 60.0
FORGET_SECONDS_MAX = 3_600
"""The longest interval between two deletions of expired items: each looks at every item."""
_RECORD_BYTES = 1_000
"""An upper bound of a record's JSON without its payload."""

Function = Callable[[dict[str, Any]], object]
"""A function of the application; it is called with an event."""


class LaptopStack:
    """A whole Clew in this process; it is a context manager.

    with LaptopStack() as laptop:
        post(f"{laptop.url}/v1/traces", …)
        laptop.wait_until_stored()
    """

    def __init__(
        self,
        app: Chalice | None = None,
        *,
        sockets: Sequence[socket.socket] = (),
        datagram_sockets: Sequence[socket.socket] = (),
        otlp_grpc: OtlpGrpc | None = None,
        data_dir: Path | None = None,
        aws: fake_aws.Aws | None = None,
        batch_window_seconds: float = BATCH_WINDOW_SECONDS,
        parameters: Mapping[str, str] | None = None,
        run_schedules: bool = True,
        token: str = "",
        waiting_bytes_max: int = WAITING_BYTES_MAX,
        sampling_file: Path | None = None,
        ui: UiFolder | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        """Take the settings; nothing happens before `start`. The laptop closes all sockets that it is given.

        app: the Chalice application with its event functions registered; `app.app` by default.
        sockets: listening TCP sockets; a free port of 127.0.0.1 by default.
        datagram_sockets: bound UDP sockets for Jaeger's agent; none by default.
        otlp_grpc: a bound gRPC server, which the laptop starts and stops; none by default.
        data_dir: the journal's folder; without it no journal is kept.
        parameters: parameters of `stack.yaml` beside Prefix.
        run_schedules: whether the clock runs; `summarise` works anyway.
        token: the text of a token with all scopes, added to the table of tokens; none by default.
        waiting_bytes_max: the most bytes of messages in moto's queue; beyond it spans are refused with 503.
        sampling_file: a file in the form of Jaeger's strategies file; it is stored now and after each change.
        ui: another UI than Clew's; it is served on its port if one of the sockets listens there.
        hosts: the names that a Host header may have; any name by default.
        """
        self._app = app
        self._sockets = list(sockets)
        self._datagram_sockets = list(datagram_sockets)
        self._otlp_grpc = otlp_grpc
        self._data_dir = data_dir
        self._aws = aws or fake_aws.Moto(takes_shortcuts=True)
        self._batch_window_seconds = batch_window_seconds
        self._parameters = parameters or {}
        self._run_schedules = run_schedules
        self._token = token
        self._waiting_bytes_max = waiting_bytes_max
        self._sampling_file = sampling_file
        self._ui = ui
        self._hosts = hosts
        self._journal: Journal | None = None
        self._stopping = threading.Event()
        self._undo: list[Callable[[], object]] = []

    @property
    def url(self) -> str:
        """The base URL of the main port, without a slash at its end."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> Self:
        """Start all parts; requests are answered when this returns.

        Raises JournalError, SamplingFileError or botocore's errors; nothing is left running then.
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
        """Finish what is running, take nothing new, and close everything. A second call does nothing."""
        self._stopping.set()
        while self._undo:
            self._undo.pop()()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self, service: str) -> Any:
        """Return a botocore client of the AWS that the functions use."""
        return fake_aws.client(service)

    def wait_until_stored(self, timeout_seconds: float = 60.0) -> None:
        """Wait until every message accepted or replayed so far is consumed, or in the dead-letter queue.

        Batching windows end early meanwhile. Raises TimeoutError.
        """
        ends = time.monotonic() + timeout_seconds
        self._replay.join(timeout_seconds)
        if self._replay.is_alive() or not self._mapping.wait_until_at_most(
            0, ends - time.monotonic()
        ):
            raise TimeoutError(f"messages are left in the queue after {timeout_seconds} s")

    def summarise(self) -> None:
        """Run every schedule once, now. Raises the exceptions of the functions."""
        self._clock.run_all()

    def _start(self) -> None:
        if self._data_dir is not None:
            self._journal = Journal(self._data_dir, int(time.time()))
            self._undo.append(self._journal.close)
        known = None if self._journal is None else self._journal.newest_unix_seconds
        self._now = ProvenNow(known)
        self._aws.start(config.PREFIX, self._parameters)
        self._undo.append(self._aws.stop)
        turns = Turns()
        self._background = Background(turns)
        _before_each_call(wiring.client("dynamodb"), self._background.go_on)
        if self._token:
            make_token(wiring.store(), Scope, "TOKEN", self._token)
        if self._sampling_file is not None:
            sampling = SamplingFile(self._sampling_file, wiring.strategies().replace)
            sampling.start()
            self._undo.append(lambda: sampling.stop(STOP_SECONDS))
        app = self._app or _default_app()
        source, consume = self._consumer_of(app, self.client("sqs"))
        self._start_events(app, source, consume)
        self._start_replay(source, consume)
        agent = JaegerAgent(self._datagram_sockets, lambda messages: wiring.sender().send(messages))
        agent.start()
        self._undo.append(agent.stop)
        if not self._sockets:
            self._sockets = [listening_socket("127.0.0.1", 0)]
        gateway = Gateway(app)
        application: WSGIApplication = with_ui_folder(gateway, self._ui) if self._ui else gateway
        if self._hosts:
            application = with_hosts(application, self._hosts)
        judge = GatewayJudge(gateway, self._hosts)
        server = Server(application, self._sockets, judge, turns)
        server.start()
        self._undo.append(self._sockets.clear)
        self._undo.append(lambda: server.stop(STOP_SECONDS))
        if otlp_grpc := self._otlp_grpc:
            otlp_grpc.start(gateway.answer, gateway.refusal, turns)
            self._undo.append(lambda: otlp_grpc.stop(STOP_SECONDS))

    def _start_events(self, app: Chalice, source: Source, consume: Function) -> None:
        sqs = self.client("sqs")
        forget = Schedule("forget", _forget_seconds(), self._forget_what_is_old)
        self._clock = Clock([*schedules_of(app, self._background), forget], sqs.meta.region_name)
        if self._run_schedules:
            self._clock.start()
            self._undo.append(lambda: self._clock.stop(STOP_SECONDS))
        self._mapping = EventSourceMapping(sqs, source, consume)
        self._mapping.start()
        self._undo.append(lambda: self._mapping.stop(STOP_SECONDS, wake=self._aws.discards))

    def _consumer_of(self, app: Chalice, sqs: Any) -> tuple[Source, Function]:
        """Return the span queue as an event source, and the function that the application registered for it."""
        functions = [each for each in app.event_sources if isinstance(each, SQSEventConfig)]
        if len(functions) != 1:
            raise TypeError(f"the application has {len(functions)} SQS event functions, not one")
        url = sqs.get_queue_url(QueueName=config.SPAN_QUEUE)["QueueUrl"]
        names = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = names["Attributes"]["QueueArn"]
        source = Source(
            queue_url=url,
            queue_arn=arn,
            batch_size=functions[0].batch_size,
            window_seconds=self._batch_window_seconds,
            bytes_max=EVENT_BYTES_MAX,
        )
        return source, _invocation(app, functions[0].name, self._background)

    def _start_replay(self, source: Source, function: Function) -> None:
        journal, sender = self._journal, wiring.sender()
        if journal is not None:
            sender = JournalledSender(journal, sender)
        if self._aws.discards:
            sender = BoundedSender(
                sender, lambda: self._mapping.done_bytes, self._waiting_bytes_max
            )
        wiring.replace_sender(sender)
        self._replay = threading.Thread(
            target=self._consume_again,
            args=(events_of(journal.messages() if journal else iter(()), source), function),
            name="replay",
            daemon=True,
        )
        self._replay.start()
        self._undo.append(self._replay.join)

    def _consume_again(self, events: Iterator[dict[str, Any]], function: Function) -> None:
        """Hand the journal's messages to the consumer directly: the queue would take more time than the consumer."""
        for event in events:
            pause_seconds = 1.0
            while not self._stopping.is_set():
                try:
                    function(event)
                    break
                except Exception as error:
                    _logger.warning("the journal's messages cannot be stored yet: %s", error)
                    self._stopping.wait(pause_seconds)
                    pause_seconds = min(2 * pause_seconds, REPLAY_PAUSE_SECONDS_MAX)
            if self._stopping.is_set():
                return

    def _forget_what_is_old(self, _: dict[str, Any]) -> None:
        """Delete expired items, as DynamoDB does by its TTL, and expired messages of the journal."""
        now_unix_seconds = self._now.unix_seconds()
        self._aws.expire(now_unix_seconds)
        give_back()
        if self._journal is not None and not self._replay.is_alive():
            self._journal.forget(now_unix_seconds)


def events_of(messages: Iterable[Message], source: Source) -> Iterator[dict[str, Any]]:
    """Yield Lambda's SQS events of these messages, as if each were delivered for the first time."""
    records: list[dict[str, Any]] = []
    event_bytes = 0
    for message in messages:
        record_bytes = len(message.frame) * 4 // 3 + _RECORD_BYTES
        is_full = len(records) == source.batch_size or event_bytes + record_bytes > REPLAY_BYTES_MAX
        if records and is_full:
            yield {"Records": records}
            records, event_bytes = [], 0
        records.append(record_from_message(_delivered(message), source))
        event_bytes += record_bytes
    if records:
        yield {"Records": records}


def _delivered(message: Message) -> dict[str, Any]:
    """Return a message in the form of ReceiveMessage's answer."""
    entry = entry_of(message)
    attributes = {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": str(message.received_unix_seconds * 1_000),
    }
    return {
        "MessageId": str(uuid.uuid4()),
        "ReceiptHandle": "journal",
        "Body": entry["MessageBody"],
        "MD5OfBody": hashlib.md5(entry["MessageBody"].encode(), usedforsecurity=False).hexdigest(),
        "MessageAttributes": entry["MessageAttributes"],
        "Attributes": attributes,
    }


def _forget_seconds() -> int:
    return max(10, min(FORGET_SECONDS_MAX, config.RETENTION_SECONDS // 24))


def schedules_of(app: Chalice, background: Background) -> Iterator[Schedule]:
    """Yield the scheduled functions of an application. One whose expression is no rate is logged and left out."""
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
        yield Schedule(source.name, seconds, _invocation(app, source.name, background))


def _invocation(app: Chalice, name: str, background: Background) -> Function:
    function = app.handler_map[name]

    def invoke(event: dict[str, Any]) -> object:
        with background.working():
            return function(event, context_of(name, background.go_on))

    return invoke


def _before_each_call(client: Any, act: Callable[[], object]) -> None:
    """Call `act`, in the caller's thread, before each call of the client."""
    client.meta.events.register_first("before-call", lambda **_: act() and None)


def _default_app() -> Chalice:
    # Imported after AWS has started: modules may read the environment.
    from app import app

    return app
