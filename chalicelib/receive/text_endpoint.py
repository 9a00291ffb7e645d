"""Where Jaeger's and Zipkin's clients send spans: accepted is 202 without a body, everything else a line of plain text.

    headers, body ──uncompressed──▶ bytes ──normalise──▶ payload ──messages_of──▶ send ──▶ 202

202 is said only after the queue has accepted every message. There is no way to tell these senders of spans that were
rejected among good ones: they are counted.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.errors import UnsupportedMedia
from chalicelib.http.errors import ingest_failure
from chalicelib.http.text import text
from chalicelib.receive.content import media_type_of, uncompressed
from chalicelib.receive.pieces import within
from chalicelib.receive.split import messages_of
from chalicelib.receive.tell import tell_redacted, tell_rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.http.answer import Answer
    from chalicelib.http.request import Request
    from chalicelib.queue.message import Message
    from chalicelib.receive.otlp import Normalised

    Normalise = Callable[[bytes], Normalised]

UNSUPPORTED_MEDIA = 415
ANY_TYPE = "*/*"
"""The key in `readers` of the reader for every media type that no other entry is for."""


def receive_request(request: Request, readers: Mapping[str, Normalise]) -> Answer:
    """Accept the spans of an HTTP request, within the time that the function has left."""
    with within(request.time_left):
        return receive_text(
            request.headers,
            request.body,
            int(time.time()),
            readers,
            lambda messages: request.backend.sender().send(messages),
            tell_rejected,
            tell_redacted,
        )


def receive_text(
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
    except Exception as error:
        failure = ingest_failure(error)
        # Jaeger's and Zipkin's servers have no 415: their clients know a 400.
        return text(400 if failure.status == UNSUPPORTED_MEDIA else failure.status, failure.message)
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
