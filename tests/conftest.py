"""What all tests share."""

from __future__ import annotations

import fcntl
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


@pytest.fixture
def well_known_ports():
    """Of them a machine has one each, and tests run side by side: one test at a time."""
    with open(Path(tempfile.gettempdir()) / "clew-well-known-ports.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
