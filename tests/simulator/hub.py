"""Who runs: each actor is a greenlet that stops before every call, and goes on when it is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulator.choices import Choices


class Died(BaseException):
    """The process is gone: no `except Exception` of the product survives that."""


class Endless(Exception):
    """A run took all the steps it may: whatever it waits for, nobody does it."""


class Place(NamedTuple):
    """Items that a call reads or writes: one, or a partition's from `low` to `high`."""

    partition: Any
    low: Any = None
    high: Any = None

    def meets(self, other: Place) -> bool:
        if self.partition != other.partition:
            return False
        below = self.high is not None and other.low is not None and self.high < other.low
        above = self.low is not None and other.high is not None and other.high < self.low
        return not (below or above)


class Fault(NamedTuple):
    """What happens at a call, instead of it or around it."""

    name: str
    happen: Callable[[Callable[[], Any]], Any]
    """Takes what the call does."""


class Call(NamedTuple):
    """What an actor is about to do."""

    operation: str
    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    faults: Sequence[Fault] = ()
    can_run: Callable[[], bool] = lambda: True

    def commutes_with(self, other: Call) -> bool:
        """Whether either order of the two comes to the same."""
        pairs = (
            (self.writes, other.reads),
            (self.writes, other.writes),
            (self.reads, other.writes),
        )
        return not any(a.meets(b) for ours, theirs in pairs for a in ours for b in theirs)


START = Call("start")
STEPS_MAX = 5_000
"""Of a run; the longest of three hundred large stories took 1,113."""


class Actor:
    def __init__(self, name: str, act: Callable[[], None], hub: Hub) -> None:
        self.name = name
        self.call = START
        self._greenlet = greenlet(lambda _: act(), hub.greenlet)

    @property
    def can_run(self) -> bool:
        return not self._greenlet.dead and self.call.can_run()

    @property
    def is_done(self) -> bool:
        return bool(self._greenlet.dead)

    def go_on(self, fault: Fault | None) -> None:
        self._greenlet.switch(fault)

    def end(self) -> None:
        if not self._greenlet.dead:
            # GreenletExit: it is over for good, and nobody is told.
            self._greenlet.throw()


class Hub:
    """Lets one actor at a time do one call."""

    def __init__(self, choices: Choices, steps_max: int = STEPS_MAX) -> None:
        self.greenlet = getcurrent()
        self.choices = choices
        self.actors: list[Actor] = []
        self.steps = 0
        self._steps_max = steps_max
        self.faults_left = 0
        self.fault_rate = 0.0
        self.switch_rate = 0.5
        self.told: list[str] = []
        """Actor, call and fault of each step: what a failing run prints."""
        self._latest: Actor | None = None
        self._by_greenlet: dict[Any, Actor] = {}

    def add(self, name: str, act: Callable[[], None]) -> None:
        actor = Actor(name, act, self)
        self._by_greenlet[actor._greenlet] = actor
        self.actors.append(actor)

    def at(self, call: Call) -> Fault | None:
        """An actor stops here until it is chosen; returns what is to happen. Who is no actor does not stop."""
        current = getcurrent()
        if current is self.greenlet:
            return None
        self._by_greenlet[current].call = call
        fault: Fault | None = self.greenlet.switch()
        return fault

    def run(self) -> None:
        """Until every actor is done, or none can go on; those that cannot are ended."""
        while ready := self._ready():
            actor = (
                ready[self.choices.pick(len(ready), self.switch_rate)] if ready[1:] else ready[0]
            )
            self.step(actor, self._fault(actor.call))
        self.end()

    def end(self) -> None:
        for actor in self.actors:
            actor.end()
        self.actors.clear()

    def step(self, actor: Actor, fault: Fault | None = None) -> None:
        if self.steps == self._steps_max:
            raise Endless(f"no end after {self.steps:,} steps")
        self.steps += 1
        happened = f" ({fault.name})" if fault else ""
        self.told.append(f"{actor.name}: {actor.call.operation}{happened}")
        self._latest = actor
        actor.go_on(fault)
        if actor.is_done:
            self.actors.remove(actor)

    def _ready(self) -> list[Actor]:
        """Who can go on; first who went last, so that the plainest choice is to go on with him."""
        ready = [actor for actor in self.actors if actor.can_run]
        ready.sort(key=lambda actor: actor is not self._latest)
        return ready

    def _fault(self, call: Call) -> Fault | None:
        if not call.faults or not self.faults_left:
            return None
        choice = self.choices.pick(len(call.faults) + 1, self.fault_rate)
        if not choice:
            return None
        self.faults_left -= 1
        return call.faults[choice - 1]
