"""Names as keys: bounded, so that no sender's name can burst an item or a key; and without ids, to be counted by."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

NAME_BYTES_MAX = 256
_KEPT_CHARACTERS = 59
_DIGEST_DIGITS = 16
_CHARACTERS_SEARCHED_MAX = 2_048


def key_name(name: str) -> str:
    """`name` itself, or, over 256 bytes of UTF-8, its first 59 characters, an ellipsis and a hash of the whole.

    A function of the name alone, and distinct names stay distinct: whatever is counted by name stays exact.
    """
    # 64 characters fit whatever they are; only longer names are encoded to see.
    if len(name) <= 64 or len(encoded := name.encode()) <= NAME_BYTES_MAX:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST_DIGITS]
    return f"{name[:_KEPT_CHARACTERS]}…{digest}"


OTHER_SERVICES = "(other services)"
"""Under this name services above the cap are counted together. A service that is called so is one of them."""


def is_cut(name: str) -> bool:
    """Whether a bounded name may be the beginning of a longer one."""
    return name[_KEPT_CHARACTERS : _KEPT_CHARACTERS + 1] == "…"


ID = "{id}"
"""What stands for an id in a name under which spans are counted: as in the routes of OpenAPI and OpenTelemetry."""
_IDS = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # UUID
    r"|(?=[a-f]*[0-9])[0-9a-f]{8,}"  # hexadecimal, with a digit: "deadbeef" and "accede" are words
    r"|(?=(?:[a-z]*[0-9]){4})[0-9a-z]{20,}"  # ULID, KSUID: no word has four digits and twenty characters
    r"|[0-9]{5,}"  # a number that is no year
    r"|(?<=/)(?<!http/)[0-9]+(?=[/?#\s]|$)"  # any number that is a whole path segment
    r")(?![0-9A-Za-z])",
    re.ASCII | re.IGNORECASE,
)


def statistics_name(name: str) -> str:
    """The name under which a span of this name is counted: ids replaced by `{id}`, then bounded as `key_name` does.

    Ids in a name of more than 2,048 characters stay.

    `GET /users/123` and `GET /users/456` are one series `GET /users/{id}`. A function of the name alone, so that the
    order in which spans come cannot matter.
    """
    # Long names are not remembered, for ten thousand of them would fill the memory; very long ones, which no program
    # makes on purpose, not looked through: a microsecond a character.
    if len(name) <= NAME_BYTES_MAX:
        return _short_statistics_name(name)
    return _without_ids(name) if len(name) <= _CHARACTERS_SEARCHED_MAX else key_name(name)


def _without_ids(name: str) -> str:
    return key_name(_IDS.sub(ID, name))


_short_statistics_name = lru_cache(maxsize=10_000)(_without_ids)


def is_named(name: str, wanted: str) -> bool:
    """Whether a span of this name is asked for by `wanted`: its name, or the one under which it is counted.

    `wanted` is bounded by `key_name`; `name` may be.
    """
    return key_name(name) == wanted or (
        may_stand_for_others(wanted) and statistics_name(name) == wanted
    )


def may_stand_for_others(wanted: str) -> bool:
    """Whether spans of other names than this one may be counted under it: it shows an id, or its end is cut off."""
    return ID in wanted or is_cut(wanted)
