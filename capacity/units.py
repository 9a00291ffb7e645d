"""The units that AWS bills: DynamoDB's units and stored bytes, SQS's requests, Lambda's gigabyte-seconds.

Sources: docs.aws.amazon.com, "DynamoDB read and write operations", "DynamoDB item sizes and formats", and the pricing
pages of DynamoDB, SQS and Lambda.
"""

from __future__ import annotations

WRITE_UNIT_BYTES = 1_024
READ_UNIT_BYTES = 4_096
ITEM_OVERHEAD_BYTES = 100
"""Bytes that DynamoDB bills for each stored item beside its own."""
SQS_REQUEST_BYTES = 65_536
VCPU_MEGABYTES = 1_769
"""Memory of a Lambda function with one vCPU; its share of a vCPU is proportional to its memory."""


def _begun(size: int, unit: int) -> int:
    return max(1, -(-size // unit))


def write_units(item_bytes: int, *, in_transaction: bool = False) -> int:
    """Return the write units of an item; `item_bytes` is the larger size, before or after. Transactions count twice."""
    return _begun(item_bytes, WRITE_UNIT_BYTES) * (2 if in_transaction else 1)


def read_units(read_bytes: int) -> int:
    """Return the read units of a strongly consistent read of an item or a page of a query; at least one."""
    return _begun(read_bytes, READ_UNIT_BYTES)


def sqs_requests(payload_bytes: int) -> int:
    """Return the requests that one call of SQS is billed as: each started 64 KB is one."""
    return _begun(payload_bytes, SQS_REQUEST_BYTES)


def duration_seconds(cpu_seconds: float, waiting_seconds: float, memory_megabytes: int) -> float:
    """Return the seconds that Lambda runs for so many CPU seconds of a whole CPU and so many of waiting."""
    share = min(1.0, memory_megabytes / VCPU_MEGABYTES)
    return cpu_seconds / share + waiting_seconds


def gigabyte_seconds(seconds: float, memory_megabytes: int) -> float:
    """Return the gigabyte-seconds of one invocation; Lambda bills each started millisecond."""
    milliseconds = -int(-(seconds * 1_000) // 1)
    return milliseconds / 1_000 * memory_megabytes / 1_024
