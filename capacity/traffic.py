"""Simulates traffic with the product's own code over the counting store, to count what it makes AWS do.

    traces (Poisson) ──▶ exporters of 10 services ──▶ requests ──receive──▶ messages
      ──▶ pollers: a batch window, 6 MB or 1,000 messages ──consume──▶ store ◀──each minute── fold, checks, roll-up

Effects that take hours are computed from what the simulated minutes wrote: the reading of waiting half-edges, and the
part of a roll-up that grows with the minutes of an hour. Each place says so.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from capacity.counting import CountingStore
from capacity.load import SERVICES, SERVICES_PER_TRACE, request_body, trace
from capacity.stages import consumer_of, receive, record_of
from chalicelib import config
from chalicelib.queue.sqs import batches_of, entry_bytes, entry_of
from chalicelib.store.shard import read_shard
from chalicelib.summarise.fold import ShardFold
from chalicelib.summarise.job import BACKLOG_MAX
from chalicelib.summarise.roll_up import RollUp
from chalicelib.summarise.waiting import WaitingHalves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from capacity.load import SentSpan
    from chalicelib.queue.message import Message
    from chalicelib.summarise.job import Worker

BEGIN_UNIX_SECONDS = 497_223 * 3_600
"""The first second of an hour, so that no load spans two hours."""
SPANS_PER_EXPORT_MAX = 512
"""The default of OTEL_BSP_MAX_EXPORT_BATCH_SIZE: so many waiting spans are sent before the timer fires."""
EVENT_BYTES_MAX = 6_000_000
MESSAGES_PER_EVENT_MAX = 1_000
SECOND_NANO = 10**9


class Knobs(NamedTuple):
    traces_per_second: float
    seconds: int
    """The simulated time."""
    exporter_seconds: float = 5
    """The exporters' timer; the default is that of OTEL_BSP_SCHEDULE_DELAY."""
    window_seconds: float = 5
    consumers: int = 2
    group_spans_max: int = config.GROUP_SPANS_MAX


class Phase(NamedTuple):
    """The work of one stage in the simulated time."""

    invocations: int
    cpu_seconds: float
    calls: Counter[str]
    write_units: Counter[str]
    read_units: Counter[str]
    put_bytes: Counter[str]


class Simulated(NamedTuple):
    knobs: Knobs
    spans: int
    requests: int
    receive_cpu_seconds: float
    send_payload_bytes: list[int]
    """Payload bytes of each call of SendMessageBatch."""
    batch_message_bytes: list[list[int]]
    """Bytes of each message, for each invocation of the consumer."""
    consume: Phase
    fold: Phase
    """The folds, without the reading of waiting half-edges."""
    check: Phase
    """The checks of half-edges that are one and two windows old, without the reading of waiting half-edges."""
    roll_up: Phase
    """The roll-up of the one hour."""
    stored_bytes: dict[str, int]
    """Stored bytes by kind, at the end of the hour."""


def simulate(knobs: Knobs, seed: int = 11) -> Simulated:
    """Simulate traffic and return what it did. Raises AssertionError if any part of the load fails."""
    rng = random.Random(seed)
    spans = _spans(rng, knobs)
    requests = sorted(_requests(rng, knobs, spans))
    sends: list[int] = []
    arrivals: list[tuple[float, Message]] = []
    before = time.process_time()
    for second, body in requests:
        messages = receive(body, BEGIN_UNIX_SECONDS + int(second))
        arrivals += [(second, message) for message in messages]
    receive_cpu = time.process_time() - before
    for _, body in requests:
        entries = [entry_of(message) for message in receive(body, BEGIN_UNIX_SECONDS)]
        sends += [sum(map(entry_bytes, batch)) for batch in batches_of(entries)]
    before_group_spans, config.GROUP_SPANS_MAX = config.GROUP_SPANS_MAX, knobs.group_spans_max
    try:
        return _stored(
            knobs,
            spans=len(spans),
            requests=len(requests),
            receive_cpu_seconds=receive_cpu,
            sends=sends,
            batches=list(_batches(rng, knobs, arrivals)),
        )
    finally:
        config.GROUP_SPANS_MAX = before_group_spans


def _spans(rng: random.Random, knobs: Knobs) -> list[SentSpan]:
    spans: list[SentSpan] = []
    second = rng.expovariate(knobs.traces_per_second)
    while second < knobs.seconds:
        start = BEGIN_UNIX_SECONDS * SECOND_NANO + int(second * SECOND_NANO)
        spans += trace(rng, start, rng.sample(range(len(SERVICES)), SERVICES_PER_TRACE))
        second += rng.expovariate(knobs.traces_per_second)
    return spans


def _requests(
    rng: random.Random, knobs: Knobs, spans: Sequence[SentSpan]
) -> Iterator[tuple[float, bytes]]:
    """Yield (second, body): each service's exporter sends when its timer fires and whenever 512 spans wait."""
    for service in range(len(SERVICES)):
        of_service = sorted(
            ((_end_second(span), span) for span in spans if span.service == service),
            key=lambda pair: pair[0],
        )
        timer = rng.uniform(0, knobs.exporter_seconds)
        waiting: list[SentSpan] = []
        for second, span in of_service:
            while second >= timer:
                if waiting:
                    yield timer, request_body(waiting)
                    waiting = []
                timer += knobs.exporter_seconds
            waiting.append(span)
            if len(waiting) == SPANS_PER_EXPORT_MAX:
                yield second, request_body(waiting)
                waiting = []
        if waiting:
            yield timer, request_body(waiting)


def _end_second(span: SentSpan) -> float:
    nano: int = span.fields["end_time_unix_nano"] - BEGIN_UNIX_SECONDS * SECOND_NANO
    return nano / SECOND_NANO


def _batches(
    rng: random.Random, knobs: Knobs, arrivals: Sequence[tuple[float, Message]]
) -> Iterator[tuple[float, list[Any]]]:
    """Yield (second, records) of each invocation. Each consumer has a poller; a message goes to a random one."""
    open_batches: dict[int, tuple[float, int, list[Any]]] = {}
    for second, message in arrivals:
        for poller, (due, _, records) in list(open_batches.items()):
            if due <= second:
                yield due, records
                del open_batches[poller]
        poller = rng.randrange(knobs.consumers)
        record = record_of(message)
        size = len(orjson.dumps(record))
        due, total, records = open_batches.get(poller, (second + knobs.window_seconds, 0, []))
        if total + size > EVENT_BYTES_MAX or len(records) == MESSAGES_PER_EVENT_MAX:
            yield second, records
            due, total, records = second + knobs.window_seconds, 0, []
        records.append(record)
        open_batches[poller] = due, total + size, records
    for due, _, records in open_batches.values():
        yield due, records


class _Clock:
    def __init__(self) -> None:
        self.second = 0.0

    def unix_nano(self) -> int:
        return BEGIN_UNIX_SECONDS * SECOND_NANO + int(self.second * SECOND_NANO)


class _Stages:
    """The consumer and the schedule over one store, with one clock."""

    def __init__(self) -> None:
        self.store = CountingStore()
        self._clock = _Clock()
        self._consumer = consumer_of(self.store, self._clock.unix_nano)

    def consume(self, second: float, records: Sequence[Any]) -> None:
        self._clock.second = second
        self._consumer.consume(records)

    def work(self, worker: Callable[[CountingStore, int, int], Worker], second: float) -> None:
        """Run every step that is due."""
        now_unix_seconds = BEGIN_UNIX_SECONDS + int(second)
        for shard in range(config.SHARDS_READ):
            while worker(self.store, shard, now_unix_seconds).step(
                read_shard(self.store, shard, BACKLOG_MAX)
            ):
                pass

    def phase(self, works: Sequence[Callable[[], None]]) -> Phase:
        """Return the work of these invocations together."""
        self.store.forget_counts()
        before = time.process_time()
        for work in works:
            work()
        cpu = time.process_time() - before
        store = self.store
        return Phase(
            invocations=len(works),
            cpu_seconds=cpu,
            calls=Counter(store.calls),
            write_units=Counter(store.write_units),
            read_units=Counter(store.read_units),
            put_bytes=Counter(store.put_bytes),
        )


def _together(phases: Sequence[Phase]) -> Phase:
    return Phase(
        invocations=sum(phase.invocations for phase in phases),
        cpu_seconds=sum(phase.cpu_seconds for phase in phases),
        calls=_sum(phase.calls for phase in phases),
        write_units=_sum(phase.write_units for phase in phases),
        read_units=_sum(phase.read_units for phase in phases),
        put_bytes=_sum(phase.put_bytes for phase in phases),
    )


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    return sum(counters, Counter[str]())


def _stored(
    knobs: Knobs,
    *,
    spans: int,
    requests: int,
    receive_cpu_seconds: float,
    sends: list[int],
    batches: Sequence[tuple[float, list[Any]]],
) -> Simulated:
    stages = _Stages()
    ordered = sorted(batches, key=lambda batch: batch[0])
    # The last minute takes late messages, too: one more fold than there are minutes would be counted.
    ends = [*range(60, knobs.seconds - 59, 60), knobs.seconds + 3 * knobs.window_seconds]
    consumed, folded = [], []
    for begin, end in pairwise([0, *ends]):
        due = [batch for batch in ordered if begin <= batch[0] < end]
        consumed.append(
            stages.phase([lambda batch=batch: stages.consume(*batch) for batch in due])  # type: ignore[misc]
        )
        folded.append(stages.phase([lambda end=end: stages.work(ShardFold, end)]))  # type: ignore[misc]
    window = config.PENDING_WINDOW_SECONDS
    hour_over = 3_600 + config.ROLL_UP_DELAY_SECONDS
    roll_up = stages.phase([lambda: stages.work(RollUp, hour_over)])
    stored_bytes = stages.store.stored_bytes()
    check = stages.phase(
        [lambda k=k: stages.work(WaitingHalves, ends[-1] + k * window + 1) for k in (1, 2)]  # type: ignore[misc]
    )
    return Simulated(
        knobs=knobs,
        spans=spans,
        requests=requests,
        receive_cpu_seconds=receive_cpu_seconds,
        send_payload_bytes=sends,
        batch_message_bytes=[
            [len(orjson.dumps(record)) for record in records] for _, records in ordered
        ],
        consume=_together(consumed),
        fold=_together(folded),
        check=check,
        roll_up=roll_up,
        stored_bytes=stored_bytes,
    )
