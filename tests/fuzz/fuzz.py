"""Feeds each decoder with damaged inputs, and keeps those whose outcome is new: they lead to further ones.

An input fails if it raises anything but what the decoder declares, if it makes more work than its size allows, or if
what was accepted cannot be stored and read.
"""

from __future__ import annotations

import re
import sys
import tracemalloc
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.errors import InvalidPayload, PayloadTooLarge, StoreError
from chalicelib.otlp.endpoint import receive_traces
from chalicelib.receive.text_endpoint import receive_text
from tests.fuzz.decoders import CONTENT, DECODERS, NORMALISERS, content_in, corpus_of, goes_on
from tests.fuzz.mutate import mutated
from tests.payloads import NOON_UNIX_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.queue.message import Message

CALLS_MIN = 3_000
"""What even an empty input may cost."""
PEAK_BYTES_MIN, PEAK_BYTES_PER_BYTE = 2_000_000, 400
_POOL_MAX = 300
_MEASURED_EVERY = 25
"""tracemalloc makes everything slow."""
_OTLP_TYPES = {"otlp-protobuf": "application/x-protobuf", "otlp-json": "application/json"}


class Failure(AssertionError):
    """What a decoder must not do; `data` is the input that made it."""

    def __init__(self, name: str, data: bytes, what: str) -> None:
        super().__init__(f"{name}: {what}: {data[:300]!r}")
        self.name = name
        self.data = data


class Fuzzer:
    """Of one decoder. The same seed makes the same inputs."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self._random = Random(f"{name} {seed}")
        self._corpus = corpus_of(name)
        self._pool = list(self._corpus)
        self._outcomes: set[str] = set()
        self._count = 0

    def step(self) -> None:
        """One more input. Raises Failure."""
        data = mutated(self._random, self._random.choice(self._pool), self._pool)
        self._count += 1
        is_measured = self._count % _MEASURED_EVERY == 0
        outcome = check(self.name, data, is_measured=is_measured)
        if outcome not in self._outcomes:
            self._outcomes.add(outcome)
            if len(self._pool) < _POOL_MAX:
                self._pool.append(data)


def check(name: str, data: bytes, *, is_measured: bool = False) -> str:
    """The outcome of one input. Raises Failure."""
    decoder = DECODERS[name]
    calls = _Calls()
    if is_measured:
        tracemalloc.start()
    try:
        with calls:
            outcome = decoder.read(data)
    except decoder.errors as error:
        outcome = "refused: " + re.sub(r"[\d'\"].*", "", str(error))[:60]
    except Exception as error:
        raise Failure(name, data, repr(error)) from error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    size = len(data)
    more = calls.count - CALLS_MIN
    if more > 0 and more > decoder.calls_per_byte * _content_bytes(name, data):
        raise Failure(name, data, f"{calls.count} calls for {size} bytes")
    if peak > PEAK_BYTES_MIN + PEAK_BYTES_PER_BYTE * size:
        raise Failure(name, data, f"{peak} bytes of memory for {size} bytes")
    if name in NORMALISERS:
        _check_road(name, data)
    return outcome


def _content_bytes(name: str, data: bytes) -> int:
    """What a byte's work counts by: of a frame, a few bytes may be many of content."""
    if f"{name}{CONTENT}" not in DECODERS:
        return len(data)
    try:
        return max(len(data), len(content_in(data)))
    except StoreError:
        return len(data)


def _check_road(name: str, data: bytes) -> None:
    try:
        sent: list[Message] = []
        if name != "jaeger-compact":
            status = _endpoint(name, data, sent.extend)
            assert status in (200, 202, 400, 413), f"answered with {status}"
        normalised = NORMALISERS[name](data)
        if normalised.span_count:
            assert goes_on(normalised), "nothing of it comes back"
            if sent:
                assert sum(each.span_count for each in sent) == normalised.span_count
    except (InvalidPayload, PayloadTooLarge):
        assert not sent, "refused, and sent on"
    except Exception as error:
        raise Failure(name, data, f"after it was accepted: {error!r}") from error


def _endpoint(name: str, data: bytes, send: Callable[[Any], None]) -> int:
    if name in _OTLP_TYPES:
        headers = {"content-type": _OTLP_TYPES[name]}
        return receive_traces(headers, data, NOON_UNIX_SECONDS, send).status
    headers = {"content-type": "application/x-thrift"}
    return receive_text(headers, data, NOON_UNIX_SECONDS, {"*/*": NORMALISERS[name]}, send).status


class _Calls:
    """How many functions were called, Python's and C's: work that does not depend on the machine."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        sys.setprofile(self._count)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, _: Any, event: str, __: Any) -> None:
        if event in ("call", "c_call"):
            self.count += 1
