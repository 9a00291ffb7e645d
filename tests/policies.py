"""What each function asks of AWS, as IAM would name it, against what its policy in `.chalice` allows.

    botocore's clients of the functions ──event──▶ Call ──which function?──▶ the function's policy

Every call in every test is looked at (`conftest.py` begins it): a test in whose course a function does what its role
may not has failed. Sources: Service Authorization Reference, "Actions, resources, and condition keys" for DynamoDB and
for SQS; DynamoDB Developer Guide, "Using IAM with transactions" and "IAM policy conditions for fine-grained access".
"""

from __future__ import annotations

import json
import sys
import threading
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PROJECT = Path(__file__).parents[1]
FUNCTIONS = ("api_handler", "consume", "summarise")
_APP = str(PROJECT / "app.py")
_PACKAGE = str(PROJECT / "chalicelib")
_ENTRIES = {
    _APP: "api_handler",
    f"{_PACKAGE}/functions/consume.py": "consume",
    f"{_PACKAGE}/functions/summarise.py": "summarise",
}
# Where a test calls a stage itself, and in the threads that an answer has: what only one function does.
_STAGES = {
    f"{_PACKAGE}/answer/": "api_handler",
    f"{_PACKAGE}/query/": "api_handler",
    f"{_PACKAGE}/summarise/": "summarise",
    f"{_PACKAGE}/consume/": "consume",
}
_ACTION_OF_BATCH = {"SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage"}
_TABLE_NAMES = ("spans", "index", "statistics")
_QUEUE_NAMES = ("spans", "dead-letters")


class Call(NamedTuple):
    """One permission that a call of AWS needs."""

    action: str
    """As IAM names it: `dynamodb:Query`."""
    resource: str
    """The end of its ARN, without the prefix of a Clew: `table/spans`, `dead-letters`."""
    leading_key: str | None = None
    """The partition key that DynamoDB tells IAM of, where it is text."""


class Done(NamedTuple):
    function: str
    call: Call


class Recorder:
    """Every distinct thing that functions have done in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: set[Done] = set()
        self._refused: list[Done] = []

    def __call__(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        function = _calling_function(sys._getframe())
        if function is None:
            return
        for call in calls_of(model.service_model.service_name, model.name, params):
            self._add(Done(function, call))

    def _add(self, done: Done) -> None:
        with self._lock:
            if done in self._done:
                return
            self._done.add(done)
            if not any(allows(statement, done.call) for statement in statements(done.function)):
                self._refused.append(done)

    def done(self) -> set[Done]:
        with self._lock:
            return set(self._done)

    def forget(self) -> None:
        with self._lock:
            self._done.clear()

    def take_refused(self) -> list[Done]:
        """What no policy allows, since this was asked last."""
        with self._lock:
            refused, self._refused = self._refused, []
            self._done.difference_update(refused)
            return refused


RECORDER = Recorder()


def record_from_now_on() -> None:
    """See every call of the clients that the functions make: they are those with a user agent of their own."""
    create = botocore.session.Session.create_client

    def create_and_watch(self: Any, *arguments: Any, **named: Any) -> Any:
        client = create(self, *arguments, **named)
        if getattr(named.get("config"), "user_agent", None) == "clew":
            client.meta.events.register_first("provide-client-params.*", RECORDER)
        return client

    botocore.session.Session.create_client = create_and_watch  # type: ignore[method-assign]


def _calling_function(frame: FrameType | None) -> str | None:
    """The function in whose course this is: the innermost entry, or what is known of the stage."""
    stage = None
    while frame is not None:
        path = frame.f_code.co_filename
        if entry := _ENTRIES.get(path):
            return entry
        if path.startswith(_PACKAGE):
            found = next((name for part, name in _STAGES.items() if path.startswith(part)), None)
            stage = found if found == "api_handler" or stage is None else stage
        frame = frame.f_back
    return stage


def calls_of(service: str, operation: str, params: dict[str, Any]) -> Iterator[Call]:
    """The permissions that one call of AWS needs."""
    if service == "sqs":
        yield from _calls_of_sqs(operation, params)
    elif operation == "TransactWriteItems":
        for action in params["TransactItems"]:
            ((kind, asked),) = action.items()
            name = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
            yield _table_call(name, asked["TableName"], asked.get("Item") or asked["Key"])
    elif operation == "BatchWriteItem":
        for table, requests in params["RequestItems"].items():
            for request in requests:
                ((_, asked),) = request.items()
                yield _table_call(operation, table, asked.get("Item") or asked["Key"])
    elif operation == "BatchGetItem":
        for table, asked in params["RequestItems"].items():
            for key in asked["Keys"]:
                yield _table_call(operation, table, key)
    elif operation == "Query":
        key = {"p": params["ExpressionAttributeValues"][":p"]}
        yield _table_call(operation, params["TableName"], key)
    else:
        yield _table_call(operation, params["TableName"], params.get("Item") or params["Key"])


def _calls_of_sqs(operation: str, params: dict[str, Any]) -> Iterator[Call]:
    named = params.get("QueueUrl") or params.get("QueueName") or params["SourceArn"]
    queue = _short(str(named), _QUEUE_NAMES)
    yield Call(f"sqs:{_ACTION_OF_BATCH.get(operation, operation)}", queue)
    if operation == "StartMessageMoveTask":
        # SQS moves messages in the name of who asks it to.
        # Source: Amazon SQS Developer Guide, "Configuring queue permissions for dead-letter queue redrive".
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            yield Call(f"sqs:{action}", queue)
        yield Call("sqs:SendMessage", _short(params["DestinationArn"], _QUEUE_NAMES))


def _table_call(operation: str, table: str, key: dict[str, Any]) -> Call:
    name = _short(table, _TABLE_NAMES)
    # What IAM makes of a binary key is said nowhere; no policy here depends on it.
    return Call(f"dynamodb:{operation}", f"table/{name}", key["p"].get("S"))


def _short(name: str, known: tuple[str, ...]) -> str:
    return next((each for each in known if name.endswith(f"-{each}")), name)


@cache
def statements(function: str, stage: str = "dev") -> list[dict[str, Any]]:
    """Of a function's policy."""
    file = PROJECT / ".chalice" / f"policy-{stage}-{function}.json"
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["Statement"]
    return found


def allows(statement: dict[str, Any], call: Call) -> bool:
    """Whether a statement allows what a call needs, as IAM decides."""
    return (
        call.action in statement["Action"]
        and any(short_resource(each) == call.resource for each in statement["Resource"])
        and _conditions_hold(statement.get("Condition", {}), call)
    )


def _conditions_hold(conditions: dict[str, Any], call: Call) -> bool:
    patterns = leading_key_patterns({"Condition": conditions})
    if not conditions:
        return True
    key = call.leading_key
    return key is not None and any(fnmatchcase(key, pattern) for pattern in patterns)


def leading_key_patterns(statement: dict[str, Any]) -> list[str]:
    """The partition keys that a statement is limited to; none if it is not. No other condition is known here."""
    conditions = statement.get("Condition", {})
    if not conditions:
        return []
    # ForAllValues holds where there is no key at all: Null says that there must be one.
    assert conditions["Null"] == {"dynamodb:LeadingKeys": "false"}
    assert set(conditions) == {"Null", "ForAllValues:StringLike"}
    ((name, patterns),) = conditions["ForAllValues:StringLike"].items()
    assert name == "dynamodb:LeadingKeys"
    return list(patterns)


def short_resource(arn: str, stage: str = "dev") -> str:
    """The end of an ARN without a Clew's prefix: `table/spans`."""
    return arn.split(":", 5)[5].replace(f"clew-{stage}-", "")
