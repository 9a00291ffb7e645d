"""Faults at AWS calls: the calls of an invocation are numbered, and at one of them something happens.

Everything hangs on botocore's own events, so that the product is as it is deployed:

    provide-client-params ─▶ before-call ─▶ (moto does it) ─▶ after-call
           numbered            refused,        done              answer lost,
           cut in half         died                              died, half of it handed back
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto.core.models import botocore_stubber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOREVER = 10**9


class Died(BaseException):
    """The process is gone: no `except Exception` of the product survives that."""


class Fault(NamedTuple):
    """What happens at a call."""

    name: str
    before: Callable[[], Any] | None = None
    """Raises, or returns what AWS answers instead of doing it."""
    after: Callable[[], Any] | None = None
    """Raises once it is done: the answer does not arrive."""
    operations: tuple[str, ...] = ()
    """The only calls at which it can happen; none: at any."""
    halves: str = ""
    """Of a batch, half is not done, and handed back under this name."""
    times: int = 1
    """How many calls from there on, of an invocation."""

    def can_happen_at(self, operation: str) -> bool:
        return not self.operations or operation in self.operations


class _Status(NamedTuple):
    status_code: int


def refused(code: str, status: int = 400, **more: Any) -> Callable[[], Any]:
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {}, **more}
    return lambda: (_Status(status), dict(answer))


def cancelled(*reasons: str) -> Callable[[], Any]:
    """A transaction that DynamoDB cancels for what its first actions met."""
    codes = [{"Code": code} for code in reasons]
    return refused("TransactionCanceledException", CancellationReasons=codes)


def raising(error: BaseException) -> Callable[[], Any]:
    def throw() -> Any:
        raise error

    return throw


TRANSACT, BATCH_WRITE = ("TransactWriteItems",), ("BatchWriteItem",)
_URL = "https://example.com"
ENDS = [
    Fault("dies before", before=raising(Died())),
    Fault("dies after", after=raising(Died())),
    Fault("answer lost", after=raising(ReadTimeoutError(endpoint_url=_URL))),
    Fault("unreachable", before=raising(EndpointConnectionError(endpoint_url=_URL))),
]
REFUSALS = [
    Fault("throttled once", before=refused("ThrottlingException")),
    Fault("throttled for long", before=refused("ThrottlingException"), times=FOREVER),
    Fault("server error", before=refused("InternalServerError", 500)),
]
PARTS = [
    Fault("half unprocessed", operations=BATCH_WRITE, halves="UnprocessedItems"),
    Fault(
        "half unprocessed for long",
        operations=BATCH_WRITE,
        halves="UnprocessedItems",
        times=FOREVER,
    ),
    Fault("keys unprocessed", operations=("BatchGetItem",), halves="UnprocessedKeys"),
    Fault("half failed", operations=("SendMessageBatch",), halves="Failed"),
]
CANCELLATIONS = [
    Fault(
        f"cancelled: {code}{' for long' if times > 1 else ''}",
        cancelled(code),
        None,
        TRANSACT,
        "",
        times,
    )
    for code in ("TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError")
    for times in (1, FOREVER)
] + [
    Fault(f"cancelled: {code}", cancelled("None", code), None, TRANSACT)
    for code in ("ItemCollectionSizeLimitExceeded", "ValidationError")
]
ALL = [*ENDS, *REFUSALS, *PARTS, *CANCELLATIONS]


class Injector:
    """Numbers the calls of two botocore clients, and lets one fault happen."""

    def __init__(self, dynamodb: Any, sqs: Any) -> None:
        self._dynamodb = dynamodb
        self.operations: list[str] = []
        """Of the calls since `begin`."""
        self._fault: Fault | None = None
        self._at = 0
        self._again: int | None = None
        self._handed_back: Any = None
        self.params: dict[str, Any] = {}
        """Of the latest call."""
        for client in (dynamodb, sqs):
            service = client.meta.service_model.service_name
            client.meta.events.register(f"provide-client-params.{service}", self._begun)
            client.meta.events.register(f"before-call.{service}", self._before)
            client.meta.events.register(f"after-call.{service}", self._after)

    @contextmanager
    def happening(self, fault: Fault | None, at: int, again: int | None = None) -> Iterator[None]:
        """Within: the calls are numbered from 0, and the fault happens at call `at`; in a second try at `again`."""
        self.operations, self._fault, self._at, self._again = [], fault, at, again
        try:
            yield
        finally:
            self._fault = None

    @contextmanager
    def second_try(self) -> Iterator[None]:
        """Within: the calls are numbered anew, and the fault happens where it was told to happen again, if at all."""
        kept = self.operations, self._fault, self._at
        self.operations = []
        self._fault, self._at = (None, 0) if self._again is None else (self._fault, self._again)
        try:
            yield
        finally:
            self.operations, self._fault, self._at = kept

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within: calls are not counted, and nothing happens: somebody else makes them."""
        kept = self.operations, self._fault, self._at
        self.operations, self._fault = [], None
        try:
            yield
        finally:
            self.operations, self._fault, self._at = kept

    @contextmanager
    def doing_twice(self) -> Iterator[None]:
        """Within: where the fault happens, the request is sent twice, as botocore does after a lost answer.

        moto knows no request tokens, as DynamoDB has forgotten them after ten minutes: the second is done too.
        """

        def send_first(event_name: str, request: Any, **_: Any) -> None:
            if self._now():
                botocore_stubber(event_name, request)

        event = "before-send.dynamodb"
        self._dynamodb.meta.events.register_first(event, send_first)
        try:
            yield
        finally:
            self._dynamodb.meta.events.unregister(event, send_first)

    def _now(self) -> Fault | None:
        fault = self._fault
        place = len(self.operations) - 1
        if fault and self._at <= place < self._at + fault.times:
            return fault if fault.can_happen_at(self.operations[-1]) else None
        return None

    def _begun(self, params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any] | None:
        self.operations.append(model.name)
        self._handed_back = None
        self.params = params
        fault = self._now()
        if fault and fault.halves:
            params, self._handed_back = _halved(params, fault.halves)
            return params
        return None

    def _before(self, **_: Any) -> Any:
        fault = self._now()
        if fault and fault.halves == "Failed" and len(self.params["Entries"]) == 1:
            return _Status(200), {"Failed": self._handed_back, "ResponseMetadata": {}}
        return fault.before() if fault and fault.before else None

    def _after(self, parsed: dict[str, Any], **_: Any) -> None:
        fault = self._now()
        if fault and fault.halves and self._handed_back:
            parsed[fault.halves] = self._handed_back
            if fault.halves == "UnprocessedKeys":
                # What is handed back was not read, though of a single key moto has read it.
                ((table, requests),) = self._handed_back.items()
                items = parsed["Responses"].get(table, [])
                parsed["Responses"][table] = [
                    item
                    for item in items
                    if {name: item[name] for name in ("p", "s")} not in requests["Keys"]
                ]
        if fault and fault.after:
            fault.after()


def _halved(params: dict[str, Any], name: str) -> tuple[dict[str, Any], Any]:
    """The parameters of the half that is done, and what is handed back of the other."""
    if name == "Failed":
        entries = params["Entries"]
        done, failed = entries[: len(entries) // 2], entries[len(entries) // 2 :]
        back = [{"Id": each["Id"], "SenderFault": False, "Code": "x"} for each in failed]
        # SQS takes no empty batch: of one message none is sent.
        return {**params, "Entries": done or entries}, back
    ((table, requests),) = params["RequestItems"].items()
    if name == "UnprocessedKeys":
        keys = requests["Keys"]
        done_keys, left_keys = keys[: len(keys) // 2] or keys, keys[len(keys) // 2 :]
        done_requests = {table: {**requests, "Keys": done_keys}}
        return {**params, "RequestItems": done_requests}, {table: {**requests, "Keys": left_keys}}
    done_items, left_items = (
        requests[: len(requests) // 2] or requests,
        requests[len(requests) // 2 :],
    )
    return {**params, "RequestItems": {table: done_items}}, {table: left_items}
