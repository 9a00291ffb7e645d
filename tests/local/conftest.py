"""moto with Clew's stack, for the modules that ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.fake_aws import Moto

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def aws() -> Iterator[Moto]:
    """Empty at a module's first test."""
    moto = Moto()
    moto.start("clew", {})
    yield moto
    moto.stop()
