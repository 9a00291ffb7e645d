"""Messages as a commit takes them, for tests that begin there."""

from __future__ import annotations

import hashlib

from chalicelib.consume.commit import PendingMessage
from tests.payloads import NOON_UNIX_SECONDS


def pending_message(
    content: bytes, received_unix_seconds: int = NOON_UNIX_SECONDS
) -> PendingMessage:
    """The message of a payload, which is not counted yet, with the identity of its content."""
    return PendingMessage(hashlib.sha256(content).digest(), received_unix_seconds, content)
