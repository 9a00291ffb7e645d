"""Cuts the product's own AWS clients off the network, so that botocore's own CPU time can be measured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse, HeadersDict

from chalicelib import wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.store.dynamodb import DynamoStore


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body


def _answer(body: bytes) -> Callable[..., AWSResponse]:
    def answer(**_: object) -> AWSResponse:
        headers: Any = HeadersDict({"content-type": "application/x-amz-json-1.0"})
        return AWSResponse("", 200, headers, _Raw(body))

    return answer


def unplug() -> None:
    """Make the product's clients serialise, sign and parse each call, but send nothing."""
    os.environ.update(
        AWS_ACCESS_KEY_ID="bench",
        AWS_SECRET_ACCESS_KEY="bench",
        AWS_DEFAULT_REGION="us-east-1",
    )
    wiring.forget()
    queue_url = b'{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/123456789012/clew-spans"}'
    wiring.client("dynamodb").meta.events.register("before-send.dynamodb", _answer(b'{"Items":[]}'))
    wiring.client("sqs").meta.events.register("before-send.sqs", _answer(queue_url))


def unplugged_store() -> DynamoStore:
    unplug()
    return wiring.store()
