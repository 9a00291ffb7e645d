"""The price list, and the cost of quantities: list prices, us-east-1, 2026-11, no free tiers, no discounts.

Prices marked UNVERIFIED are from memory or from pages other than AWS's own: check them before relying on them.
"""

from __future__ import annotations

from typing import NamedTuple


class Price(NamedTuple):
    dollars: float
    per: float
    """The number of units that cost `dollars`."""
    unit: str
    source: str


_UNVERIFIED = "UNVERIFIED"

PRICES = {
    "api_requests": Price(3.50, 1e6, "requests", "API Gateway pricing, REST API, first 333 M"),
    "lambda_requests": Price(0.20, 1e6, "requests", "Lambda pricing"),
    "lambda_gigabyte_seconds": Price(0.0000166667, 1, "GB-s", "Lambda pricing, x86-64"),
    "sqs_requests": Price(0.40, 1e6, "requests of 64 KB", "SQS pricing, standard queue"),
    "write_units": Price(0.625, 1e6, "write units", "DynamoDB pricing, on demand"),
    "read_units": Price(0.125, 1e6, "read units", "DynamoDB pricing, on demand"),
    "storage_gigabyte_months": Price(
        0.25, 1, "GB-months", f"DynamoDB pricing, standard class; {_UNVERIFIED}"
    ),
    "backup_gigabyte_months": Price(
        0.20, 1, "GB-months", f"DynamoDB pricing, point-in-time recovery; {_UNVERIFIED}"
    ),
    "log_gigabytes": Price(0.50, 1, "GB", f"CloudWatch pricing, logs taken in; {_UNVERIFIED}"),
    "metric_months": Price(
        0.30, 1, "custom metrics, months", f"CloudWatch pricing, first 10,000; {_UNVERIFIED}"
    ),
}
XRAY_DOLLARS_PER_MILLION_TRACES = 5.00
"""The price of recorded traces, from X-Ray's pricing page."""
DAYS_PER_MONTH = 365.25 / 12
SECONDS_PER_MONTH = DAYS_PER_MONTH * 86_400

Quantities = dict[str, float]
"""Name of a price → number of units that were used."""


def dollars(used: Quantities) -> dict[str, float]:
    """Return the dollars of each quantity. Raises KeyError if one has no price."""
    return {
        name: quantity * PRICES[name].dollars / PRICES[name].per for name, quantity in used.items()
    }


def total_dollars(used: Quantities) -> float:
    return sum(dollars(used).values())


def stored(item_bytes_billed: float, days: float) -> Quantities:
    """Return the quantities for keeping bytes for days, with point-in-time recovery."""
    gigabyte_months = item_bytes_billed / 2**30 * days / DAYS_PER_MONTH
    return {
        "storage_gigabyte_months": gigabyte_months,
        "backup_gigabyte_months": gigabyte_months,
    }


def xray_dollars(spans: float, spans_per_trace: float) -> float:
    """Return the dollars that X-Ray takes for recording so many spans."""
    return spans / spans_per_trace / 1e6 * XRAY_DOLLARS_PER_MILLION_TRACES
