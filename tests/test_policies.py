"""What each function may do on AWS is what it does: nothing is missing, and nothing is left over."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import config, wiring
from chalicelib.model.token import Scope
from chalicelib.store import dictionary, layout
from chalicelib.summarise import fold
from chalicelib.summarise.job import summarise_shards
from infra.tokens import make_token
from local.fake_aws import Moto
from tests.consume.test_dictionaries import learned
from tests.faults.world import World
from tests.payloads import MILLI, SERVER, Made, payload
from tests.policies import (
    FUNCTIONS,
    PROJECT,
    RECORDER,
    Call,
    Done,
    allows,
    calls_of,
    leading_key_patterns,
    short_resource,
    statements,
)
from tests.test_app import GUARDED, sent

STAGES = ("dev", "prod")
BY_OTHERS = {
    "api_handler": set(),
    # Lambda's poller takes messages in the name of the function.
    # Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS", execution role permissions.
    "consume": {
        Call(f"sqs:{action}", "spans")
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    },
    "summarise": set(),
}
"""What AWS does in a function's name, beside writing its log."""


@pytest.fixture(scope="module")
def done():
    """What the functions do in a story in which everything happens that they are for."""
    moto = Moto()
    moto.start(config.PREFIX, {})
    RECORDER.forget()
    try:
        with pytest.MonkeyPatch.context() as patch:
            _tell_the_story(World(patch), patch)
        return RECORDER.done()
    finally:
        moto.stop()


def _tell_the_story(world: World, patch: pytest.MonkeyPatch) -> None:
    _look_queues_up_again()
    world.run()
    _bury_one(world)
    # Another test of this process may have learned the same one.
    dictionary._held.clear()
    learned(world.store, world.now)
    # A callee whose caller has not come when its window is over is looked for in the stored trace; what is known of
    # many is written apart from them too.
    patch.setattr(fold, "FILTERED_BYTES_MIN", 0)
    late = Made(9, 9, "late", 8, "GET /", SERVER, (world.now - 60) * 10**9, MILLI)
    world.send(payload([late]))
    world.consume(world.received())
    world.summarise()
    for windows in (2, 3):
        # The schedule's function has not held the dictionary that the consumer's has learned.
        dictionary._held.clear()
        later = world.now + windows * config.PENDING_WINDOW_SECONDS
        summarise_shards(world.store, range(config.SHARDS_READ), later)
    patch.setattr(config, "ACCESS_OPEN", False)
    make_token(wiring.store(), Scope, "", "a-token")
    _look_queues_up_again()
    for resource, method in GUARDED:
        _ask_everything(method, resource)


def _look_queues_up_again() -> None:
    """Functions do so once each, and are processes of their own."""
    for cached in (wiring.queue_url, wiring.dead_letters, wiring.dead_letter_queue):
        cached.cache_clear()


def _bury_one(world: World) -> None:
    """A message that cannot be stored, twice; then one that can be, under the same note."""
    world.sqs.send_message(QueueUrl=world.queue_url, MessageBody="junk")
    world.settle()
    assert world.redrive()["status"] in ("running", "completed")


def _ask_everything(method: str, resource: str) -> None:
    body = b'{"default_strategy":{"type":"probabilistic","param":1}}' if method == "PUT" else b""
    for query in ([], [("service", "shop")], [("serviceName", "shop")], [("traceID", f"{1:032x}")]):
        parameters = {"service": "shop", "trace_id": f"{1:032x}"}
        headers = {"x-api-key": "a-token"}
        got = sent(
            method,
            resource,
            path_parameters=parameters,
            query=[*query, ("endTs", "2000000000000")] if "dependencies" in resource else query,
            headers=headers,
            body=body,
        )
        assert got.status < 500


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_missing(done, function):
    """Whatever a function does its policy allows."""
    calls = {each.call for each in done if each.function == function}
    assert calls
    assert not [c for c in calls if not any(allows(s, c) for s in statements(function))]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_left_over(done, function):
    """Whatever a policy allows, action by action and resource by resource, its function does."""
    calls = {each.call for each in done if each.function == function} | BY_OTHERS[function]
    for statement in statements(function):
        for action in statement["Action"]:
            if action.startswith("logs:"):
                continue
            for arn in statement["Resource"]:
                pair = (action, short_resource(arn))
                keys = {c.leading_key for c in calls if (c.action, c.resource) == pair}
                assert keys, f"{function} never does {pair}"
                for pattern in leading_key_patterns(statement):
                    narrowed = {**statement, "Condition": _only(pattern)}
                    assert any(allows(narrowed, Call(*pair, key)) for key in keys), (pair, pattern)


def _only(pattern: str) -> dict[str, Any]:
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [pattern]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_tokens_are_written_by_nobody(function):
    """No function may write an access token, nor remove one: only who deploys may."""
    key = layout.TOKENS_PARTITION
    writes = ("BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem", "PartiQLInsert")
    for action in writes:
        call = Call(f"dynamodb:{action}", "table/statistics", key)
        assert not any(allows(statement, call) for statement in statements(function))


@pytest.mark.parametrize("function", ["consume", "summarise"])
def test_sampling_is_written_by_the_api_alone(function):
    """Who takes spans off the queue cannot change what clients are told to sample."""
    call = Call("dynamodb:BatchWriteItem", "table/statistics", layout.SAMPLING_KEY.partition)
    assert not any(allows(statement, call) for statement in statements(function))
    assert any(allows(statement, call) for statement in statements("api_handler"))


def test_stages_are_alike():
    """Policies of two stages differ in the names of their resources alone."""
    for function in FUNCTIONS:
        texts = [
            (PROJECT / ".chalice" / f"policy-{stage}-{function}.json")
            .read_text()
            .replace(f"clew-{stage}", "clew")
            for stage in STAGES
        ]
        assert texts[0] == texts[1]


def test_a_missing_permission_is_seen():
    """The look at every test's calls finds a call that no policy allows, and a written token."""
    asked = {"RequestItems": {"clew-statistics": [{"PutRequest": {"Item": {"p": {"S": "t"}}}}]}}
    (call,) = calls_of("dynamodb", "BatchWriteItem", asked)
    assert call == Call("dynamodb:BatchWriteItem", "table/statistics", "t")
    for function in FUNCTIONS:
        assert not any(allows(statement, call) for statement in statements(function))
    done = Done("api_handler", Call("dynamodb:Scan", "table/spans"))
    RECORDER._add(done)
    assert RECORDER.take_refused() == [done]
    assert RECORDER.take_refused() == []
