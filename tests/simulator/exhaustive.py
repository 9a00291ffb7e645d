"""Small stories in every order of their calls.

Of orders that differ only by calls that do not meet, one is run: a call that was tried and meets nothing that came
since is "asleep" (Godefroid's sleep sets). Batches and transactions are one step each here; their halves and phases the
random runs have. With `faults_max`, also everything that goes wrong once, or twice, at any call.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from tests.simulator.choices import Choices
from tests.simulator.runs import Run, Search, told_by
from tests.simulator.story import Scale, Story, nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.hub import Actor, Call, Fault, Hub
    from tests.simulator.story import Plant


class Case(NamedTuple):
    name: str
    deliveries: tuple[tuple[int, ...], ...]
    """For each consumer, the messages of its event by number, from 1. A message may come to several."""
    folds: int = 1
    readers: int = 0
    times: int = 1
    """That folds and readers begin."""
    counted: tuple[int, ...] = ()
    """Messages that are counted before it all begins."""

    @property
    def messages(self) -> int:
        return max(number for event in (*self.deliveries, self.counted) for number in event)


CASES = (
    Case("two consumers, three messages, a fold", ((1, 2), (2, 3)), times=2),
    Case("a consumer, two folds", ((2,),), folds=2, counted=(1,)),
    Case("a consumer, a fold, a reader", ((2,),), readers=1, counted=(1,)),
)


class Step(NamedTuple):
    """Who goes on, and what goes wrong."""

    actor: str
    fault: str
    call: Call

    def commutes_with(self, other: Step) -> bool:
        # Two faults use up one allowance.
        if self.actor == other.actor or (self.fault and other.fault):
            return False
        return self.call.commutes_with(other.call)


class Fork:
    """A point of a story with the steps that can be next."""

    def __init__(self, steps: list[Step], asleep: list[Step]) -> None:
        names = {step[:2] for step in asleep}
        self.awake = [step for step in steps if step[:2] not in names]
        self._asleep = asleep
        self.taken = 0

    @property
    def step(self) -> Step:
        return self.awake[self.taken]

    @property
    def asleep_after(self) -> list[Step]:
        """Tried before, here or further up, and not met by the step that is taken."""
        tried = [*self._asleep, *self.awake[: self.taken]]
        return [step for step in tried if step.commutes_with(self.step)]


class Explorer:
    """Runs one case over and over, each time in another order, until there is none."""

    def __init__(
        self, case: Case, faults_max: int = 0, plant: Plant = nothing, *, leaves_out: bool = True
    ) -> None:
        self._case = case
        self._plant = plant
        self._faults_max = faults_max
        self._leaves_out = leaves_out
        """Orders that can come to nothing new."""
        self.ends: set[bytes] = set()
        """What was left in the tables when nobody was under way any more, each a digest."""
        self._path: list[Fork] = []
        self._is_redundant = False
        self.is_done = False
        """Whether there is no other order."""

    def search(self, runs_max: int, time_left: Callable[[], bool] = lambda: True) -> Search:
        runs = steps = 0
        while runs < runs_max and time_left():
            run = self._run()
            runs, steps = runs + (not self._is_redundant), steps + run.steps
            if run.broken:
                return Search(runs, steps, run)
            if not self._advance():
                self.is_done = True
                break
        return Search(runs, steps, None)

    def _advance(self) -> bool:
        """To the next order; False after the last."""
        while self._path:
            fork = self._path[-1]
            fork.taken += 1
            if fork.taken < len(fork.awake):
                return True
            self._path.pop()
        return False

    def _run(self) -> Run:
        scale = Scale(self._case.messages)
        story = Story(Choices(), scale, self._plant, is_coarse=True)
        return told_by(story, self._play)

    def _play(self, story: Story) -> None:
        with story.configured():
            story.send_all()
            story.consume(story.sqs.again(self._case.counted))
            for number, event in enumerate(self._case.deliveries, 1):
                story.add_consumer_of(f"consumer {number}", event)
            story.add_folds_and_readers(self._case.folds, self._case.readers, self._case.times)
            self._order(story.hub)
            if not self._is_redundant:
                self.ends.add(_digest_of(story))
                story.settle()
                story.check()

    def _order(self, hub: Hub) -> None:
        """Along the path, and on from its end: always the first step that is awake."""
        self._is_redundant = False
        asleep: list[Step] = []
        faults_left = self._faults_max
        depth = 0
        while actors := {actor.name: actor for actor in hub.actors if actor.can_run}:
            if depth == len(self._path):
                self._path.append(Fork(_steps(list(actors.values()), faults_left), asleep))
            fork = self._path[depth]
            if not fork.awake:
                # Every order from here on was seen in another place.
                self._path.pop()
                self._is_redundant = True
                break
            actor = actors[fork.step.actor]
            fault = _fault(actor, fork.step.fault)
            faults_left -= fault is not None
            hub.step(actor, fault)
            asleep = fork.asleep_after if self._leaves_out else []
            depth += 1
        hub.end()


def _digest_of(story: Story) -> bytes:
    items = sorted(story.dynamodb.items.items())
    return hashlib.sha256(repr(items).encode()).digest()


def _steps(actors: list[Actor], faults_left: int) -> list[Step]:
    steps = [Step(actor.name, "", actor.call) for actor in actors]
    if faults_left:
        steps += [
            Step(actor.name, fault.name, actor.call)
            for actor in actors
            for fault in actor.call.faults
        ]
    return steps


def _fault(actor: Actor, name: str) -> Fault | None:
    return next((fault for fault in actor.call.faults if fault.name == name), None)
