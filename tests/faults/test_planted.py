"""The test that these tests can fail: bugs that are put in on purpose are found."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.faults.injector import ALL
from tests.faults.planted import ANOTHER, PLANTED
from tests.faults.test_every_call import Expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.planted import Planted
    from tests.faults.world import Outcome, World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(world, monkeypatch, bug):
    """Without a fault the bug does not show; with one, the world comes to something else, or to no end."""
    expected = Expected(world)
    bug.plant(monkeypatch)
    world.clear()
    world.run()
    assert comparable(world.outcome()) == comparable(expected.outcome), (
        "no fault is needed to see it"
    )
    assert any(
        outcome is None or comparable(outcome) != comparable(expected.outcome)
        for outcome in outcomes(world, expected, bug)
    )


def comparable(outcome: Outcome) -> Outcome:
    """Without what identifies the messages: how many were counted is left."""
    return outcome._replace(markers={str(len(outcome.markers))})


def outcomes(world: World, expected: Expected, bug: Planted) -> Iterator[Outcome | None]:
    """What the world comes to with the bug's fault at each call; None where it comes to no end."""
    fault = next((each for each in ALL if each.name == bug.fault), None)
    assert fault or bug.fault == ANOTHER
    places = list(expected.places(world, fault, *bug.kinds))
    # From both ends: what is rolled up is so at the end of a story, and a search from its beginning takes long.
    for invocation, at in chain.from_iterable(zip(places, reversed(places), strict=True)):
        # A fault has no second consumer, which may have one of the messages or all.
        for messages in (None,) if fault else (1, None):
            world.clear()
            try:
                if fault:
                    world.run(fault, invocation, at)
                else:
                    world.run_twice(invocation, at, "before", messages)
            except AssertionError:
                yield None
            yield world.outcome()
