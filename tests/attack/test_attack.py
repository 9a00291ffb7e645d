"""A small form of `make attack`; what takes how long is judged there, on a machine with nothing else to do."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.attack.__main__ import PEAK_MEGABYTES_MAX
from tests.attack.attack import attack, new_token
from tests.e2e.test_make_run import Clew

if TYPE_CHECKING:
    from collections.abc import Iterator

QUIET_SECONDS, ATTACKED_SECONDS = 2.0, 12.0

pytestmark = pytest.mark.slow


@contextmanager
def running(data_dir: str, **environment: str) -> Iterator[Clew]:
    clew = Clew(data_dir, **environment)
    try:
        yield clew
    finally:
        clew.end(signal.SIGTERM)


def test_an_attack_loses_nothing_and_stays_within_the_bound_of_memory(tmp_path):
    """Whatever hostile requests come at once, what was acknowledged is found, and memory has a bound."""
    token = new_token()
    with running(str(tmp_path), TOKEN=token) as clew:
        seed = int(os.environ.get("SEED", "1"))
        report = attack(clew, token, QUIET_SECONDS, ATTACKED_SECONDS, seed)
    assert report.faults() == []
    assert report.acknowledged > 0
    assert report.peak_megabytes <= PEAK_MEGABYTES_MAX
