"""The queue message: what went in comes out, and nothing else is taken for one."""

from __future__ import annotations

import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.errors import InvalidPayload
from chalicelib.model import zstd
from chalicelib.queue.message import (
    PROOF_BYTES,
    Message,
    body_of,
    digest_of,
    message_from_parts,
    message_from_payload,
    payload_of,
)
from tests.payloads import NOON_UNIX_SECONDS

PAYLOAD = b"some spans" * 20
MESSAGE = message_from_payload("default", PAYLOAD, 20, NOON_UNIX_SECONDS)
BYTES_MAX = config.MESSAGE_PAYLOAD_BYTES_MAX


@given(st.binary(), st.text(max_size=5), st.integers(0, 10**6), st.integers(0, 2**34 - 1))
def test_round_trip(payload: bytes, tenant: str, span_count: int, received: int) -> None:
    """Any payload, count and time come out of body and attribute as they went in."""
    message = message_from_payload(tenant, payload, span_count, received)
    found = message_from_parts(body_of(message), message.frame)
    assert found == message
    assert found[1:3] == (span_count, received)
    assert payload_of(tenant, found, BYTES_MAX) == payload


def test_the_body_is_one_readable_line_of_json():
    """The body is one line of ASCII JSON that a person can read."""
    body = body_of(MESSAGE)
    assert body.isascii()
    assert orjson.loads(body) == {
        "version": 1,
        "span_count": 20,
        "digest": digest_of("default", PAYLOAD).hex(),
        "received_unix_seconds": NOON_UNIX_SECONDS,
    }


def test_a_message_is_known_by_tenant_and_payload():
    """A message's identity is its tenant and payload: not its frame, not when it came."""
    again = message_from_payload("default", PAYLOAD, 20, NOON_UNIX_SECONDS + 9)
    other = zstd.ZstdCompressor(level=9).compress(PAYLOAD, zstd.ZstdCompressor.FLUSH_FRAME)
    assert again.digest == MESSAGE.digest == digest_of("default", zstd.decompress(other, 1_000))
    assert digest_of("other", PAYLOAD) != MESSAGE.digest
    assert digest_of("default", PAYLOAD + b"\0") != MESSAGE.digest


def body(**changed: object) -> str:
    fields = {**orjson.loads(body_of(MESSAGE)), **changed}
    return orjson.dumps(
        {name: value for name, value in fields.items() if value is not ...}
    ).decode()


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        pytest.param(body(version=2), MESSAGE.frame, id="a later version"),
        pytest.param(body(version=None), MESSAGE.frame, id="no version"),
        pytest.param(body(version=...), MESSAGE.frame, id="version missing"),
        pytest.param(body(digest=...), MESSAGE.frame, id="digest missing"),
        pytest.param(body(digest="zz" * 32), MESSAGE.frame, id="digest not hexadecimal"),
        pytest.param(body(digest="00" * 31), MESSAGE.frame, id="digest too short"),
        pytest.param(body(digest=7), MESSAGE.frame, id="digest a number"),
        pytest.param(body(span_count=...), MESSAGE.frame, id="count missing"),
        pytest.param(body(span_count="many"), MESSAGE.frame, id="count not a number"),
        pytest.param(body(span_count=None), MESSAGE.frame, id="count null"),
        pytest.param(body(received_unix_seconds=[]), MESSAGE.frame, id="time a list"),
        pytest.param(body(span_count=-5), MESSAGE.frame, id="count negative"),
        pytest.param(body(span_count=10**7), MESSAGE.frame, id="count too large"),
        pytest.param(body(received_unix_seconds=-1), MESSAGE.frame, id="time before 1970"),
        pytest.param(body(received_unix_seconds=9e300), MESSAGE.frame, id="time beyond any clock"),
        pytest.param("", MESSAGE.frame, id="empty"),
        pytest.param("hello", MESSAGE.frame, id="not JSON"),
        pytest.param("[]", MESSAGE.frame, id="a list"),
        pytest.param("7", MESSAGE.frame, id="a number"),
        pytest.param(body(), None, id="no attribute"),
        pytest.param(body(), b"", id="an empty attribute"),
    ],
)
def test_what_is_no_message(text, frame):
    """What `body_of` did not write, or comes without its payload, is InvalidPayload."""
    with pytest.raises(InvalidPayload):
        message_from_parts(text, frame)


def frame_of(size: int) -> bytes:
    return zstd.compress(bytes(size))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"not zstd", id="no frame"),
        pytest.param(MESSAGE.frame[:-3], id="cut short"),
        pytest.param(MESSAGE.frame + b"\0", id="something after it"),
        pytest.param(MESSAGE.frame + MESSAGE.frame, id="two frames"),
        pytest.param(zstd.compress(b"other spans"), id="another payload"),
        pytest.param(frame_of(BYTES_MAX + 1), id="a byte too many"),
    ],
)
def test_what_is_not_the_payload(frame):
    """A frame that is damaged, too large or of other bytes than the digest is InvalidPayload."""
    with pytest.raises(InvalidPayload):
        payload_of("default", MESSAGE._replace(frame=frame), BYTES_MAX)


def test_another_tenant():
    """A payload is only read under the tenant that its digest was made with."""
    with pytest.raises(InvalidPayload):
        payload_of("other", MESSAGE, BYTES_MAX)


@pytest.mark.parametrize("declares_its_size", [True, False])
def test_a_frame_is_unpacked_to_no_more_than_the_limit(declares_its_size):
    """However much a frame would grow to, not much more than the limit is ever made of it."""
    size = 300_000_000
    if declares_its_size:
        frame = frame_of(size)
    else:
        compressor = zstd.ZstdCompressor()
        frame = b"".join(compressor.compress(bytes(size // 100)) for _ in range(100))
        frame += compressor.flush()
    assert len(frame) < 50_000
    tracemalloc.start()
    try:
        with pytest.raises(InvalidPayload, match=str(BYTES_MAX + PROOF_BYTES)):
            payload_of("default", Message(MESSAGE.digest, 1, 1, frame), BYTES_MAX)
        assert tracemalloc.get_traced_memory()[1] < 4 * BYTES_MAX
    finally:
        tracemalloc.stop()
