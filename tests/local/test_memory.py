"""What a laptop no longer needs, the system has back."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from local.memory import give_back

PIECE_BYTES = 1_000
"""Too large for Python's own allocator, and far too small for a piece of the system's own."""
PIECES = 60_000


def resident_bytes() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) * 1_024


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux's own way to tell")
def test_free_memory_is_given_back():
    """Of many small pieces all but the last are freed: most of their memory is the system's again."""
    pieces = [bytes(PIECE_BYTES) for _ in range(PIECES)]
    before = resident_bytes()
    del pieces[:-1]
    give_back()
    assert before - resident_bytes() > PIECES * PIECE_BYTES / 2
