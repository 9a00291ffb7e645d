"""The emulators for a whole run, and what is known to differ between them and AWS."""

from __future__ import annotations

import os

import pytest

from tests.contract import emulators
from tests.contract.differences import DIFFERENCES


def pytest_collection_modifyitems(items):
    """A test of a known difference must fail: once it passes, the emulator was mended and the entry must go."""
    for item in items:
        backend = getattr(getattr(item, "cls", None), "backend_name", None)
        for difference in DIFFERENCES:
            if difference.backend == backend and difference.test == item.originalname:
                item.add_marker(pytest.mark.xfail(strict=True, reason=difference.here))


def require(missing: emulators.Missing | None) -> None:
    """Skip the test if its emulator is missing; in `make contract`, end the run if it should be there."""
    if missing is None:
        return
    if os.environ.get("CLEW_CONTRACT") == "1" and not missing.may_be_missing:
        pytest.exit(missing.reason, returncode=1)
    pytest.skip(missing.reason)


@pytest.fixture(scope="session")
def ministack():
    require(emulators.ministack_missing())
    with emulators.ministack() as client:
        yield client


@pytest.fixture(scope="session")
def dynamodb_local():
    require(emulators.dynamodb_local_missing())
    with emulators.dynamodb_local() as dynamodb:
        yield dynamodb
