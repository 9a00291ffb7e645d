"""Senders go before askers, and no asker waits for ever."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from app import app
from local import turns as turns_module
from local.turns import (
    BODY_SHARE,
    GIVE_WAY_SECONDS_MAX,
    LONG_SHARE,
    QUIET_SECONDS,
    RECENT_SECONDS,
    REST_SECONDS_MAX,
    ROOM,
    SEND_PATHS,
    SHORT_SHARE,
    Background,
    Kind,
    NoRoom,
    Turns,
    Work,
    kind_of,
)

ASKED_BY_POST = {"/api/transform", "/v1/dead-letters/redrive"}


class Steps:
    """A clock that advances with each look at it, or stands still."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self.step = step
        self.looks: list[float] = []

    def __call__(self) -> float:
        self.now += self.step
        self.looks.append(self.now)
        return self.now


def test_every_route_has_its_kind():
    """Exactly the routes that spans are posted to are for senders; with any base of Zipkin's UI, too."""
    posts = {path for path, methods in app.routes.items() if "POST" in methods}
    assert posts - ASKED_BY_POST == SEND_PATHS
    for path, methods in app.routes.items():
        for method in methods:
            is_sent = method == "POST" and path in SEND_PATHS
            assert (kind_of(method, path) is Kind.SEND) == is_sent
            assert kind_of(method, f"/zipkin{path}") is kind_of(method, path)


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        (Kind.HEAVY, ["/v1/traces", "/v1/traces/", "/api/traces", "/api/v2/traces", "/v1/edges"]),
        (Kind.HEAVY, ["/v1/services/a/statistics", "/api/metrics/calls", "/api/v2/traceMany"]),
        (Kind.TRACE, ["/v1/traces/0a", "/api/traces/0a", "/api/v2/trace/0a", "/api/v3/traces/0a"]),
        (Kind.LIGHT, ["/", "/health", "/assets/x.js", "/v1/services", "/api/services", "/x"]),
    ],
)
def test_the_cost_of_a_question_is_known_by_its_path(kind, paths):
    """What a question may cost is known by its path."""
    assert {kind_of("GET", path) for path in paths} == {kind}


def test_nobody_sends():
    """Without senders nobody waits, nor looks at the clock more than once."""
    clock = Steps()
    turns = Turns(clock)
    turns.give_way(10)
    assert len(clock.looks) == 1


def test_waits_until_spans_are_taken():
    """While a sender is served an answer stands still, and a moment longer: it may send again."""
    clock = Steps()
    turns = Turns(clock)
    waited = threading.Thread(target=turns.give_way, args=(10,))
    turns.came(Kind.SEND)
    waited.start()
    assert waited.is_alive()
    turns.left(Kind.SEND)
    while len(clock.looks) < 5:
        assert waited.is_alive()
    clock.now = QUIET_SECONDS
    waited.join(30)
    assert not waited.is_alive()


@pytest.mark.parametrize(
    ("is_long", "share"), [(True, LONG_SHARE), (True, BODY_SHARE), (False, SHORT_SHARE)]
)
@pytest.mark.parametrize("worked_seconds", [0.0, 0.001, 0.01, 1.0])
def test_not_for_ever(worked_seconds, is_long, share):
    """Under senders without end an answer has its share of the time: it waits for a multiple of what it worked."""
    clock = Steps(step=0.02)
    turns = Turns(clock)
    turns.came(Kind.SEND)
    began = clock.now
    turns.give_way(worked_seconds, share, is_long=is_long)
    waited_seconds = clock.now - began
    assert waited_seconds <= min(share * worked_seconds, GIVE_WAY_SECONDS_MAX) + 3 * clock.step
    assert all(before <= after for before, after in pairwise(clock.looks))


def test_rests_while_spans_come():
    """In the second after a span what is long rests for as long as it has worked, within a bound; later not at all."""
    clock = Steps(step=0.0005)
    turns = Turns(clock)
    turns.came(Kind.SEND)
    turns.left(Kind.SEND)
    for later, worked, expected in ((QUIET_SECONDS, 0.01, 0.01), (0, 10, REST_SECONDS_MAX)):
        clock.now += later
        began = clock.now
        turns.give_way(worked)
        assert expected <= clock.now - began <= expected + 4 * clock.step
    clock.now += RECENT_SECONDS
    began = clock.now
    turns.give_way(10)
    assert clock.now - began <= 2 * clock.step


class TestBackground:
    def test_waits_for_askers(self):
        """While somebody asks for something short, what nobody waits for stands still."""
        clock = Steps(step=0.02)
        turns = Turns(clock)
        turns.came(Kind.LIGHT)
        background = Background(turns, iter([0.0, 60.0, 60.0]).__next__)
        with background.working():
            began = clock.now
            assert background.go_on()
            assert clock.now - began >= GIVE_WAY_SECONDS_MAX
        turns.left(Kind.LIGHT)
        began = clock.now
        turns.give_way_to_askers(60.0)
        assert clock.now == began

    @pytest.mark.parametrize("kind", [Kind.LIGHT, Kind.TRACE, Kind.HEAVY])
    @pytest.mark.parametrize("worked_seconds", [0.0, 0.001, 0.01, 1.0])
    def test_not_for_ever(self, worked_seconds, kind):
        """Under askers without end it has half the time."""
        clock = Steps(step=0.02)
        turns = Turns(clock)
        turns.came(kind)
        began = clock.now
        turns.give_way_to_askers(worked_seconds)
        waited_seconds = clock.now - began
        assert waited_seconds <= min(worked_seconds, GIVE_WAY_SECONDS_MAX) + 3 * clock.step

    def test_not_for_senders(self):
        """What was sent must be stored as fast as it comes: nobody waits for those who send more."""
        clock = Steps()
        turns = Turns(clock)
        turns.came(Kind.SEND)
        turns.give_way_to_askers(10.0)
        assert not clock.looks

    def test_only_in_its_thread(self):
        """What a request's own thread asks AWS for waits for nobody."""
        turns = Turns()
        background = Background(turns, lambda: pytest.fail("nothing is worked in the background"))
        turns.came(Kind.LIGHT)
        assert background.go_on()


class Works:
    """Requests of one laptop, each with a processor's clock that is set by hand."""

    def __init__(self) -> None:
        self.turns = Turns()

    def begun(
        self,
        kind: Kind,
        *,
        is_long: bool = False,
        is_gone: bool = False,
        worked_seconds: float = 0.0,
    ) -> Work:
        cpu_seconds = iter([0.0, 1.0 if is_long else worked_seconds])
        last = 0.0

        def cpu_clock() -> float:
            nonlocal last
            last = next(cpu_seconds, last)
            return last

        work = Work(self.turns, kind, lambda: is_gone, cpu_clock=cpu_clock)
        work.begin()
        return work

    def wait_until(self, holds, thread):
        while not holds():
            assert thread.is_alive()

    def order(self, working: Work, waiting: list[Work], *, is_long: bool) -> list[Work]:
        """In which order these go on, that begin to wait in the order given, once `working` ends."""
        done: list[Work] = []

        def go_on(work: Work) -> None:
            work.go_on()
            done.append(work)
            work.end()

        assert working.go_on()
        threads = [threading.Thread(target=go_on, args=(work,)) for work in waiting]
        for count, thread in enumerate(threads, 1):
            thread.start()
            self.wait_until(lambda: self.turns.waiting_count(is_long=is_long) == count, thread)  # noqa: B023
        working.end()
        for thread in threads:
            thread.join(30)
        return done


@pytest.fixture
def works():
    return Works()


@pytest.fixture
def no_waiting(monkeypatch):
    """Nobody waits for others for more than a moment."""
    for name in ("TURN_SECONDS_MAX", "ROOM_SECONDS_MAX", "GIVE_WAY_SECONDS_MAX"):
        monkeypatch.setattr(turns_module, name, 0.001)


def test_whoever_has_gone(works):
    """An answer goes on as long as somebody waits for it; what a sender sent is taken whether it waits or not."""
    assert works.begun(Kind.TRACE).go_on()
    assert not works.begun(Kind.HEAVY, is_gone=True).go_on()
    assert works.begun(Kind.SEND, is_gone=True).go_on()


class TestTurnsOfWork:
    @pytest.mark.parametrize("is_long", [False, True])
    def test_one_at_a_time(self, works, is_long):
        """Of two answers one is worked on; at its next look, or its end, it is the other's turn."""
        first, second = (works.begun(Kind.HEAVY, is_long=is_long) for _ in range(2))
        assert first.go_on()
        waiting = threading.Thread(target=second.go_on)
        waiting.start()
        works.wait_until(lambda: works.turns.waiting_count(is_long=is_long), waiting)
        # It gives its turn away, and goes on when the other has had it for long.
        assert first.go_on()
        waiting.join(30)
        assert not waiting.is_alive()
        first.end()
        second.end()
        assert works.begun(Kind.TRACE).go_on()

    def test_who_keeps_the_others_waiting(self, works, no_waiting):
        """One that works for long between two looks does not stop the others."""
        first, second = works.begun(Kind.TRACE), works.begun(Kind.TRACE)
        assert first.go_on()
        assert second.go_on()
        first.end()
        assert second.go_on()

    def test_a_short_one_does_not_wait_for_a_long_one(self, works):
        """Long answers, and long bodies, have turns among themselves."""
        long = works.begun(Kind.HEAVY, is_long=True)
        body = works.begun(Kind.SEND, is_long=True)
        assert long.go_on()
        for kind in Kind:
            short = works.begun(kind)
            assert short.go_on()
            short.end()
        waiting = threading.Thread(target=body.go_on)
        waiting.start()
        works.wait_until(lambda: works.turns.waiting_count(is_long=True), waiting)
        long.end()
        waiting.join(30)
        assert not waiting.is_alive()

    def test_who_has_worked_least_goes_first(self, works):
        """Of short answers the one that has had least of the processor is next, though it came last."""
        working, more, less = (
            works.begun(Kind.TRACE, worked_seconds=seconds) for seconds in (0.001, 0.004, 0.002)
        )
        assert works.order(working, [more, less], is_long=False) == [less, more]

    def test_a_long_body_goes_before_long_answers(self, works):
        """Of those that wait for the turn a sender's is next, though it came last."""
        working, answer = (works.begun(Kind.HEAVY, is_long=True) for _ in range(2))
        body = works.begun(Kind.SEND, is_long=True)
        assert works.order(working, [answer, body], is_long=True) == [body, answer]


class TestRoom:
    @pytest.mark.parametrize("kind", ROOM)
    def test_so_many_are_long(self, works, no_waiting, kind):
        """Of each kind a few are worked on for long; more are told to come again, and short ones go on."""
        room = ROOM[kind]
        long = [works.begun(kind, is_long=True) for _ in range(room.worked_on)]
        assert all(work.go_on() for work in long)
        with pytest.raises(NoRoom):
            works.begun(kind, is_long=True).go_on()
        assert works.begun(kind).go_on()
        long[0].end()
        assert works.begun(kind, is_long=True).go_on()

    @pytest.mark.parametrize("kind", ROOM)
    def test_a_few_wait_and_no_more(self, works, kind, monkeypatch):
        """Who waits goes on when there is room; who would be one too many is told at once."""
        monkeypatch.setattr(turns_module, "TURN_SECONDS_MAX", 0.001)
        room = ROOM[kind]
        working = [works.begun(kind, is_long=True) for _ in range(room.worked_on)]
        assert all(work.go_on() for work in working)
        waiting = [works.begun(kind, is_long=True) for _ in range(room.waiting)]
        threads = [threading.Thread(target=work.go_on) for work in waiting]
        for count, thread in enumerate(threads, room.worked_on + 1):
            thread.start()
            works.wait_until(lambda: works.turns.long_count(kind) == count, thread)  # noqa: B023
        with pytest.raises(NoRoom):
            works.begun(kind, is_long=True).go_on()
        for work in working:
            work.end()
        for work, thread in zip(waiting, threads, strict=True):
            thread.join(30)
            assert not thread.is_alive()
            work.end()
        assert not works.turns.long_count(kind)

    def test_a_long_body_is_no_reason_to_wait(self, works):
        """Answers give way to senders whose requests are short; one that is long gives way itself."""
        body = works.begun(Kind.SEND, is_long=True)
        assert works.turns.is_sending
        assert body.go_on()
        assert not works.turns.is_sending
        body.end()
        assert not works.turns.is_sending
        short = works.begun(Kind.SEND)
        assert works.turns.is_sending
        short.end()
        assert not works.turns.is_sending
