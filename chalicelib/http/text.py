"""Answers of plain text, which Jaeger's and Zipkin's clients expect where something is wrong."""

from __future__ import annotations

from chalicelib.http.answer import Answer
from chalicelib.http.errors import with_retry_after


def text(status: int, message: str) -> Answer:
    """The message as plain text with this HTTP status. A 503 says in Retry-After when to send or ask again."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return with_retry_after(Answer(status, headers, message.encode(errors="replace")))
