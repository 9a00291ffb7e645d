"""What AWS counts: DynamoDB's units and stored bytes, SQS's requests, Lambda's gigabyte-seconds.

Sources: docs.aws.amazon.com, "DynamoDB read and write operations", "DynamoDB item sizes and formats", and the pricing
pages of DynamoDB, SQS and Lambda.
"""

from __future__ import annotations

WRITE_UNIT_BYTES = 1_024
READ_UNIT_BYTES = 4_096
ITEM_OVERHEAD_BYTES = 100
"""DynamoDB bills so many for each stored item, beside its own bytes."""
SQS_REQUEST_BYTES = 65_536
VCPU_MEGABYTES = 1_769
"""Of a Lambda function that has one vCPU; with less memory it has that part of one."""


def _begun(size: int, unit: int) -> int:
    return max(1, -(-size // unit))


def write_units(item_bytes: int, *, in_transaction: bool = False) -> int:
    """Of writing an item, whose larger size counts, before and after. A transaction's count twice."""
    return _begun(item_bytes, WRITE_UNIT_BYTES) * (2 if in_transaction else 1)


def read_units(read_bytes: int) -> int:
    """Of a strongly consistent read: of one item, or of a page of a query. One at least, also for nothing found."""
    return _begun(read_bytes, READ_UNIT_BYTES)


def sqs_requests(payload_bytes: int) -> int:
    """What one call to SQS is billed as: 64 KB, begun."""
    return _begun(payload_bytes, SQS_REQUEST_BYTES)


def duration_seconds(cpu_seconds: float, waiting_seconds: float, memory_megabytes: int) -> float:
    """How long Lambda runs for work that takes so much of one whole CPU, and waits for AWS beside it."""
    share = min(1.0, memory_megabytes / VCPU_MEGABYTES)
    return cpu_seconds / share + waiting_seconds


def gigabyte_seconds(seconds: float, memory_megabytes: int) -> float:
    """Of one invocation: Lambda bills whole milliseconds, begun."""
    milliseconds = -int(-(seconds * 1_000) // 1)
    return milliseconds / 1_000 * memory_megabytes / 1_024
