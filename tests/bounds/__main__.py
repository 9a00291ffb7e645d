"""`make bounds`: every hostile body through its decoder, each in a fresh process; exits 1 where one costs too much.

ONLY=text tries those whose dialect and name contain it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from tests.bounds.test_bounds import BODIES, Cost, cost_of, faults_of, sent

_WORST = 15


class _Tried(NamedTuple):
    dialect: str
    name: str
    cost: Cost

    def line(self) -> str:
        cost = self.cost
        megabytes = cost.high_water_bytes / 2**20
        return f"{cost.cpu_seconds:5.2f} s {megabytes:4.0f} MB {cost.status} {self.dialect}: {self.name}"


def main() -> int:
    only = os.environ.get("ONLY", "")
    tried: list[_Tried] = []
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for dialect, bodies in BODIES.items():
            for name in bodies:
                if only in f"{dialect}: {name}":
                    one = _Tried(dialect, name, cost_of(dialect, sent(dialect, name), Path(folder)))
                    tried.append(one)
                    faults += [f"{fault}: {one.line()}" for fault in faults_of(name, one.cost)]
    for what in ("cpu_seconds", "high_water_bytes"):
        print(f"{len(tried)} bodies; the worst by {what}:")
        worst = sorted(tried, key=lambda one: attrgetter(what)(one.cost), reverse=True)
        print("\n".join(each.line() for each in worst[:_WORST]))
    print("\n".join(f"NOT HELD: {fault}" for fault in faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
