"""An answer to an HTTP request, before any framework's own form of it."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """An HTTP status, headers by name, and the body's bytes."""

    status: int
    headers: dict[str, str]
    body: bytes
