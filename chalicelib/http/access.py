"""Access control: a request's token is compared with those in the table.

What is known of the tokens is kept for a minute, so that a request costs no read; while the table cannot be read, what
was known last holds. A client that cannot be told from a stranger for that reason keeps its spans: 503, never 401.
"""

from __future__ import annotations

import base64
import hmac
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING

from chalicelib.errors import StoreError, StoreThrottled
from chalicelib.model.token import Scope, Token, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

KEPT_SECONDS = 60
"""A revoked token is good no longer than this."""
STRANGER_SECONDS = 2
"""A token that is not known may be a new one: it is looked for again, but not at every request of a stranger."""


class Decision(Enum):
    GRANTED = "granted"
    UNKNOWN = "unknown"
    """No token, or one that is not ours: 401."""
    EXPIRED = "expired"
    """A token of ours whose time is over: 401."""
    FORBIDDEN = "forbidden"
    """A token of ours, for something else: 403."""


def presented_in(headers: Mapping[str, str]) -> list[str]:
    """The tokens that a request shows, wherever its client can put one. `headers` have lower-case names.

    `x-api-key: TOKEN`; `Authorization: Bearer TOKEN`; `Authorization: Basic …` with the token as the password, which is
    all that some reporters can be told.
    """
    shown = []
    if key := headers.get("x-api-key", "").strip():
        shown.append(key)
    scheme, _, rest = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        shown.append(rest.strip())
    elif scheme.lower() == "basic":
        shown.append(_password(rest.strip()))
    return [text for text in shown if text]


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


class Access:
    """Decides by the tokens that `read_tokens` returns, which raises StoreError if they cannot be had."""

    def __init__(
        self,
        read_tokens: Callable[[], Sequence[Token]],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._read_tokens = read_tokens
        self._clock = clock
        self._wall_clock = wall_clock
        self._tokens: Sequence[Token] = ()
        self._read_at: float | None = None
        self._failed_at: float | None = None
        self._lock = threading.Lock()

    def decide(self, presented: Sequence[str], scope: Scope) -> Decision:
        """Whether one of the presented tokens may do this.

        Raises StoreError if the table cannot be read and no token known from before decides it.
        """
        if not presented:
            return Decision.UNKNOWN
        digests = [digest_of(text) for text in presented]
        trouble = self._refresh(KEPT_SECONDS)
        decision = self._decision(digests, scope)
        if decision is not Decision.GRANTED and trouble is None:
            trouble = self._refresh(STRANGER_SECONDS)
            decision = self._decision(digests, scope)
        if decision is not Decision.GRANTED and trouble is not None:
            raise trouble
        return decision

    def ids_of(self, presented: Sequence[str]) -> list[str]:
        """The ids of those of the presented tokens that are ours, as far as is known, for who tells what was done."""
        digests = {digest_of(text) for text in presented}
        return sorted(token.id for token in self._tokens if token.digest in digests)

    def _refresh(self, age_seconds_max: float) -> StoreError | None:
        """Read the tokens unless what is known is younger; return what went wrong."""
        with self._lock:
            now = self._clock()
            if self._read_at is not None and now - self._read_at < age_seconds_max:
                return None
            if self._failed_at is not None and now - self._failed_at < STRANGER_SECONDS:
                # A store in trouble is not asked at every request, each of which would wait for its answer.
                return StoreThrottled("the tokens could not be read a moment ago")
            try:
                self._tokens = self._read_tokens()
            except StoreError as error:
                self._failed_at = self._clock()
                return error
            self._read_at, self._failed_at = self._clock(), None
            return None

    def _decision(self, digests: Sequence[bytes], scope: Scope) -> Decision:
        # Every token is compared with every digest, in constant time: how long it takes says nothing.
        known = [
            token
            for token in self._tokens
            for digest in digests
            if hmac.compare_digest(token.digest, digest)
        ]
        now = self._wall_clock()
        valid = [token for token in known if not token.has_expired(now)]
        if any(scope in token.scopes for token in valid):
            return Decision.GRANTED
        if valid:
            return Decision.FORBIDDEN
        return Decision.EXPIRED if known else Decision.UNKNOWN
