"""Access tokens: what a client shows, and what Clew keeps of it, which does not let anyone make it again."""

from __future__ import annotations

import hashlib
import secrets
from enum import Enum
from typing import NamedTuple

_PREFIX = "clew_"
"""A token begins with this, so that people and tools which look for leaked secrets know one when they see it."""
_SECRET_BYTES = 32
_ID_DIGITS = 8


class Scope(Enum):
    INGEST = "ingest"
    """The token may send spans."""
    READ = "read"
    """The token may ask questions."""
    CONFIGURE = "configure"
    """The token may change what everybody's clients are told, such as how much to sample."""


class Token(NamedTuple):
    """What is kept of a token."""

    digest: bytes
    """SHA-256 of its text: 256 random bits need no slower hash."""
    scopes: frozenset[Scope]
    name: str = ""
    """The name of the token's bearer, for people who list tokens."""
    made_unix_seconds: int = 0
    expires_unix_seconds: int | None = None
    """The second from which on the token is refused; None: it does not expire."""

    @property
    def id(self) -> str:
        """What it is called in lists, and by who revokes it; says nothing about the token's text."""
        return self.digest.hex()[:_ID_DIGITS]

    def has_expired(self, now_unix_seconds: float) -> bool:
        return (
            self.expires_unix_seconds is not None and now_unix_seconds >= self.expires_unix_seconds
        )


def new_token_text() -> str:
    """A token as a client shows it: no spaces, nothing that a header or a URL would have to escape."""
    return _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
