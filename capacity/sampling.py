"""Computes what sampling saves and loses; `python -m capacity.sampling` writes the tables of docs/sampling.md.

    newest bench/results/*.json ──curve──▶ dollars(kept * traces made) * kept ──▶ tables

Nothing is measured here: the same results make the same tables.
"""

from __future__ import annotations

import json
from itertools import pairwise
from math import ceil, exp, log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capacity.load import SPANS_PER_TRACE
from capacity.pages import replace_between, table
from capacity.prices import SECONDS_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PROJECT = Path(__file__).parents[1]
RESULTS = _PROJECT / "bench" / "results"
PAGE = _PROJECT / "docs" / "sampling.md"
KEPT = (1.0, 0.5, 0.1, 0.01)
"""Shares of traces that are kept; the others are compared with the first."""
TRACES_MADE = (10, 100, 1_000)
"""Traces a second before sampling; a hundredth of the smallest is the lowest rate of the curve."""
FAILED = (1, 3, 10, 30, 100, 300, 1_000)
CONFIDENCE = 0.95
MEASURED = (100, 1_000, 10_000, 100_000, 1_000_000)


def newest_curve() -> list[dict[str, Any]]:
    """Return the cost curve of the newest results that have one. Raises LookupError if there are none."""
    for path in sorted(RESULTS.glob("20*.json"), reverse=True):
        curve: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")).get("curve", [])
        if curve:
            return curve
    raise LookupError(f"{RESULTS} holds no results with a curve: make bench makes one")


def dollars_at(curve: Sequence[Mapping[str, Any]], traces_per_second: float) -> float:
    """Return dollars a million stored spans at this rate, interpolated on logarithmic axes between measured points.

    Raises ValueError outside the curve.
    """
    points = sorted((row["traces_per_second"], row["dollars"]) for row in curve)
    for (low, at_low), (high, at_high) in pairwise(points):
        if low <= traces_per_second <= high:
            part = log(traces_per_second / low) / log(high / low)
            return float(exp(log(at_low) * (1 - part) + log(at_high) * part))
    raise ValueError(
        f"the curve is from {points[0][0]:g} to {points[-1][0]:g} traces a second, "
        f"and does not hold {traces_per_second:g}"
    )


def chance_to_see(failed: int, kept: float) -> float:
    """Return the probability that at least one of `failed` traces is kept; each is kept independently."""
    return 1 - (1 - kept) ** failed


def failed_wanted(kept: float, confidence: float = CONFIDENCE) -> int:
    """Return how many traces must fail until one is kept with this probability."""
    return 1 if kept >= 1 else ceil(log(1 - confidence) / log(1 - kept))


def relative_error(made: int, kept: float) -> float:
    """Return half the width of the 95 % interval of `kept traces / kept`, as a share of the traces made."""
    return 1.96 * sqrt((1 - kept) / (made * kept))


def cost_table(curve: Sequence[Mapping[str, Any]]) -> str:
    heads = (
        *("traces made a second", "kept", "$ a million spans kept", "$ a million spans made"),
        *("$ a month", "of the bill unsampled"),
    )
    return table(heads, [_cost_row(curve, made, kept) for made in TRACES_MADE for kept in KEPT])


def _cost_row(curve: Sequence[Mapping[str, Any]], made: float, kept: float) -> list[str]:
    dollars = dollars_at(curve, made * kept)
    whole = dollars_at(curve, made)
    month = dollars * kept * made * SPANS_PER_TRACE * SECONDS_PER_MONTH / 1e6
    return [
        *(f"{made:,}", f"{kept:.0%}", f"{dollars:.3f}", f"{dollars * kept:.4f}"),
        *(f"{month:,.2f}", f"{dollars * kept / whole:.1%}"),
    ]


def seen_table() -> str:
    heads = ("failed traces", *(f"{kept:.0%} kept" for kept in KEPT[1:]))
    rows = [
        [f"{failed:,}", *(_percent(chance_to_see(failed, kept)) for kept in KEPT[1:])]
        for failed in FAILED
    ]
    wanted = [f"for {CONFIDENCE:.0%}: so many", *(f"{failed_wanted(kept):,}" for kept in KEPT[1:])]
    return table(heads, [*rows, wanted])


def _percent(chance: float) -> str:
    """Never 100 %, which no sampling gives."""
    return "> 99.9%" if chance > 0.999 else f"{chance:.1%}"


def error_table() -> str:
    heads = ("traces made in the range", *(f"{kept:.0%} kept" for kept in KEPT[1:]))
    rows = [
        [f"{made:,}", *(f"± {relative_error(made, kept):.1%}" for kept in KEPT[1:])]
        for made in MEASURED
    ]
    return table(heads, rows)


def tables(curve: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name of a pair of markers in docs/sampling.md → what belongs between them."""
    return {
        "sampling-cost": cost_table(curve),
        "sampling-seen": seen_table(),
        "sampling-error": error_table(),
    }


def write(curve: Sequence[Mapping[str, Any]]) -> None:
    for name, content in tables(curve).items():
        replace_between(PAGE, name, content)


def main() -> None:
    curve = newest_curve()
    for name, content in tables(curve).items():
        print(f"\n{name}\n{content}")
    write(curve)


if __name__ == "__main__":
    main()
