"""One moto for all of these tests; each begins with an empty world."""

from __future__ import annotations

import pytest

from chalicelib import config
from local.fake_aws import Moto
from tests.faults.world import World


@pytest.fixture(scope="package")
def aws():
    moto = Moto()
    moto.start(config.PREFIX, {})
    yield
    moto.stop()


@pytest.fixture
def world(aws, monkeypatch):
    one = World(monkeypatch)
    one.clear()
    return one
