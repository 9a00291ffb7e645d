"""`make bounds`: every hostile body through its decoder, each in a fresh process; exits 1 where one costs too much.

Each is told when it is done. One is made while another is tried: what is counted is the processor's time.

ONLY=text tries those whose dialect and name contain it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from tests.bounds.test_bounds import BODIES, Cost, cost_of, faults_of, sent

_WORST = 15
AT_ONCE = 2


class _Tried(NamedTuple):
    dialect: str
    name: str
    cost: Cost

    def line(self) -> str:
        cost = self.cost
        megabytes = cost.high_water_bytes / 2**20
        return f"{cost.cpu_seconds:5.2f} s {megabytes:4.0f} MB {cost.status} {self.dialect}: {self.name}"


def _try(dialect: str, name: str) -> _Tried:
    with tempfile.TemporaryDirectory() as folder:
        return _Tried(dialect, name, cost_of(dialect, sent(dialect, name), Path(folder)))


def main() -> int:
    only = os.environ.get("ONLY", "")
    chosen = [
        (dialect, name)
        for dialect, bodies in BODIES.items()
        for name in bodies
        if only in f"{dialect}: {name}"
    ]
    tried: list[_Tried] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for one in pool.map(_try, *zip(*chosen, strict=True)):
            tried.append(one)
            print(one.line(), flush=True)
    faults = [
        f"{fault}: {one.line()}"
        for one in tried
        for fault in faults_of(one.dialect, one.name, one.cost)
    ]
    for what in ("cpu_seconds", "high_water_bytes"):
        print(f"{len(tried)} bodies; the worst by {what}:")
        worst = sorted(tried, key=lambda one: attrgetter(what)(one.cost), reverse=True)
        print("\n".join(each.line() for each in worst[:_WORST]))
    print("\n".join(f"NOT HELD: {fault}" for fault in faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
