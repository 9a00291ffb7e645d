"""`make attack`: a laptop stack under every hostile request at once, for MINUTES; exits 1 where one does harm."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import tempfile

from tests.attack.attack import Report, attack, new_token
from tests.e2e.test_make_run import Clew

QUIET_SECONDS = 15.0
RATIO_MAX, MORE_SECONDS_MAX = 2.0, 0.02
"""How many times its quiet time a good request may take, by the median; or how much longer, where that is more: what
takes two milliseconds alone on a machine waits that long for one turn of another process."""
PEAK_MEGABYTES_MAX = 1_024
"""Of the whole stack on a laptop, its tables and a trace of 99,000 spans included."""


def _lines(report: Report) -> list[str]:
    ratios = report.ratios()
    sent = sum(sum(statuses.values()) for statuses in report.attacks.values())
    return [
        f"hostile requests: {sent} of {len(report.attacks)} kinds",
        f"good requests refused under attack: {dict(report.attacked.refused)}",
        *(
            f"{name}: {len(report.attacked.seconds[name])} times, "
            f"{ratio:.2f} times its quiet median of "
            f"{1_000 * statistics.median(report.quiet.seconds[name]):.1f} ms"
            for name, ratio in ratios.items()
        ),
        f"memory at most: {report.peak_megabytes:.0f} MB",
        f"acknowledged: {report.acknowledged}, lost: {len(report.missing)}",
        "slowest: " + "; ".join(f"{name} {seconds:.1f} s" for seconds, name in report.slowest[:5]),
    ]


def main() -> int:
    seconds, seed = 60 * float(os.environ.get("MINUTES", "2")), int(os.environ.get("SEED", "1"))
    token = new_token()
    with tempfile.TemporaryDirectory() as folder:
        clew = Clew(folder, TOKEN=token)
        try:
            report = attack(clew, token, QUIET_SECONDS, seconds, seed)
        finally:
            clew.end(signal.SIGTERM)
    faults = report.faults()
    faults += [
        f"{name} takes {ratio:.1f} times its quiet time; {RATIO_MAX} are allowed"
        for name, ratio in report.ratios().items()
        if ratio > RATIO_MAX
        and (ratio - 1) * statistics.median(report.quiet.seconds[name]) > MORE_SECONDS_MAX
    ]
    if report.peak_megabytes > PEAK_MEGABYTES_MAX:
        faults.append(f"{report.peak_megabytes:.0f} MB; {PEAK_MEGABYTES_MAX} are allowed")
    print("\n".join([*_lines(report), *(f"NOT HELD: {fault}" for fault in faults)]))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
