"""What a queue may do with messages: deliver twice, out of order, after deletion; and those that cannot be stored."""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import config
from tests.faults.injector import FOREVER, Fault, cancelled
from tests.payloads import Made, payload
from tests.policies import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.world import World

pytestmark = pytest.mark.slow


def poisoned(world: World) -> list[dict[str, Any]]:
    """A record of each kind of damage, each made of another good one."""
    for i in range(len(DAMAGES)):
        world.send_until_acknowledged(payload([Made(90 + i, 1)]))
    return [
        {**record, **damage(record, base64.b64decode(_binary(record)))}
        for record, damage in zip(world.received(), DAMAGES, strict=True)
    ]


def _binary(record: dict[str, Any]) -> str:
    binary: str = record["messageAttributes"]["payload"]["binaryValue"]
    return binary


def _payload(frame: bytes) -> dict[str, Any]:
    value = {"dataType": "Binary.zstd", "binaryValue": base64.b64encode(frame).decode()}
    return {"messageAttributes": {"payload": value}}


DAMAGES: list[Callable[[dict[str, Any], bytes], dict[str, Any]]] = [
    lambda record, frame: _payload(b""),
    lambda record, frame: _payload(b"garbage" * 9),
    lambda record, frame: _payload(frame[: len(frame) // 2]),
    lambda record, frame: _payload(frame[:-1] + bytes([frame[-1] ^ 1])),
    lambda record, frame: {"messageAttributes": {}},
    lambda record, frame: {"body": "hello"},
    lambda record, frame: {"body": json.dumps({**json.loads(record["body"]), "version": 99})},
    lambda record, frame: {"body": json.dumps({**json.loads(record["body"]), "digest": "0" * 64})},
]


@pytest.fixture
def expected(world):
    world.run()
    found = world.outcome()
    world.clear()
    for body in world.requests:
        world.send_until_acknowledged(body)
    return found


def test_twice_in_one_event(world, expected):
    """A message that is in an event twice counts once."""
    records = world.received()
    world.consume([*records, *records])
    world.settle()
    assert world.outcome() == expected


def test_twice_one_after_the_other(world, expected):
    """A message that is delivered again after it was deleted, as SQS may do, changes nothing."""
    records = world.received()
    for _ in range(3):
        world.consume(world.give_back(records))
        world.settle()
    assert world.outcome() == expected


def test_delivered_as_if_for_the_first_time(world, expected):
    """A redrive sets the receive count back to one: the marker knows better."""
    records = world.received()
    for _ in range(3):
        world.consume(records)
        world.settle()
    assert world.outcome() == expected


@pytest.mark.parametrize("seed", range(5))
def test_any_order_and_batching(world, expected, seed):
    """Messages in any order and batches, some of them twice, with the schedule in between, come to the same."""
    rng = random.Random(seed)
    records = world.received()
    deliveries = [*records, *rng.sample(records, 2)]
    rng.shuffle(deliveries)
    while deliveries:
        size = rng.randrange(1, 4)
        world.consume(deliveries[:size])
        deliveries = deliveries[size:]
        if rng.random() < 0.5:
            world.summarise()
    world.settle()
    assert world.outcome() == expected


def test_one_bad_message(world, expected):
    """A message of each kind of damage is buried alone, byte for byte; the others of its event are stored."""
    records, bad = world.received(), poisoned(world)
    world.consume([*bad[:3], *records, *bad[3:]])
    world.settle()
    outcome = world.outcome()
    assert outcome._replace(dead_letters=[]) == expected
    assert sorted(body for body, _ in outcome.dead_letters) == sorted(each["body"] for each in bad)


def test_only_bad_messages(world):
    """An event of nothing but bad messages buries them all, and does not fail: good ones are not held up."""
    bad = poisoned(world)
    world.consume(bad)
    outcome = world.outcome()
    assert len(outcome.dead_letters) == len(bad)
    assert outcome.spans == {}


def test_a_full_cycle_of_the_dead_letter_queue(world, expected, monkeypatch):
    """What a fault of ours has buried, and is sent back after the repair, is counted as if nothing had been."""
    records = world.received()
    with monkeypatch.context() as broken:

        def bug(*_: object) -> None:
            raise TypeError("a bug")

        broken.setattr("chalicelib.consume.commit.block_items", bug)
        world.consume(records)
    buried = world.outcome()
    assert len(buried.dead_letters) == len(world.requests)
    assert buried.markers == set()
    world.redrive()
    world.settle()
    assert world.outcome() == expected


def test_what_dynamodb_refuses_for_good(world, expected):
    """A group of which DynamoDB will not take one message's items is halved until that one stands alone."""
    refused = cancelled("None", "ValidationError")
    marked: list[str] = []

    def refuse_one() -> object:
        # The one whose marker is written with others is found by halving: refuse whatever holds it.
        actions = world.injector.params["TransactItems"]
        digests = [action["Put"]["Item"]["p"]["S"] for action in actions]
        marked.extend(d for d in digests if d.startswith("m|") and not marked)
        return refused() if marked[0] in digests else None

    with world.injector.happening(
        Fault("one", refuse_one, None, ("TransactWriteItems",), "", FOREVER), 0
    ):
        world.consume(world.received())
    outcome = world.outcome()
    assert len(outcome.dead_letters) == 1
    assert len(outcome.markers) == len(world.requests) - 1
    world.redrive()
    world.settle()
    assert world.outcome() == expected


def test_the_same_spans_in_another_request(world):
    """Copies of spans, in a request of other bytes, are in the trace once: only statistics can count them twice."""
    one, two = Made(1, 1, start=world.now * 10**9), Made(1, 2, start=world.now * 10**9)
    world.send_until_acknowledged(payload([one]))
    world.send_until_acknowledged(payload([one, two]))
    world.settle()
    assert len(world.outcome().spans[1]) == 2


def test_a_table_that_is_not_there(world, monkeypatch):
    """A fault of the deployment fails the invocation: nothing is buried, and everything is delivered again."""
    world.send_until_acknowledged(world.requests[0])
    records = world.received()
    with monkeypatch.context() as wrong:
        wrong.setattr(config, "SPANS_TABLE", "nowhere")
        with pytest.raises(Exception, match="ResourceNotFound"):
            world.consume(records)
    # No policy allows a table of this name, either.
    assert {each.call.resource for each in RECORDER.take_refused()} == {"table/nowhere"}
    assert world.outcome().dead_letters == []
