"""`make soak MINUTES=10`: prints what `soak` finds and writes it as JSON to bench/results; exits 1 if spans are lost.

`python -m tests.soak --quick` takes seconds, to see that it runs, and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bench.record import result_of, write
from bench.timing import reference_loop_seconds
from tests.soak.soak import measure


def lines(found: dict[str, Any]) -> list[str]:
    """Return the result as lines for people."""
    calm, hard = found["steady"], found["burst"]
    return [
        f"Steady: {calm['spans_per_second']:,.0f} spans/s for {calm['seconds']:.0f} s, each found; memory "
        f"{calm['rss_megabytes_at_start']:.0f} MB at first, {calm['rss_megabytes_peak']:.0f} MB at most, "
        f"{calm['rss_megabytes_per_minute']:+.1f} MB a minute over the second half, of which "
        f"{calm['marker_megabytes_per_minute']:.1f} are markers.",
        f"Burst: {hard['asked_spans_per_second']:,.0f} spans/s asked for, {hard['sent_spans_per_second']:,.0f} "
        f"sent for {hard['seconds']:.0f} s, {hard['sent_spans_per_second'] / calm['spans_per_second']:.1f} times as "
        f"many; {hard['requests_refused']} requests refused and sent again.",
        f"Acknowledged {hard['acknowledged_spans']:,}, counted {hard['counted_spans']:,} after "
        f"{hard['drain_seconds']:.0f} s more; {hard['sample_found']} traces found; "
        f"{hard['rss_megabytes_peak']:.0f} MB at most.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of the steady part")
    parser.add_argument("--burst-seconds", type=float, default=60)
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    arguments = parser.parse_args()
    reference = reference_loop_seconds()
    found = (
        measure(2, 2)
        if arguments.quick
        else measure(arguments.minutes * 60, arguments.burst_seconds)
    )
    print("\n".join(lines(found)))
    result = result_of(found, reference)
    if not arguments.quick:
        write(result, "soak-")
    lost = found["burst"]["acknowledged_spans"] - found["burst"]["counted_spans"]
    if lost:
        sys.exit(f"acknowledged and counted differ by {lost} spans")


if __name__ == "__main__":
    main()
