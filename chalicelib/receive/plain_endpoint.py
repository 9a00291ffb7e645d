"""Where Jaeger's and Zipkin's clients send: accepted is 202 without a body, everything else a line of plain text.

    headers, body ──uncompressed──▶ bytes ──normalise──▶ payload ──messages_of──▶ send ──▶ 202

202 is said only after the queue has accepted every message. There is no way to tell these senders of spans that were
rejected among good ones: they are counted.
"""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.errors import (
    InvalidPayload,
    PayloadTooLarge,
    UnsupportedMedia,
)
from chalicelib.model.http import Answer
from chalicelib.receive.content import media_type_of, uncompressed
from chalicelib.receive.send_again import why_again
from chalicelib.receive.split import messages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.queue.message import Message
    from chalicelib.receive.otlp import Normalised

    Normalise = Callable[[bytes], Normalised]

JAEGER_TYPES = ("application/x-thrift", "application/vnd.apache.thrift.binary")
ANY_TYPE = "*/*"
"""In `readers`: who reads what no other entry is for."""


def receive_plain(
    headers: Mapping[str, str],
    body: bytes,
    now_unix_seconds: int,
    readers: Mapping[str, Normalise],
    send: Callable[[Sequence[Message]], None],
    tell_rejected: Callable[[int], None] = lambda _: None,
    tell_redacted: Callable[[int], None] = lambda _: None,
) -> Answer:
    """Accept spans in one of `readers`, by media type; `headers` have lower-case names, `send` is a MessageSender's.

    Raises nothing: whatever goes wrong is an answer.
    """
    redacted = Counter[str]()
    try:
        read = _reader_of(headers, readers)
        normalised = read(uncompressed(headers, body))
        if messages := messages_of(
            normalised.payload, normalised.span_count, config.TENANT, now_unix_seconds, redacted
        ):
            send(messages)
    except InvalidPayload as error:
        return text(413 if isinstance(error, PayloadTooLarge) else 400, str(error))
    except Exception as error:
        return text(503, why_again(error))
    if rejected := normalised.rejected.total():
        tell_rejected(rejected)
    if redacted:
        tell_redacted(redacted.total())
    return text(202, "")


def _reader_of(headers: Mapping[str, str], readers: Mapping[str, Normalise]) -> Normalise:
    media_type = media_type_of(headers)
    if ANY_TYPE in readers:
        return readers.get(media_type, readers[ANY_TYPE])
    if media_type not in readers:
        raise UnsupportedMedia(
            f"Content-Type {media_type[:100]!r} is not supported: send {' or '.join(filter(None, readers))}"
        )
    return readers[media_type]


def text(status: int, message: str) -> Answer:
    """A 503 says when to send again."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(config.RETRY_AFTER_SECONDS)
    return Answer(status, headers, message.encode(errors="replace"))
