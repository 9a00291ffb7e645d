"""The simulator's scenarios, sampled: real processes on emulators, killed with -9 wherever they are, and compared."""

from __future__ import annotations

import multiprocessing
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from chalicelib import config
from chalicelib.otlp.endpoint import receive_traces
from chalicelib.queue.sqs import SqsSender
from chalicelib.store.dynamodb import plain_item
from chalicelib.store.traces import read_spans
from chalicelib.summarise.job import summarise_shards
from tests.contract import emulators
from tests.contract.conftest import require
from tests.contract.workers import Place, consume_for_ever, fold_for_ever
from tests.payloads import NOON_NANO, Made, payload, trace_id
from tests.simulator.choices import Choices
from tests.simulator.oracle import figures, figures_of_targets, straightforward, targets_among
from tests.simulator.story import HEADERS, batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = [pytest.mark.slow, pytest.mark.emulator]

SEEDS = range(3)
REQUESTS = 80
REQUESTS_A_KILL = 4
SHARDS = 2
NOW = int(time.time()) // 86_400 * 86_400 - 43_200
"""Yesterday's noon: emulators delete what has expired."""
VISIBILITY_SECONDS = 2
DRAIN_SECONDS_MAX = 60
_FORK = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload(["tests.contract.workers"])


class World(NamedTuple):
    place: Place
    dynamodb: Any
    sqs: Any


@pytest.fixture(scope="module", params=["ministack", "DynamoDB Local"])
def emulated(request) -> Iterator[tuple[Any, Any]]:
    """Clients of a DynamoDB and of an SQS of this module's own; ministack has the only queue."""
    require(emulators.ministack_missing())
    with emulators.ministack() as client:
        if request.param == "ministack":
            yield client("dynamodb"), client("sqs")
            return
        require(emulators.dynamodb_local_missing())
        with emulators.dynamodb_local() as dynamodb:
            yield dynamodb, client("sqs")


@pytest.fixture
def world(emulated) -> World:
    dynamodb, sqs = emulated
    _clear(dynamodb)
    attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
    queue, dead = (
        sqs.create_queue(QueueName=f"{name}-{time.time_ns()}", Attributes=attributes)["QueueUrl"]
        for name in ("scenario", "scenario-dead")
    )
    place = Place(dynamodb.meta.endpoint_url, sqs.meta.endpoint_url, queue, dead, NOW, SHARDS)
    return World(place, dynamodb, sqs)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_anywhere(world, seed):
    """Two consumers and two folds, killed again and again: everything is as if one had done it all in peace."""
    chosen = random.Random(seed)
    sent = _shifted(batches(Choices(seed=seed), REQUESTS))
    drain(world, [_messages_of(batch, chosen) for batch in sent], chosen)
    store = world.place.store()
    # The second looks for callers that are no clients, which it does once they have had time to come.
    for now in (NOW, NOW + 60):
        summarise_shards(store, range(SHARDS), now)
    items = _items(world.dynamodb, config.STATISTICS_TABLE)
    found = targets_among({key: item["v"] for key, item in items.items() if "v" in item})
    assert figures_of_targets(found) == figures([made for batch in sent for made in batch])
    assert found == straightforward(sent, SHARDS, [NOW])[0]
    assert sum(partition.startswith("m|") for partition, _ in items) == len(sent)
    assert not [sort for _, sort in items if sort.startswith("s|")]
    for number in (1, 2):
        spans = [made for batch in sent for made in batch if made.trace == number]
        stored = [span.name for span in read_spans(store, trace_id(number), NOW)]
        assert sorted(stored) == sorted(made.name for made in spans)
    dead = world.sqs.receive_message(QueueUrl=world.place.dead_letters_url)
    assert not dead.get("Messages")


def drain(world: World, requests: Sequence[Sequence[bytes]], chosen: random.Random) -> None:
    """All is sent while workers are killed and started again; then they are left alone until it is done."""
    roles = [consume_for_ever, consume_for_ever, fold_for_ever, fold_for_ever]
    workers = [_started(role, world.place) for role in roles]
    sender = SqsSender(world.sqs, world.place.queue_url)
    try:
        for number, bodies in enumerate(requests):
            for body in bodies:
                assert receive_traces(HEADERS, body, NOW, sender.send).status == 200
            if number % REQUESTS_A_KILL == 0:
                at = chosen.randrange(len(roles))
                workers[at].join(chosen.uniform(0.0, 0.2))
                assert workers[at].is_alive()
                workers[at].kill()
                workers[at].join()
                workers[at] = _started(roles[at], world.place)
        end = time.monotonic() + DRAIN_SECONDS_MAX
        while _waiting(world):
            assert time.monotonic() < end, "it is not drained"
            workers[0].join(0.1)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _messages_of(batch: Sequence[Made], chosen: random.Random) -> Sequence[bytes]:
    """Some requests come twice: their sender had no answer."""
    return [payload(batch)] * chosen.choice((1, 1, 2))


def _started(role: Callable[[Place], None], place: Place) -> Any:
    worker = _FORK.Process(target=role, args=(place,), daemon=True)
    worker.start()
    return worker


def _waiting(world: World) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = world.sqs.get_queue_attributes(QueueUrl=world.place.queue_url, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def _shifted(of: Sequence[Sequence[Made]]) -> list[list[Made]]:
    """The same, now."""
    ahead = NOW * 10**9 - NOON_NANO
    return [[made._replace(start=made.start + ahead) for made in batch] for batch in of]


def _clear(dynamodb: Any) -> None:
    for table in (config.STATISTICS_TABLE, config.SPANS_TABLE, config.INDEX_TABLE):
        for item in _scan(dynamodb, table):
            dynamodb.delete_item(TableName=table, Key={"p": item["p"], "s": item["s"]})


def _items(dynamodb: Any, table: str) -> dict[tuple[str, str], Any]:
    plain = map(plain_item, _scan(dynamodb, table))
    return {(str(item["p"]), str(item["s"])): item for item in plain}


def _scan(dynamodb: Any, table: str) -> Iterator[Any]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]
