"""Dead letters from end to end: buried with a reason, listed, sent back after a repair, counted as if nothing was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from chalicelib import config, wiring
from chalicelib.consume import commit as commit_module
from chalicelib.consume import consumer
from chalicelib.dialects import DIALECTS
from chalicelib.http.openapi import document
from chalicelib.store.dead_letter import carried_key
from tests.faults.injector import FOREVER, Died, Fault, raising, refused
from tests.faults.test_messages import poisoned
from tests.payloads import Made, payload, trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.world import Outcome, World

pytestmark = pytest.mark.slow


@pytest.fixture
def expected(world) -> Outcome:
    """What the world comes to without a fault; it is empty again, with every request in the queue."""
    world.run()
    found: Outcome = world.outcome()
    world.clear()
    for body in world.requests:
        world.send_until_acknowledged(body)
    return found


@pytest.fixture
def bug(monkeypatch) -> Iterator[pytest.MonkeyPatch]:
    """Until it is undone, no message of a trace whose spans are of `cart` can be stored."""
    with monkeypatch.context() as planted:
        commit = commit_module.commit

        def failing(store: Any, messages: Any, *more: Any) -> Any:
            if any(b"cart" in each.payload for each in messages):
                raise TypeError("a bug\nin \ud800 two lines")
            return commit(store, messages, *more)

        planted.setattr(consumer, "commit", failing)
        yield planted


def listed(world: World, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.get("/v1/dead-letters", **query)
    return found


def notes_in(world: World) -> int:
    return len(list(world.store.query(config.STATISTICS_TABLE, "d")))


def test_a_full_cycle(world, expected, bug):
    """What a fault buries is listed with its reason and traces; mended and redriven, all is equal to a run without."""
    world.consume(world.received())
    found = listed(world)
    assert found["queued"] == 2
    assert {each["reason"] for each in found["dead_letters"]} == {"TypeError: a bug in   two lines"}
    assert sorted(each["span_count"] for each in found["dead_letters"]) == [1, 2]
    assert [each["burials"] for each in found["dead_letters"]] == [1, 1]
    traces = {each for letter in found["dead_letters"] for each in letter["trace_ids"]}
    assert traces == {trace_id(1).hex(), trace_id(3).hex()}
    assert found["redrive"] is None
    bug.undo()
    moved = world.redrive()
    assert (moved["status"], moved["moved"]) == ("completed", 2)
    world.settle()
    assert world.outcome() == expected
    after = listed(world)
    assert (after["queued"], after["dead_letters"], notes_in(world)) == (0, [], 0)
    assert after["redrive"]["moved"] == 2


def test_as_described(world, expected, bug):
    """The list and the redrive validate against the API's own description, with letters in them."""
    world.consume(world.received())
    schemas = document(DIALECTS)["components"]
    found = listed(world), world.redrive(), listed(world)
    assert found[0]["dead_letters"]
    assert found[2]["redrive"]
    for name, answer in zip(("DeadLetters", "Redrive", "DeadLetters"), found, strict=True):
        schema = {**schemas["schemas"][name], "components": schemas}
        Draft202012Validator(schema).validate(answer)
        assert set(answer) == set(schema["properties"])


def test_sent_back_too_early(world, expected, bug):
    """A letter that is sent back before the repair is buried again: one letter, one note, two burials."""
    world.consume(world.received())
    first = listed(world)["dead_letters"]
    world.redrive()
    again = world.received()
    assert all(carried_key(record) for record in again)
    world.consume(again)
    found = listed(world)
    assert found["queued"] == 2
    assert [each["burials"] for each in found["dead_letters"]] == [2, 2]
    assert [each["first_time_unix_nano"] for each in found["dead_letters"]] == [
        each["first_time_unix_nano"] for each in first
    ]
    bug.undo()
    world.redrive()
    world.settle()
    assert world.outcome() == expected
    assert notes_in(world) == 0


def of_notes(world: World, happens: Callable[[], Any], operation: str) -> Fault:
    """What happens at the calls of one operation that name a note."""

    def maybe() -> Any:
        return happens() if "{'S': 'd'}" in repr(world.injector.params) else None

    return Fault("of notes", maybe, None, (operation,), "", FOREVER)


def test_killed_before_the_note_is_gone(world, expected, bug):
    """A consumer that dies once a redriven letter is counted leaves its note, and the next delivery takes it away."""
    world.consume(world.received())
    bug.undo()
    world.redrive()
    records = world.received()
    fault = of_notes(world, raising(Died()), "BatchWriteItem")
    with world.injector.happening(fault, 0), pytest.raises(Died):
        world.consume(records)
    assert notes_in(world) == 2
    world.consume(world.give_back(records))
    assert notes_in(world) == 0
    world.settle()
    assert world.outcome() == expected


def test_notes_that_cannot_be_written(world, expected, bug):
    """Where notes cannot be written, the letters are in the queue all the same, and told from there."""
    fault = of_notes(world, refused("ThrottlingException"), "BatchGetItem")
    with world.injector.happening(fault, 0):
        world.consume(world.received())
    found = listed(world)
    assert notes_in(world) == 0
    assert [each["burials"] for each in found["dead_letters"]] == [0, 0]
    assert {each["reason"] for each in found["dead_letters"]} == {"TypeError: a bug in   two lines"}
    assert "no note" in found["warnings"][0]
    bug.undo()
    world.redrive()
    world.settle()
    assert world.outcome() == expected


def test_moved_by_sqs_itself(world, expected):
    """What SQS moves after twenty deliveries has no reason of its own: it is listed, with that said, and comes back."""
    queue = wiring.client("sqs")
    for _ in range(21):
        queue.receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    found = listed(world)
    assert found["queued"] == len(world.requests)
    assert {each["reason"] for each in found["dead_letters"]} == {
        "the consumer failed at every delivery, and SQS moved it here"
    }
    assert sorted(each["span_count"] for each in found["dead_letters"]) == [1, 1, 2, 2, 2]
    world.redrive()
    world.settle()
    assert world.outcome() == expected


def test_an_unreadable_message_is_listed_without_made_up_facts(world):
    """Of a message that is none of ours there are its size, its reason and nothing made up; a look hides no letter."""
    world.consume(poisoned(world))
    for _ in range(2):
        found = listed(world)
        assert found["queued"] == len(found["dead_letters"]) == 8
    unread = [each for each in found["dead_letters"] if each["span_count"] is None]
    assert len(unread) == 4
    assert all(each["reason"] and each["message_bytes"] for each in found["dead_letters"])


def test_dead_letters_are_paged_newest_first(world, bug):
    """The list is paged, what was sent last first, each letter once."""
    for i in range(5):
        world.send_until_acknowledged(payload([Made(i + 1, 1, "cart")]))
    world.consume(world.received())
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = listed(world, limit=2, **cursor)
        seen += [each["trace_ids"][0] for each in page["dead_letters"]]
        assert len(page["dead_letters"]) <= 2
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert sorted(seen) == sorted(trace_id(i + 1).hex() for i in range(5))


def test_an_empty_queue(world):
    """Where nothing failed there is nothing, and sending it back moves nothing."""
    assert listed(world)["dead_letters"] == []
    assert world.redrive()["moved"] == 0


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limt": 1}])
def test_bad_question(world, query):
    """A parameter that is wrong is named."""
    assert listed(world, **query)["error"]["parameter"] in query


@pytest.mark.parametrize(
    ("code", "expected_code"), [("RequestThrottled", "throttled"), ("AccessDenied", "internal")]
)
def test_queue_in_trouble(world, code, expected_code):
    """A queue that is busy is a 503; one that refuses for good is a fault of the deployment, and says nothing of it."""
    sqs = wiring.client("sqs")

    def refuse(**_: Any) -> Any:
        return refused(code)()

    sqs.meta.events.register_first("before-call.sqs", refuse)
    try:
        answers = [listed(world), world.redrive()]
    finally:
        sqs.meta.events.unregister("before-call.sqs", refuse)
    assert [answer["error"]["code"] for answer in answers] == [expected_code] * 2
