"""Stores for the benchmark: one that only counts bytes and write units, and botocore with the network cut off."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config

from chalicelib.store.dynamodb import DynamoStore, item_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.store.items import Item, Plain, Put

_WRITE_UNIT_BYTES = 1_024


def write_units(size: int) -> int:
    """DynamoDB's: a kilobyte, begun; a transaction's count twice."""
    return -(-size // _WRITE_UNIT_BYTES)


class CountingStore:
    """Accepts every write, keeps nothing but sums; has nothing to read."""

    def __init__(self) -> None:
        self.bytes: dict[str, int] = defaultdict(int)
        self.units: dict[str, int] = defaultdict(int)

    def put_batch(self, table: str, items: Sequence[Item]) -> None:
        for item in items:
            self._count(table, item, 1)

    def transact(self, actions: Sequence[Put]) -> None:
        for action in actions:
            self._count(f"{action.table} ({str(action.item['p'])[0]})", action.item, 2)

    def _count(self, table: str, item: Item, factor: int) -> None:
        size = item_bytes(item)
        self.bytes[table] += size
        self.units[table] += factor * write_units(size)

    def delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        pass

    def get_batch(self, table: str, keys: Sequence[Item]) -> list[Item]:
        return []

    def query(
        self,
        table: str,
        partition: Plain,
        low: Plain | None = None,
        high: Plain | None = None,
        *,
        descending: bool = False,
    ) -> Iterator[Item]:
        return iter(())


class _Raw:
    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield b"{}"


def unplugged_store() -> DynamoStore:
    """Everything that botocore does for a call (validate, serialise, sign, parse) but send it."""
    client: Any = botocore.session.get_session().create_client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def answer(request: object, **_: object) -> AWSResponse:
        headers: Any = HeadersDict({"content-type": "application/x-amz-json-1.0"})
        return AWSResponse("", 200, headers, _Raw())

    client.meta.events.register("before-send.dynamodb", answer)
    return DynamoStore(client)
