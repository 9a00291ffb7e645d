"""What all tests share."""

from __future__ import annotations

import fcntl
import gc
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests import policies

# How long an example takes says how busy the machine is: where a bound of time is the rule, its test says so itself.
settings.register_profile("clew", deadline=None)
settings.load_profile("clew")

# powertools would write its metrics between the tests' dots.
os.environ.setdefault("CLEW_TELEMETRY", "0")
# Tests of access ask for tokens themselves.
os.environ.setdefault("CLEW_ACCESS", "open")
policies.record_from_now_on()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where everything must be there (CI=true), a test that is skipped has failed; emulators need not be."""
    report = (yield).get_result()
    may_skip = hasattr(report, "wasxfail") or item.get_closest_marker("emulator")
    if report.skipped and not may_skip and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    if refused := policies.RECORDER.take_refused():
        report.outcome = "failed"
        report.longrepr = f"no policy in .chalice allows: {refused}"
    # What was logged of hostile names may be no UTF-8, in which workers report.
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]


# A file is in one process: with one of these begun last, the other processes would wait for it.
LONGEST_FIRST = (
    "faults/test_every_call.py",
    "bounds/test_bounds.py",
    "infra/test_package.py",
    "browser/test_flows.py",
    "answer/test_budget.py",
    "browser/test_uses.py",
    "bench/test_smoke.py",
    "e2e/test_clock.py",
    "simulator/test_simulator.py",
    "faults/test_planted.py",
    "e2e/test_make_run.py",
    "attack/test_attack.py",
    "e2e/test_kill.py",
)
"""Under this folder: each takes more than twenty seconds, the longest first. `make test` keeps this order."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """In one process the order is of no use, and each folder's tests stay together."""
    if hasattr(config, "workerinput"):
        places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish():
    """What was collected stays: Python's collector need not go through all of it each time, which takes 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def well_known_ports():
    """Of them a machine has one each, and tests run side by side: one test at a time."""
    with open(Path(tempfile.gettempdir()) / "clew-well-known-ports.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
