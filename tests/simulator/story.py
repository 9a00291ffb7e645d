"""A story: what is sent, who works on it at once, what goes wrong meanwhile, and what must have come of it."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from chalicelib import config
from chalicelib.consume.consumer import Consumer
from chalicelib.errors import StoreError
from chalicelib.otlp.endpoint import receive_traces
from chalicelib.query.edges import edges
from chalicelib.query.parameters import Range
from chalicelib.query.statistics import statistics
from chalicelib.queue.message import digest_of as message_digest_of
from chalicelib.queue.sqs import SqsDeadLetters, SqsSender
from chalicelib.store import traces
from chalicelib.store.dynamodb import DynamoStore, plain_item
from chalicelib.store.half_edge_cache import HalfEdgeCache
from chalicelib.store.layout import Level
from chalicelib.store.shard import Bound
from chalicelib.store.traces import read_spans
from chalicelib.summarise import fold, job, parents, waiting
from tests.payloads import (
    CLIENT,
    INTERNAL,
    MILLI,
    NOON_NANO,
    NOON_UNIX_SECONDS,
    SERVER,
    Made,
    payload,
    trace_id,
)
from tests.simulator.dynamodb import SimulatedDynamoDB
from tests.simulator.hub import STEPS_MAX, Call, Died, Fault, Hub, Place
from tests.simulator.oracle import (
    LOCAL,
    Figures,
    SpanKey,
    figures,
    figures_of_targets,
    straightforward,
    targets_among,
)
from tests.simulator.sqs import VISIBILITY_SECONDS, SimulatedSqs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.simulator.choices import Choices

    Plant = Callable[[pytest.MonkeyPatch], None]
    """Puts a bug into the product."""

HEADERS = {"content-type": "application/x-protobuf"}
NAMES = ("shop", "cart", "stock")
GARBAGE = "no message of ours"
HOUR_NANO = 3_600 * 10**9
_CLOCK = Place("clock")
_STEPS_SECONDS = (1, 20, VISIBILITY_SECONDS + 1, 200, -5)
"""A clock that goes on, jumps, and is set back."""
_STORM_SECONDS_MAX = 1_500
"""Halves pair if folded within a window of each other: the promise is about that."""


def nothing(_: pytest.MonkeyPatch) -> None:
    """The product as it is."""


def _always() -> bool:
    return True


def _never() -> bool:
    return False


class Broken(AssertionError):
    """A promise was not kept."""


class Scale(NamedTuple):
    """How much happens."""

    messages: int = 3
    consumers: int = 2
    folds: int = 2
    readers: int = 1
    faults: int = 4


class Limits(NamedTuple):
    """Of one step of the fold; the product's own are out of a short story's reach."""

    targets: int
    traces: int
    backlog: Bound
    remembered_bytes: int
    filtered_bytes: int

    def set(self, patch: pytest.MonkeyPatch) -> None:
        for module in (fold, waiting):
            patch.setattr(module, "TARGETS_MAX", self.targets)
        for name in ("parents", "waiting"):
            patch.setattr(f"chalicelib.summarise.{name}.TRACES_MAX", self.traces)
        patch.setattr(fold, "FILTERED_BYTES_MIN", self.filtered_bytes)
        patch.setattr(job, "BACKLOG_MAX", self.backlog)
        # Each actor is one greenlet, whose calls are the hub's to order: it reads one trace after another.
        patch.setattr(traces, "THREADS", 1)


LIMITS = (
    Limits(fold.TARGETS_MAX, parents.TRACES_MAX, job.BACKLOG_MAX, 10**6, fold.FILTERED_BYTES_MIN),
    Limits(2, 1, Bound(segments=1, stored_bytes=1_000), 0, 1),
    Limits(4, 1, Bound(segments=2, stored_bytes=1_000_000), 700, 1),
)


def batches(choices: Choices, count: int) -> list[list[Made]]:
    """`count` requests: calls that cross from one to another, and spans of other minutes and hours."""
    found: list[list[Made]] = []
    ways = [WAYS[choices.pick(len(WAYS), 0.4)] for _ in range(count)]
    for number, way in enumerate(ways):
        trace = 1 + choices.pick(2)
        at = NOON_NANO + choices.pick(3) * 61 * 10**9 - choices.pick(2, 0.2) * 3 * HOUR_NANO
        caller, callee = NAMES[number % 3], NAMES[(number + 1) % 3]
        is_error = bool(choices.pick(2, 0.3))
        ours, next_ones = 10 * number, 10 * (number + 1)
        spans = [
            Made(trace, ours + 1, caller, ours, "GET /", SERVER, at, 9 * MILLI, is_error),
            Made(trace, ours + 2, caller, ours + 1, "work", INTERNAL, at + 1, 3 * MILLI),
        ]
        if number:
            spans[:1] = _called(way, spans[0], NAMES[(number - 1) % 3])
        # The next request's server, where it has the same trace, answers this call.
        peer = (("server.address", f"{callee}.internal"),)
        call = Made(trace, next_ones, caller, ours + 2, "call", CLIENT, at + 2, MILLI)
        next_way = ways[(number + 1) % count]
        if next_way in BY_HAND:
            is_long = next_way == "below a long span"
            call = call._replace(kind=INTERNAL, duration=60_000 * MILLI if is_long else MILLI)
        else:
            call = call._replace(attributes=peer)
        found.append([*spans, call])
    return found


BY_HAND = ("below a span", "below a long span", "without kind", "in a process")
WAYS = ("by a client", *BY_HAND, "by its id", "by its own service")
"""How a request is called by the one before it."""


def _called(way: str, server: Made, caller: str) -> list[Made]:
    """The first span of a request, as that way has it."""
    client, above = server.parent, server.parent - 8
    if way == "without kind":
        return [server._replace(kind=INTERNAL)]
    if way == "in a process":
        return [server._replace(kind=INTERNAL, flags=LOCAL)]
    shared = server._replace(span=client, parent=above, name="shared")
    if way == "by its id":
        return [shared, server._replace(kind=INTERNAL)]
    if way == "by its own service":
        return [shared._replace(service=caller), server._replace(parent=0)]
    return [server]


class Story:
    """One run. `play` raises Broken where a promise is not kept, and whatever the product raises that it may not."""

    def __init__(
        self,
        choices: Choices,
        scale: Scale,
        plant: Plant = nothing,
        *,
        steps_max: int = STEPS_MAX,
        is_coarse: bool = False,
    ) -> None:
        self.choices = choices
        self.scale = scale
        self._plant = plant
        self.hub = Hub(choices, steps_max)
        self.now = NOON_UNIX_SECONDS
        self.shards = 1 + choices.pick(3, 0.3)
        self.limits = LIMITS[choices.pick(len(LIMITS))]
        page_items = (1_000, 1, 3)[choices.pick(3, 0.4)]
        self.dynamodb = SimulatedDynamoDB(self.hub, page_items, is_coarse=is_coarse)
        self.sqs = SimulatedSqs(self.hub, lambda: self.now)
        client: Any = self.dynamodb
        self.store = DynamoStore(client, sleep=lambda _: None)
        self.batches = batches(choices, scale.messages)
        self.acknowledged: set[int] = set()
        """Numbers of the batches whose sender was told so."""
        self.garbage = 0

    @contextmanager
    def configured(self) -> Iterator[None]:
        """What the product is set to meanwhile; afterwards nobody acts any more."""
        with pytest.MonkeyPatch.context() as patch:
            self._plant(patch)
            patch.setattr(config, "SHARDS", self.shards)
            patch.setattr(config, "SHARDS_READ", self.shards)
            self.limits.set(patch)
            try:
                yield
            finally:
                self.hub.end()

    def play(self) -> None:
        with self.configured():
            self._storm()
            self.settle()
            self.check()
            self._summarised_again()

    # Who acts.

    def _storm(self) -> None:
        choices, hub, scale = self.choices, self.hub, self.scale
        hub.switch_rate = (0.3, 0.05, 0.7)[choices.pick(3)]
        hub.fault_rate = (0.0, 0.02, 0.1, 0.4)[choices.pick(4, 0.8)]
        hub.faults_left = scale.faults
        for number in range(scale.messages):
            hub.add(f"client {number + 1}", partial(self._send, number))
        for number in range(scale.consumers):
            hub.add(f"consumer {number + 1}", self._consume_for_a_while)
        self.add_folds_and_readers(scale.folds, scale.readers, times=2)
        hub.add("clock", self._move_the_clock)
        if choices.pick(2, 0.3):
            hub.add("stranger", self._send_garbage)
            hub.add("operator", self._redrive)
        hub.run()

    def send_all(self) -> None:
        for number in range(self.scale.messages):
            self._send(number)

    def add_consumer_of(self, name: str, numbers: Sequence[int]) -> None:
        """Of one event; whatever comes of it, it is not delivered to anybody else meanwhile."""
        records = self.sqs.again(numbers)

        def act() -> None:
            with suppress(StoreError, Died):
                self.consume(records)
                self.sqs.delete(records)

        self.hub.add(name, act)

    def add_folds_and_readers(self, folds: int, readers: int, times: int) -> None:
        for number in range(folds):
            self.hub.add(f"fold {number + 1}", lambda: self._fold_for_a_while(times))
        for number in range(readers):
            self.hub.add(f"reader {number + 1}", lambda: self._read_for_a_while(times))

    def time_ns(self) -> int:
        """The same for all who ask within a second: clocks of several processes may agree."""
        return self.now * 10**9

    def _send(self, number: int) -> None:
        """A client: sends until it is told that it is done; gives up after some tries."""
        body = payload(self.batches[number])
        client: Any = self.sqs
        for _ in range(1 + self.scale.faults):
            sender = SqsSender(client, config.SPAN_QUEUE)
            try:
                answer = receive_traces(HEADERS, body, self.now, sender.send)
            except Died:
                continue
            if answer.status == 200:
                self.acknowledged.add(number)
                return

    def _send_garbage(self) -> None:
        for _ in range(3):
            self.hub.at(Call("send garbage", (), (Place("queue"),)))
            self.garbage += 1
            self.sqs.put(config.SPAN_QUEUE, GARBAGE, {})

    def _redrive(self) -> None:
        self.hub.at(Call("redrive", (), (Place("queue"),), (), lambda: bool(self.sqs.dead)))
        self.sqs.redrive()

    def _consume_for_a_while(self) -> None:
        """Lambda's event source mapping, and the function: what is not deleted comes again."""
        for _ in range(3):
            receive = Call("ReceiveMessage", (), (Place("queue"),), (), self._has_visible)
            self.hub.at(receive)
            numbers = [kept.number for kept in self.sqs.visible() if not self.choices.pick(2, 0.3)]
            records = self.sqs.receive(numbers)
            if self.choices.pick(2, 0.15):
                # SQS may hand out a message twice.
                for kept in self.sqs.waiting:
                    kept.visible_from = min(kept.visible_from, self.now)
            time_left = _never if self.choices.pick(2, 0.05) else _always
            try:
                self.consume(records, time_left)
            except (StoreError, Died):
                continue
            lost = Fault("lost", lambda _: None)
            if not self.hub.at(Call("DeleteMessage", (), (Place("queue"),), (lost,))):
                self.sqs.delete(records)

    def _has_visible(self) -> bool:
        return bool(self.sqs.visible())

    def consume(
        self, records: Sequence[dict[str, Any]], time_left: Callable[[], bool] = _always
    ) -> None:
        client: Any = self.sqs
        letters = SqsDeadLetters(client, config.DEAD_LETTER_QUEUE)
        consumer = Consumer(
            self.store, letters, self.time_ns, shards=self.shards, time_left=time_left
        )
        consumer.consume(records)

    def _fold_for_a_while(self, times: int = 2) -> None:
        remembered = HalfEdgeCache(self.limits.remembered_bytes)
        for _ in range(times):
            try:
                self.summarise(remembered)
            except StoreError:
                continue
            except Died:
                remembered = HalfEdgeCache(self.limits.remembered_bytes)

    def summarise(self, remembered: HalfEdgeCache | None = None) -> None:
        job.summarise_shards(self.store, range(self.shards), self.now, remembered=remembered)

    def _move_the_clock(self) -> None:
        for _ in range(6):
            self.hub.at(Call("the clock goes on", (), (_CLOCK,)))
            after = self.now + _STEPS_SECONDS[self.choices.pick(len(_STEPS_SECONDS), 0.8)]
            if NOON_UNIX_SECONDS <= after < NOON_UNIX_SECONDS + _STORM_SECONDS_MAX:
                self.now = after

    # Readers.

    def _read_for_a_while(self, times: int) -> None:
        for _ in range(times):
            try:
                self._read_traces()
                self._read_figures()
            except (StoreError, Died):
                continue

    def _read_traces(self) -> None:
        """All spans of what was counted before the question; none that nobody sent; none that was here is gone."""
        for number in (1, 2):
            before = self._counted()
            raws = Counter(_names_of(read_spans(self.store, trace_id(number), self.now)))
            sent = self._spans_of(range(len(self.batches)), number)
            must = self._spans_of(before, number)
            _expect(not raws - Counter(sent), f"trace {number} has spans that nobody sent: {raws}")
            _expect(not Counter(must) - raws, f"trace {number} lacks spans that were counted")

    def _spans_of(self, numbers: Any, trace: int) -> list[tuple[int, str]]:
        return [
            (made.span, made.name)
            for number in numbers
            for made in self.batches[number]
            if made.trace == trace
        ]

    def _read_figures(self) -> None:
        """Statistics and edges as after whole commits: all that were done before, none that was not yet."""
        asked = Range(NOON_NANO - 4 * HOUR_NANO, NOON_NANO + HOUR_NANO)
        for service in NAMES:
            before = self._counted()
            answer = statistics(self.store, service, asked, None, self.now)
            after = self._counted()
            found = Counter(
                {
                    key: measure.calls
                    for key, measure in answer.total.series.items()
                    if measure.calls
                }
            )
            possible = [_calls_of(self._made(each), service) for each in _between(before, after)]
            _expect(
                not answer.is_exact or found in possible,
                f"{service}'s statistics are of no set of commits: {found} not in {possible}",
            )
        if self.shards == 1:
            before = self._counted()
            edges_between = edges(self.store, asked, self.now)
            after = self._counted()
            calls: Counter[tuple[str, str]] = Counter()
            for (caller, callee, _), edge in edges_between.edges.edges.items():
                calls[caller, callee] += edge.measure.calls
            calls = +calls
            # Of what is looked for, nobody knows yet whether it is found.
            stored = self._looked_for(range(len(self.batches)))
            # A parent, one that makes its half itself too, may be in its trace before it is counted.
            parents_stored = [
                made
                for made in self._made(range(len(self.batches)))
                if made.name == "call" and made.kind == INTERNAL
            ]
            possible_calls = [
                (
                    _edges_of(figures(made, unseen=stored)),
                    _edges_of(figures([*made, *parents_stored])),
                )
                for each in _between(before, after)
                for made in (self._made(each),)
            ]
            _expect(
                not edges_between.is_exact
                or any(least <= calls <= most for least, most in possible_calls),
                f"edges of no set of commits: {calls} not in {possible_calls}",
            )

    def _made(self, numbers: Sequence[int]) -> list[Made]:
        return [made for number in numbers for made in self.batches[number]]

    def _looked_for(self, counted: Sequence[int], *, is_late: bool = False) -> set[SpanKey]:
        """Parents that make no half by themselves; if told, only those counted after what is below them."""
        numbers = [
            number
            for place, number in enumerate(counted)
            if not is_late or number + 1 in counted[:place]
        ]
        return {
            (made.trace, made.span)
            for made in self._made(numbers)
            if made.name == "call" and made.kind == INTERNAL and made.duration == MILLI
        }

    def _counted(self) -> list[int]:
        """Numbers of the batches whose markers are there, in the order of their commits."""
        markers = {
            str(key[1])[2:]: place
            for place, key in enumerate(self.dynamodb.items)
            if str(key[1]).startswith("m|")
        }
        found = {}
        for number, spans in enumerate(self.batches):
            place = markers.get(message_digest_of(config.TENANT, payload(spans)).hex())
            if place is not None:
                found[place] = number
        return [found[place] for place in sorted(found)]

    # The end.

    def settle(self) -> None:
        """Nothing goes wrong any more: what waits is consumed, dead letters are sent back, all is summarised."""
        for _ in range(5):
            self.now += VISIBILITY_SECONDS + 1
            while visible := self.sqs.visible():
                records = self.sqs.receive([kept.number for kept in visible])
                if records:
                    self.consume(records)
                    self.sqs.delete(records)
            if any(kept.body != GARBAGE for kept in self.sqs.dead):
                self.sqs.redrive()
            elif not self.sqs.waiting:
                break
        self.summarise()
        # What waits is looked at by the run after.
        self.now += 60
        self.summarise()

    def check(self, moment: int = 0) -> None:
        counted = self._counted()
        _expect(not self.sqs.waiting, "messages are left in the queue")
        dead = [kept.body for kept in self.sqs.dead]
        _expect(set(dead) <= {GARBAGE}, f"dead letters that could be stored: {dead}")
        _expect(self.sqs.buried <= {GARBAGE}, "a consumer gave up what could be stored")
        _expect(len(dead) >= self.garbage, "garbage is gone without a dead letter")
        lost = self.acknowledged - set(counted)
        _expect(not lost, f"acknowledged, and not counted: {lost}")
        markers = sum(str(key[1]).startswith("m|") for key in self.dynamodb.items)
        _expect(markers == len(counted), f"{markers} markers of {len(counted)} messages")
        times = (NOON_UNIX_SECONDS, *self._later_times())[: moment + 1]
        # Commit by commit, in another order than they came in.
        plain = straightforward([self.batches[n] for n in sorted(counted)], self.shards, times)
        found = self.targets()
        late = set() if moment else self._looked_for(counted, is_late=True)
        is_of_edges = ("e|", "c|") if late else ()
        _expect_same(
            *(
                {key: value for key, value in each.items() if not key[0].startswith(is_of_edges)}
                for each in (found, plain[-1])
            )
        )
        # All is rolled up in the end.
        levels = tuple(Level) if moment == len(self._later_times()) else (Level.MINUTE,)
        for level in levels:
            by_hand, of_targets = (
                figures(self._made(counted), level),
                figures_of_targets(found, level),
            )
            # What is above a span that came before it may be found at the end of the window.
            least = figures(self._made(counted), level, late)
            _expect(
                least <= of_targets <= by_hand,
                f"not the brute-force figures of a {level.name}: {of_targets - by_hand} too many, "
                f"{by_hand - of_targets} too few",
            )
        if not moment:
            for number in (1, 2):
                names = _names_of(read_spans(self.store, trace_id(number), self.now))
                _expect(
                    set(self._spans_of(counted, number)) <= set(names)
                    and len(names) == len(set(names)),
                    f"trace {number} is not what was counted: {sorted(names)}",
                )
        left = [key for key in self.dynamodb.items if str(key[2]).startswith("s|")]
        _expect(not left, f"segments are left: {left}")

    def targets(self) -> dict[tuple[str, str], bytes]:
        values = {
            (str(key[1]), str(key[2])): plain_item(item)["v"]
            for key, item in self.dynamodb.items.items()
            if key[0] == config.STATISTICS_TABLE and "v" in item
        }
        return targets_among(values)

    def _later_times(self) -> tuple[int, int]:
        """When waiting halves are checked; when everything is rolled up."""
        window = config.PENDING_WINDOW_SECONDS
        settled = NOON_UNIX_SECONDS + _STORM_SECONDS_MAX + 5 * (VISIBILITY_SECONDS + 1) + 60
        return settled + window + 1, NOON_UNIX_SECONDS + 3 * 86_400

    def _summarised_again(self) -> None:
        """Later, and later still: two folds at once, with faults, and then one that is left alone."""
        for moment, now in enumerate(self._later_times(), 1):
            self.now = now
            self.hub.faults_left = self.scale.faults
            for number in range(self.scale.folds):
                self.hub.add(f"later fold {number + 1}", self._fold_for_a_while)
            self.hub.run()
            self.summarise()
            self.check(moment)


def _expect(is_kept: bool, broken: str) -> None:
    if not is_kept:
        raise Broken(broken)


def _expect_same(
    found: dict[tuple[str, str], bytes], expected: dict[tuple[str, str], bytes]
) -> None:
    others = {key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)}
    _expect(not others, f"not the bytes of one quiet run: {sorted(others)}")


def _names_of(spans: Sequence[Any]) -> list[tuple[int, str]]:
    return [(int.from_bytes(span.span_id, "big"), span.name) for span in spans]


def _between(before: Sequence[int], after: Sequence[int]) -> Iterator[list[int]]:
    """Every set of commits that has all of `before`, and of what was done meanwhile any."""
    more = [number for number in after if number not in before]
    for mask in range(1 << len(more)):
        yield [*before, *(number for at, number in enumerate(more) if mask >> at & 1)]


def _calls_of(spans: Sequence[Made], service: str) -> Counter[tuple[str, int]]:
    return Counter((made.name, made.kind) for made in spans if made.service == service)


def _edges_of(of: Figures) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for key, count in of.items():
        if key[0] == "edge":
            found[key[1], key[2]] += count
    return found
