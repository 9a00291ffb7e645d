"""Senders go before askers, and no asker waits for ever."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from app import app
from infra.local import turns as turns_module
from infra.local.turns import (
    GIVE_WAY_SECONDS_MAX,
    QUIET_SECONDS,
    RECENT_SECONDS,
    REST_SECONDS_MAX,
    SEND_PATHS,
    SHARE,
    Answering,
    Kind,
    Turns,
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
def test_kinds(kind, paths):
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
    with turns.sending():
        waited.start()
        assert waited.is_alive()
    while len(clock.looks) < 5:
        assert waited.is_alive()
    clock.now = QUIET_SECONDS
    waited.join(30)
    assert not waited.is_alive()


@pytest.mark.parametrize("worked_seconds", [0.0, 0.001, 0.01, 10.0])
def test_not_for_ever(worked_seconds):
    """Under senders without end an answer has its share of the time: it waits for a multiple of what it worked."""
    clock = Steps(step=0.0005)
    turns = Turns(clock)
    turns.sender_came()
    began = clock.now
    turns.give_way(worked_seconds)
    waited_seconds = clock.now - began
    assert waited_seconds <= min(SHARE * worked_seconds, GIVE_WAY_SECONDS_MAX) + 3 * clock.step
    assert all(before <= after for before, after in pairwise(clock.looks))


def test_answering():
    """An answer goes on as long as somebody waits for it."""
    gone = [False]
    answering = Answering(Turns(), lambda: gone[0])
    assert answering.go_on()
    gone[0] = True
    assert not answering.go_on()


def test_rests_while_spans_come():
    """In the second after a span an answer rests for as long as it has worked, within a bound; later not at all."""
    clock = Steps(step=0.0005)
    turns = Turns(clock)
    with turns.sending():
        pass
    for later, worked, expected in ((QUIET_SECONDS, 0.01, 0.01), (0, 10, REST_SECONDS_MAX)):
        clock.now += later
        began = clock.now
        turns.give_way(worked)
        assert expected <= clock.now - began <= expected + 4 * clock.step
    clock.now += RECENT_SECONDS
    began = clock.now
    turns.give_way(10)
    assert clock.now - began <= 2 * clock.step


class TestTurnsOfAnswers:
    @staticmethod
    def answering(turns):
        return Answering(turns, lambda: False, takes_turns=True)

    def test_one_at_a_time(self):
        """Of two long answers one is worked on; at its next look, or its end, it is the other's turn."""
        turns = Turns()
        first, second = self.answering(turns), self.answering(turns)
        assert first.go_on()
        waiting = threading.Thread(target=second.go_on)
        waiting.start()
        while not turns.is_wanted_by_others():
            assert waiting.is_alive()
        assert (
            first.go_on()
        )  # it gives its turn away, and goes on when the other has had it for long
        waiting.join(30)
        assert not waiting.is_alive()
        first.end()
        second.end()
        assert second.go_on()

    def test_who_keeps_the_others_waiting(self, monkeypatch):
        """One that works for long between two looks does not stop the others."""
        monkeypatch.setattr(turns_module, "TURN_SECONDS_MAX", 0)
        turns = Turns()
        first, second = self.answering(turns), self.answering(turns)
        assert first.go_on()
        assert second.go_on()
        first.end()
        assert second.go_on()
