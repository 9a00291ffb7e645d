"""Python's cycle collector, which work that makes many objects and no cycles does better without."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def gc_paused() -> Iterator[None]:
    """A group of spans, or an answer, makes a hundred thousand objects, and each collection would look at them all."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
