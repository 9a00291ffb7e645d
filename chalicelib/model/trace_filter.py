"""Which traces the half-edges of a step of the fold have, as 5-byte ids: about 4 bytes each after delta coding.

The half-edges of a trace take about a hundred bytes.

    trace ids ──short_ids──▶ last 5 bytes of each ──trace_filter──▶ TraceFilter ──short_ids_in──▶ short ids

Two traces may have one short id. So a filter that has it says "perhaps", and one that has not says "no".
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate
from operator import sub

from chalicelib.model.clew_pb2 import TraceFilter

_SHORT_ID = (1 << 40) - 1
"""Where ten thousand traces are looked for among as many in each of a hundred steps, one time in a hundred a step is
read in vain. With 32 bits it would be two steps each time, which take more read units than shorter filters save."""


def short_ids(trace_ids: bytes) -> list[int]:
    """The last five bytes of each of these ids, which are joined.

    The first bytes are not random with every sender: they may be zeros, or a time.
    Source: W3C Trace Context, "Random Trace ID Flag": the right-most seven bytes are.
    """
    # By columns, and without a set: a fold does this for every trace.
    low_halves = array("Q", trace_ids)[1::2]
    if sys.byteorder == "little":
        low_halves.byteswap()
    return [low_half & _SHORT_ID for low_half in low_halves]


def trace_filter(trace_ids: bytes) -> TraceFilter:
    """The filter of ids that are joined, in any order, one perhaps more than once."""
    ordered = sorted(short_ids(trace_ids))
    return TraceFilter(gaps=list(map(sub, ordered, [0, *ordered])))


def short_ids_in(message: TraceFilter) -> array[int]:
    """Ascending, eight bytes each: a set of them would take ten times as much."""
    return array("Q", accumulate(message.gaps))
