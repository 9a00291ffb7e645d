"""Runs the laptop stack for long at the machine's full rate, and at ten times that for a minute.

Two processes, started as `make run` starts them, each with a journal in an empty folder:

1. *Steady*: clients send as fast as their spans can be found. Spans are kept for a minute, so that memory should stay
   flat; its slope over the second half of the time is part of the result.
2. *Burst*: clients send ten times as many spans a second, and ask nothing. In the end every acknowledged span must be
   counted, and every refusal must have had Retry-After.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from capacity.load import SERVICES, requests
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
SPANS_PER_REQUEST = 512
BURST_FACTOR = 10
SENDERS = 2
BURST_SENDERS = 8
UNSEEN_MAX = 32
"""The most requests of a client that are not found yet: more than are stored while a batching window is open, so that
the server never waits for the client."""
RETENTION_SECONDS = 60
SAMPLE_SECONDS = 1.0
DRAIN_SECONDS_MAX = 1_800.0
DRAIN_PAUSE_SHARE = 4
"""The pause between two questions, as a multiple of an answer's time: questions slow down the draining."""
MARKER_BYTES = 450
"""Bytes of a marker in memory; it is kept for 90 days (tests/local/moto/test_partitions.py)."""
RETRY_SECONDS = 1.0
"""The pause after a refusal, shorter than Retry-After: the burst is meant to be hard."""
SAMPLES = 50
_MARK = b"\xf5soak-\xf5\xf5"
_TEMPLATES = 16


class Request(NamedTuple):
    body: bytes
    trace_id: bytes
    """The id of one of its traces."""


class Bodies:
    """Makes requests of one shape, each with its own trace ids: the first half of each id is the request's number."""

    def __init__(self, start_nano: int) -> None:
        self._templates = [
            _marked(body)
            for body in requests(7, _TEMPLATES * SPANS_PER_REQUEST, SPANS_PER_REQUEST, start_nano)
        ]
        self._count = 0
        self._lock = threading.Lock()

    def next(self) -> Request:
        with self._lock:
            self._count += 1
            number = self._count
        template, _ = self._templates[number % len(self._templates)]
        return Request(template.replace(_MARK, number.to_bytes(8, "big")), self.trace_id_of(number))

    def trace_id_of(self, number: int) -> bytes:
        """Return the id of a trace of the request with this number; numbers begin at 1."""
        return number.to_bytes(8, "big") + self._templates[number % len(self._templates)][1]


def _marked(body: bytes) -> tuple[bytes, bytes]:
    """Return the body with the first half of each trace id replaced, and the second half of one of them."""
    trace_ids = sorted({span.trace_id for span in spans_of(body, Scopes())})
    for trace_id in trace_ids:
        body = body.replace(trace_id, _MARK + trace_id[8:])
    return body, trace_ids[0][8:]


class Clew:
    """A laptop stack in a process of its own, as `make run` starts it."""

    def __init__(self, folder: str, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        settings = {"PORT": "0", "COMPAT_PORTS": "0", "DATA_DIR": folder}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=PROJECT,
            env={**kept, **settings, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._url()

    def _url(self) -> str:
        assert self._process.stdout
        for line in self._process.stdout:
            if found := re.match(r"Look: +(http://[^/]+)/$", line):
                return found[1]
        raise RuntimeError("the laptop stack has not started")

    def rss_megabytes(self) -> float:
        """Return the resident memory, which Linux tells in /proc."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1_024

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()


class Client:
    """An HTTP client with one connection."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)

    def close(self) -> None:
        self._connection.close()

    def post(self, body: bytes) -> tuple[int, str | None]:
        """Send spans; return the status and Retry-After."""
        headers = {"Content-Type": "application/x-protobuf"}
        self._connection.request("POST", "/v1/traces", body, headers)
        with self._connection.getresponse() as answer:
            answer.read()
            return answer.status, answer.headers.get("Retry-After")

    def has(self, trace_id: bytes) -> bool:
        self._connection.request("GET", f"/v1/traces/{trace_id.hex()}")
        with self._connection.getresponse() as answer:
            answer.read()
            return answer.status == 200

    def get(self, path: str) -> Any:
        self._connection.request("GET", path)
        with self._connection.getresponse() as answer:
            return json.loads(answer.read())


@contextmanager
def running(**environment: str) -> Iterator[Clew]:
    with tempfile.TemporaryDirectory() as folder:
        clew = Clew(folder, **environment)
        try:
            yield clew
        finally:
            clew.end()


@contextmanager
def sampled(clew: Clew) -> Iterator[list[tuple[float, float]]]:
    """Yield a list that gets (seconds, megabytes) every second."""
    samples: list[tuple[float, float]] = []
    ended, began = threading.Event(), time.monotonic()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            samples.append((time.monotonic() - began, clew.rss_megabytes()))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def steady(seconds: float) -> dict[str, Any]:
    """Return the rate at which spans are sent and found, and the memory meanwhile."""
    bodies = Bodies(time.time_ns())
    # Half-edges wait no longer than spans are kept, either.
    kept = {
        "CLEW_RETENTION_SECONDS": str(RETENTION_SECONDS),
        "CLEW_PENDING_WINDOW_SECONDS": str(RETENTION_SECONDS),
    }
    with running(**kept) as clew, sampled(clew) as samples:
        before, began = clew.rss_megabytes(), time.monotonic()
        with ThreadPoolExecutor(SENDERS) as senders:
            ends = began + seconds
            sent = sum(senders.map(lambda _: _send_and_find(clew, bodies, ends), range(SENDERS)))
        took = time.monotonic() - began
    second_half = [sample for sample in samples if sample[0] > seconds / 2]
    return {
        "seconds": took,
        "spans": sent * SPANS_PER_REQUEST,
        "spans_per_second": sent * SPANS_PER_REQUEST / took,
        "retention_seconds": RETENTION_SECONDS,
        "rss_megabytes_at_start": before,
        "rss_megabytes_peak": max((megabytes for _, megabytes in samples), default=before),
        "rss_megabytes_per_minute": slope(second_half) * 60,
        "marker_megabytes_per_minute": sent / took * 60 * MARKER_BYTES / 2**20,
        "rss_megabytes": [
            round(megabytes) for _, megabytes in samples[:: max(1, len(samples) // 60)]
        ],
    }


def slope(samples: list[tuple[float, float]]) -> float:
    """Return the slope of a line through the samples, by least squares; 0 for fewer than two samples."""
    if len(samples) < 2:
        return 0.0
    xs, ys = zip(*samples, strict=True)
    return statistics.linear_regression(xs, ys).slope


def _send_and_find(clew: Clew, bodies: Bodies, ends: float) -> int:
    """Send requests until `ends`, find them all, and return how many. Raises RuntimeError if one is refused."""
    pause = threading.Event()
    unseen: list[bytes] = []
    sent = 0
    with closing(Client(clew.url)) as client:
        while time.monotonic() < ends or unseen:
            if time.monotonic() < ends and len(unseen) < UNSEEN_MAX:
                request = bodies.next()
                status, _ = client.post(request.body)
                if status != 200:
                    raise RuntimeError(f"a request was answered {status}")
                unseen.append(request.trace_id)
                sent += 1
            elif client.has(unseen[0]):
                del unseen[0]
            else:
                pause.wait(0.02)
    return sent


class BurstAnswers:
    """Counts of the answers to the clients of a burst."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.acknowledged = 0
        self.refused = 0
        self.refused_without_retry_after = 0


def burst(seconds: float, spans_per_second: float) -> dict[str, Any]:
    """Send spans at a rate for so long, or longer if fewer are taken; return what was acknowledged and counted."""
    start_nano = time.time_ns()
    bodies, answers = Bodies(start_nano), BurstAnswers()
    with running() as clew, sampled(clew) as samples:
        began = time.monotonic()
        interval = SPANS_PER_REQUEST * BURST_SENDERS / spans_per_second
        with ThreadPoolExecutor(BURST_SENDERS) as senders:
            for done in [
                senders.submit(_send_on_time, clew, bodies, began + seconds, interval, answers)
                for _ in range(BURST_SENDERS)
            ]:
                done.result()
        took = time.monotonic() - began
        expected = answers.acknowledged * SPANS_PER_REQUEST
        counted = _drained(clew, start_nano, expected)
        drained = time.monotonic() - began - took
        found = _sample_found(clew, bodies, answers.acknowledged)
    return {
        "seconds": took,
        "asked_spans_per_second": spans_per_second,
        "sent_spans_per_second": (answers.acknowledged + answers.refused)
        * SPANS_PER_REQUEST
        / took,
        "acknowledged_spans": expected,
        "counted_spans": counted,
        "requests_refused": answers.refused,
        "requests_refused_without_retry_after": answers.refused_without_retry_after,
        "sample_found": found,
        "drain_seconds": drained,
        "drained_spans_per_second": counted / (took + drained),
        "rss_megabytes_peak": max((megabytes for _, megabytes in samples), default=0.0),
    }


def _send_on_time(
    clew: Clew, bodies: Bodies, ends: float, interval: float, answers: BurstAnswers
) -> None:
    pause = threading.Event()
    due = time.monotonic()
    with closing(Client(clew.url)) as client:
        # A client that falls behind still sends all its requests, only later.
        while due < ends:
            pause.wait(max(0.0, due - time.monotonic()))
            due += interval
            request = bodies.next()
            # Like exporters, keep a refused request and send it again.
            while not _is_acknowledged(answers, *client.post(request.body)):
                pause.wait(RETRY_SECONDS)


def _is_acknowledged(answers: BurstAnswers, status: int, retry_after: str | None) -> bool:
    """Count an answer; return whether the request was acknowledged. Raises RuntimeError for an unexpected status."""
    if status not in (200, 429, 503):
        raise RuntimeError(f"a request was answered {status}")
    with answers.lock:
        if status == 200:
            answers.acknowledged += 1
            return True
        answers.refused += 1
        answers.refused_without_retry_after += retry_after is None
        return False


def _drained(clew: Clew, start_nano: int, expected: int) -> int:
    """Wait until the expected spans are counted, or time is over; return how many are counted."""
    pause, ends = threading.Event(), time.monotonic() + DRAIN_SECONDS_MAX
    with closing(Client(clew.url)) as client:
        while True:
            asked = time.monotonic()
            counted = _counted(client, start_nano)
            answered = time.monotonic()
            if counted >= expected or answered > ends:
                return counted
            pause.wait(max(1.0, DRAIN_PAUSE_SHARE * (answered - asked)))


def _counted(client: Client, start_nano: int) -> int:
    """Return the number of spans of all services in the statistics."""
    start = start_nano // 10**9 - 3_600
    calls = 0
    for service in SERVICES:
        path = f"/v1/services/{quote(service)}/statistics?start={start}&end={start + 3 * 3_600}"
        found = client.get(path)
        calls += sum(series["total"]["calls"] for series in found["series"])
        calls += found["other"]["calls"] if found["other"] else 0
    return calls


def _sample_found(clew: Clew, bodies: Bodies, requests_sent: int) -> str:
    """Look for a trace of some requests, from the first to the last; return how many are found, as text."""
    numbers = sorted(
        {1 + requests_sent * i // SAMPLES for i in range(SAMPLES)} - {requests_sent + 1}
    )
    with closing(Client(clew.url)) as client:
        found = sum(client.has(bodies.trace_id_of(number)) for number in numbers)
    return f"{found} of {len(numbers)}"


def measure(steady_seconds: float, burst_seconds: float) -> dict[str, Any]:
    calm = steady(steady_seconds)
    return {"steady": calm, "burst": burst(burst_seconds, BURST_FACTOR * calm["spans_per_second"])}
