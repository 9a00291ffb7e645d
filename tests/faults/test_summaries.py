"""What the schedule may meet: late spans, hours of absence; and what readers may: pages, gaps, what has expired."""

from __future__ import annotations

import pytest

from chalicelib import config
from chalicelib.errors import StoreThrottled
from tests.faults.injector import FOREVER, Fault
from tests.faults.test_requests import counted, noise
from tests.faults.world import SECOND, answers
from tests.payloads import Made, payload, trace_id

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("hours", [1, 5, 30, 24 * 7])
def test_late_spans(world, hours):
    """A span that comes hours or days late is in its trace, and in the statistics of the time it names."""
    start = (world.now - hours * 3_600) * SECOND
    world.send_until_acknowledged(payload([Made(1, 1, start=start)]))
    world.settle()
    world.send_until_acknowledged(payload([Made(1, 2, start=start)]))
    world.settle()
    assert len(world.outcome().spans[1]) == 2
    at = (world.now - hours * 3_600) // 86_400 * 86_400
    found = world.get("/v1/services/{service}/statistics", "shop", start=at, end=at + 86_400)
    assert found["total"]["calls"] == 2


def test_hours_without_the_schedule(world):
    """What has gathered while the schedule did not run is counted meanwhile, and folded when it runs again."""
    for i in range(1, 61):
        world.send_until_acknowledged(payload([Made(i % 9 + 1, i, start=world.now * SECOND)]))
        world.consume(world.received())
    before = answers(world)
    assert world.outcome().left["segments"] == 60
    world.settle()
    assert world.outcome().left["segments"] == 0
    assert counted(world) == 60
    assert answers(world) == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reader_at_every_call_of_a_fold(world, when):
    """Whoever asks in the midst of a fold gets what it would get before or after: the same."""
    story = world.invocations()
    last = max(number for number, each in enumerate(story) if each.kind == "consume")
    operations = world.run()[last + 1]
    expected = answers(world)
    found: list[object] = []

    def ask() -> None:
        found.append(answers(world))

    for at in range(len(operations)):
        world.clear()
        for each in story[: last + 1]:
            each.invoke()
        with world.injector.happening(
            Fault("asked", ask) if when == "before" else Fault("asked", None, ask), at
        ):
            world.summarise()
    assert found == [expected] * len(operations)


def test_expired_spans(world, monkeypatch):
    """What has expired is never shown, though DynamoDB may keep it for days."""
    world.run()
    assert world.get("/v1/traces/{trace_id}", trace_id(1).hex())["resourceSpans"]
    later_unix_nano = (world.now + config.RETENTION_SECONDS + 600) * 10**9
    monkeypatch.setattr("chalicelib.http.answering.time.time_ns", lambda: later_unix_nano)
    assert world.get("/v1/traces/{trace_id}", trace_id(1).hex())["error"]["code"] == "not_found"
    assert world.get("/v1/traces", "", service="shop")["traces"] == []


def test_deleted_between_two_pages(world):
    """A trace that is deleted while a search pages over it is left out and said, and nothing fails."""
    world.run()
    first = world.get("/v1/traces", "", start=world.now - 4 * 3_600, end=world.now + 3_600, limit=1)
    assert len(first["traces"]) == 1
    gone = next(n for n in (1, 2, 3) if trace_id(n).hex() != first["traces"][0]["trace_id"])
    for item in list(world.store.query(config.SPANS_TABLE, trace_id(gone))):
        world.store.delete_batch(config.SPANS_TABLE, [{"p": item["p"], "s": item["s"]}])
    rest = world.get(
        "/v1/traces", "", start=world.now - 4 * 3_600, end=world.now + 3_600, cursor=first["next"]
    )
    assert len(rest["traces"]) == 1
    assert "not there" in rest["warnings"][0]


def test_a_trace_over_many_pages(world):
    """A trace above the megabyte of one page is read whole."""
    made = [
        Made(1, i, start=world.now * SECOND, attributes=(("n", noise(i, 300_000)),))
        for i in range(1, 14)
    ]
    for each in made:
        world.send_until_acknowledged(payload([each]))
    world.settle()
    assert len(world.outcome().spans[1]) == 13


def test_keys_come_back_unread_for_long(world):
    """Markers that cannot be read fail the invocation rather than pass for absent."""
    world.send_until_acknowledged(world.requests[0])
    records = world.received()
    world.consume(records)
    fault = Fault("unread", operations=("BatchGetItem",), halves="UnprocessedKeys", times=FOREVER)
    world.send_until_acknowledged(world.requests[1])
    both = world.give_back([*records, *world.received()])
    with world.injector.happening(fault, 0), pytest.raises(StoreThrottled):
        world.consume(both)
    world.consume(both)
    world.settle()
    assert counted(world) == 4
