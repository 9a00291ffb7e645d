"""Whatever happens at whichever call to AWS, the world comes to the same: nothing lost, nothing counted twice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.faults.injector import ALL, TRANSACT, Died, Fault
from tests.faults.world import Outcome, World, answers

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAVY = os.environ.get("FAULTS") == "all"
"""`make faults`: every fault at every call. `make test` takes the few that find most.

Dying before a call is dying after the one before it: of these two, one is among the few.
"""
FEW = [
    fault
    for fault in ALL
    if fault.name
    in {
        *("dies after", "answer lost", "half unprocessed", "keys unprocessed"),
        *("half failed", "cancelled: TransactionConflict", "cancelled: ValidationError"),
    }
]

pytestmark = pytest.mark.slow


class Expected:
    """What the world comes to without faults, and the calls it takes."""

    def __init__(self, world: World) -> None:
        world.have_a_look()
        self.operations = world.run()
        self.outcome: Outcome = world.outcome()
        self.answers = answers(world)

    def places(self, world: World, fault: Fault | None, *kinds: str) -> Iterator[tuple[int, int]]:
        """Each invocation (of these kinds, if any are said) and call at which the fault can happen."""
        for invocation, operations in enumerate(self.operations):
            if kinds and world.invocations()[invocation].kind not in kinds:
                continue
            for at, operation in enumerate(operations):
                if fault is None or fault.can_happen_at(operation):
                    yield invocation, at


@pytest.fixture
def expected(world):
    found = Expected(world)
    world.clear()
    return found


def test_the_world_is_whole(expected, world):
    """The world that faults are compared with has spans, every kind of edge, a roll-up, and nothing left to do."""
    assert {number: len(spans) for number, spans in expected.outcome.spans.items()} == {
        1: 4,
        2: 5,
        3: 1,
    }
    calls = {
        (edge["callee"], edge["kind"]): edge["calls"]
        for edge in expected.answers["/v1/edges"]["edges"]
    }
    # One of the calls of the cart is below a client, one below a span that is looked for.
    assert calls == {("cart", "rpc"): 2, ("db-1", "database"): 1, ("mail", "messaging"): 1}
    levels = {sort.partition("|")[0] for _, sort in expected.outcome.targets}
    assert levels >= {"m", "h"}
    assert expected.outcome.left == {"messages": 0, "segments": 0}
    assert expected.outcome.dead_letters == []
    operations = {operation for each in expected.operations for operation in each}
    assert operations == {
        *("SendMessageBatch", "BatchGetItem", "BatchWriteItem", "TransactWriteItems", "Query"),
    }


@pytest.mark.parametrize("fault", ALL if HEAVY else FEW, ids=lambda fault: fault.name)
def test_at_every_call(expected, world, fault):
    """A fault at any single call, of receive, consume, fold or roll-up, changes nothing of what the world comes to."""
    places = list(expected.places(world, fault))
    assert places
    for invocation, at in places:
        world.clear()
        world.run(fault, invocation, at)
        assert world.outcome() == expected.outcome, (invocation, at)
        assert answers(world) == expected.answers, (invocation, at)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("kind", "messages"), [("consume", None), ("consume", 1), ("summarise", None)]
)
def test_another_at_every_call(expected, world, kind, messages, when):
    """A second consumer with all or some of the same messages, or the schedule run again, between any two calls."""
    for invocation, at in expected.places(world, None, kind):
        world.clear()
        world.run_twice(invocation, at, when, messages)
        assert world.outcome() == expected.outcome, (invocation, at)


@pytest.mark.parametrize("kind", ["consume", "summarise"] if HEAVY else ["consume"])
def test_died_twice(expected, world, kind):
    """A process that dies, and whose successor dies too, at any two calls, changes nothing."""
    died = next(fault for fault in ALL if fault.name == "dies after")
    places = list(expected.places(world, died, kind))
    for invocation, first in places:
        for second in {at for number, at in places if number == invocation and at % 3 == 0}:
            world.clear()
            world.run(died, invocation, first, again=second)
            assert world.outcome() == expected.outcome, (invocation, first, second)


def test_sent_again_by_botocore(expected, world):
    """A commit whose answer is lost, and which botocore itself sends again, counts once."""
    for invocation, at in expected.places(world, Fault("any", operations=TRANSACT)):
        world.clear()
        with world.injector.doing_twice():
            world.run(Fault("twice", operations=TRANSACT), invocation, at)
        assert world.outcome() == expected.outcome, (invocation, at)


def test_died_is_fatal(world):
    """Nothing of the product outlives a process that dies: the injector's death is no Exception."""
    assert not issubclass(Died, Exception)
