"""Names as keys: bounded, so that no sender's name can burst an item or a key."""

from __future__ import annotations

import hashlib

NAME_BYTES_MAX = 256
_KEPT_CHARACTERS = 59
_DIGEST_DIGITS = 16


def key_name(name: str) -> str:
    """`name` itself, or, over 256 bytes of UTF-8, its first 59 characters, an ellipsis and a hash of the whole.

    A function of the name alone, and distinct names stay distinct: whatever is counted by name stays exact.
    """
    # 64 characters fit whatever they are; only longer names are encoded to see.
    if len(name) <= 64 or len(encoded := name.encode()) <= NAME_BYTES_MAX:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST_DIGITS]
    return f"{name[:_KEPT_CHARACTERS]}…{digest}"
