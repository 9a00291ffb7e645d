"""Which traces the half-edges of a step of the fold have: four bytes each, where the halves of a trace take a hundred.

    trace ids ──short_ids──▶ last 5 bytes of each ──trace_filter──▶ TraceFilter ──short_ids_in──▶ short ids

Two traces may have one short id. So a filter that has it says "perhaps", and one that has not says "no".
"""

from __future__ import annotations

import struct
from array import array
from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING

from chalicelib.model.clew_pb2 import TraceFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOW_HALF = struct.Struct(">8xQ")
_SHORT_ID = (1 << 40) - 1
"""Where ten thousand traces are looked for among as many in each of a hundred steps, one time in a hundred a step is
read in vain. With 32 bits it would be two steps each time, which take more read units than shorter filters save."""


def short_ids(trace_ids: Iterable[bytes]) -> set[int]:
    """The last five bytes of each. The first ones are no random numbers with every sender: zeros, or a time.

    Source: W3C Trace Context, "Random Trace ID Flag": the right-most seven bytes are.
    """
    joined = b"".join(trace_ids)
    return {low_half & _SHORT_ID for (low_half,) in _LOW_HALF.iter_unpack(joined)}


def trace_filter(trace_ids: Iterable[bytes]) -> TraceFilter:
    ordered = sorted(short_ids(trace_ids))
    return TraceFilter(gaps=map(sub, ordered, [0, *ordered]))


def short_ids_in(message: TraceFilter) -> array[int]:
    """Ascending, eight bytes each: a set of them would take ten times as much."""
    return array("Q", accumulate(message.gaps))
