"""Clew's stack on moto, in this process, and a way to its tables that does not lead through DynamoStore."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.session
from botocore.config import Config
from moto import mock_aws

from chalicelib import config
from infra import stack
from local.moto import mends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.store.items import Item, Plain

_REGION = "us-east-1"
_KINDS = {"S": str, "B": bytes, "N": int}


@contextmanager
def moto_stack() -> Iterator[Callable[[str], Any]]:
    """Within: the stack is up, and the given function makes a client of a service, which never retries by itself."""
    with mock_aws():
        mends.apply()
        stack.apply(client("cloudformation"), config.PREFIX)
        yield client


def client(service: str) -> Any:
    # The stubs lack ignore_configured_endpoint_urls; without it AWS_ENDPOINT_URL would lead past moto.
    once = Config(retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True)  # type: ignore[call-arg]
    return botocore.session.get_session().create_client(service, _REGION, config=once)


class PastDynamoDB:
    """Items by GetItem and PutItem, which DynamoStore uses for nothing."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb

    def write(self, table: str, item: Item) -> None:
        self._dynamodb.put_item(TableName=table, Item=_typed(item))

    def read(self, table: str, partition: Plain, sort: Plain) -> Item | None:
        key = _typed({"p": partition, "s": sort})
        found = self._dynamodb.get_item(TableName=table, Key=key).get("Item")
        return None if found is None else _plain(found)


def _typed(item: Item) -> dict[str, Any]:
    names = {str: "S", bytes: "B", int: "N"}
    return {
        name: {names[type(value)]: str(value) if isinstance(value, int) else value}
        for name, value in item.items()
    }


def _plain(typed: dict[str, Any]) -> Item:
    return {
        name: _KINDS[kind](content)
        for name, value in typed.items()
        for kind, content in value.items()
    }


@contextmanager
def hooked(aws: Any, event: str, handler: Callable[..., Any]) -> Iterator[None]:
    """Within: botocore tells `handler` of an event of this client."""
    aws.meta.events.register(event, handler)
    try:
        yield
    finally:
        aws.meta.events.unregister(event, handler)


class _Status(NamedTuple):
    status_code: int


def refusal(code: str, status: int = 400, **more: Any) -> tuple[_Status, dict[str, Any]]:
    """What a `before-call` handler returns for a request that AWS refuses with this error code; it is not sent."""
    return _Status(status), {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {},
        **more,
    }


def accepted() -> tuple[_Status, dict[str, Any]]:
    """What a `before-call` handler returns for a request that is to succeed without being sent."""
    return _Status(200), {"ResponseMetadata": {}}
