"""Trace and span ids: 16 and 8 bytes inside, hexadecimal outside."""

from __future__ import annotations

import re

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
ZERO_TRACE_ID = bytes(TRACE_ID_BYTES)
ZERO_SPAN_ID = bytes(SPAN_ID_BYTES)
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_DASHED = (
    re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})", re.IGNORECASE | re.ASCII),
    re.compile(
        "-".join([f"([0-9a-f]{{{n}}})" for n in (8, 4, 4, 4, 12)]), re.IGNORECASE | re.ASCII
    ),
)
"""X-Ray's form, and that of a UUID, in which some programs make or log their ids."""


def span_id_from_text(text: str) -> bytes:
    """The 8 bytes of an id of 16 hexadecimal digits. Raises ValueError for anything else."""
    if len(text) != 2 * SPAN_ID_BYTES or not _HEXADECIMAL.issuperset(text):
        raise ValueError(f"a span id has {2 * SPAN_ID_BYTES} hexadecimal digits, not {text[:64]!r}")
    return bytes.fromhex(text)


def trace_id_from_text(text: str) -> bytes:
    """The 16 bytes of an id as people paste it.

    Takes 32 hexadecimal digits, fewer (older senders, and Jaeger's clients, which write an id as a number; padded with
    zeros on the left), X-Ray's `1-8-24` and a UUID's `8-4-4-4-12`, in any case of letters. Every look-up comes here.
    Raises ValueError for anything else, and for the all-zero id, which W3C Trace Context forbids.
    """
    found = next((match for form in _DASHED if (match := form.fullmatch(text))), None)
    digits = "".join(found.groups()) if found else text
    if not 1 <= len(digits) <= 32 or not _HEXADECIMAL.issuperset(digits):
        raise ValueError(f"a trace id has up to 32 hexadecimal digits, not {text[:64]!r}")
    trace_id = bytes.fromhex(digits.zfill(32))
    if trace_id == ZERO_TRACE_ID:
        raise ValueError("a trace id is not all zeros")
    return trace_id
