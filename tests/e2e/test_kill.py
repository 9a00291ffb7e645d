"""The laptop stack as a process, killed with -9 wherever it is, again and again: what was acknowledged is there, once.

`make kills` tries many more rounds than `make test`; a round that fails is told by its number, with the seed.
"""

from __future__ import annotations

import http.client
import os
import random
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.e2e.shop import http as http_of
from tests.e2e.test_make_run import Clew
from tests.payloads import CLIENT, MILLI, Made, payload, trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = int(os.environ.get("KILLS", "3"))
SEED = int(os.environ.get("KILLS_SEED", "1"))
SENDERS = 3
REQUESTS_MAX = 60
"""Of a round: it is killed somewhere on the way, or while it takes back what it had."""
FULL_BYTES = 8_192
"""Of a file, and no more: some thirty of these requests."""
PROTOBUF = {"Content-Type": "application/x-protobuf"}
DRAIN_SECONDS = 120.0
START_NANO = (int(time.time()) // 3_600 - 2) * 3_600 * 10**9
"""In an hour that is over: nothing changes while the rounds run."""

pytestmark = pytest.mark.slow


class Sent(NamedTuple):
    acknowledged: set[int]
    sent: set[int]
    """Those whose answer never came may be stored, or not."""


def trace_of(number: int) -> bytes:
    """One call between two services, in a request of its own."""
    start = START_NANO + number * MILLI
    return payload(
        [
            Made(number, 2 * number, "caller", 0, "ask", CLIENT, start, (1 + number % 50) * MILLI),
            Made(number, 2 * number + 1, "callee", 2 * number, "answer", start=start + 1),
        ]
    )


@contextmanager
def connected(url: str) -> Iterator[Callable[..., tuple[int, bytes]]]:
    """Asks over one connection; gives status and body of each answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection.request(method, path, body, PROTOBUF if body else {})
        with connection.getresponse() as answer:
            return answer.status, answer.read()

    with closing(connection):
        yield ask


def send_until_killed(clew: Clew, numbers: list[int], kill_after: int) -> Sent:
    """Several clients at once; the process is killed when so many requests were acknowledged."""
    sent: set[int] = set()
    acknowledged: set[int] = set()
    lock = threading.Lock()

    def client(mine: list[int]) -> None:
        with connected(clew.url) as ask:
            for number in mine:
                with lock:
                    sent.add(number)
                try:
                    status, _ = ask("POST", "/v1/traces", trace_of(number))
                except (OSError, http.client.HTTPException):
                    return
                with lock:
                    if status == 200:
                        acknowledged.add(number)
                    if len(acknowledged) == kill_after:
                        clew.process.send_signal(signal.SIGKILL)

    with ThreadPoolExecutor(SENDERS) as senders:
        for done in [senders.submit(client, numbers[i::SENDERS]) for i in range(SENDERS)]:
            done.result()
    clew.end(signal.SIGKILL)
    return Sent(acknowledged, sent)


def stored(url: str, numbers: set[int]) -> set[int]:
    """Those traces that are there, each with its two spans."""
    found = set()
    with connected(url) as ask:
        for number in sorted(numbers):
            status, body = ask("GET", f"/v1/traces/{trace_id(number).hex()}")
            if status == 200:
                assert body.count(b'"spanId"') == 2
                found.add(number)
    return found


def drained(clew: Clew, numbers: set[int]) -> None:
    """Return when all of these traces are there."""
    ends, pause = time.monotonic() + DRAIN_SECONDS, threading.Event()
    while missing := numbers - stored(clew.url, numbers):
        assert time.monotonic() < ends, f"missing: {sorted(missing)}"
        pause.wait(0.2)


def answers(url: str) -> Any:
    """What statistics and edges say of the hour, to the byte."""
    second = START_NANO // 10**9
    paths = [f"/v1/services/{service}/statistics" for service in ("caller", "callee")]
    with connected(url) as ask:
        return [
            ask("GET", f"{path}?start={second}&end={second + 3_600}")
            for path in (*paths, "/v1/edges", "/v1/services")
        ]


@pytest.fixture
def start(tmp_path):
    started: list[Clew] = []

    def one(folder: str) -> Clew:
        started.append(Clew(str(tmp_path / folder) if folder else ""))
        return started[-1]

    yield one
    for clew in started:
        clew.process.kill()
        clew.process.communicate()


def test_killed_anywhere(start):
    """Killed while it takes spans, or takes back what it had: all that was acknowledged is there, once."""
    rng = random.Random(SEED)
    acknowledged: set[int] = set()
    sent: set[int] = set()
    first = 1
    for number in range(ROUNDS):
        clew = start("data")
        numbers = list(range(first, first + REQUESTS_MAX))
        first += REQUESTS_MAX
        # Now and then at once: while it takes back what it had.
        kill_after = rng.choice([0, rng.randrange(1, 4), rng.randrange(1, REQUESTS_MAX)])
        if kill_after == 0:
            clew.end(signal.SIGKILL)
            continue
        done = send_until_killed(clew, numbers, kill_after)
        acknowledged |= done.acknowledged
        sent |= done.sent
        assert len(done.acknowledged) >= kill_after, f"round {number}, seed {SEED}"
    clew = start("data")
    drained(clew, acknowledged)
    there = stored(clew.url, sent)
    assert acknowledged <= there
    # A Clew to which nothing ever happened, and that got the same.
    calm = start("")
    with connected(calm.url) as ask:
        for each in sorted(there):
            assert ask("POST", "/v1/traces", trace_of(each))[0] == 200
    drained(calm, there)
    assert answers(clew.url) == answers(calm.url)


def test_torn_record(start, tmp_path):
    """A last record that was being written when the process was killed is told of, and costs no other."""
    clew = start("data")
    assert http_of(f"{clew.url}/v1/traces", "POST", trace_of(1), PROTOBUF).status == 200
    clew.end(signal.SIGKILL)
    journal = tmp_path / "data" / "journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole[: len(whole) // 2])
    again = start("data")
    drained(again, {1})
    assert http_of(f"{again.url}/v1/traces", "POST", trace_of(2), PROTOBUF).status == 200
    _, errors = again.end(signal.SIGKILL)
    assert f"the last {len(whole) // 2} bytes are no whole record; set aside as" in errors
    last = start("data")
    drained(last, {1, 2})
    assert last.end(signal.SIGKILL)[1] == ""


def test_disk_full(start):
    """A journal that cannot grow is a 503 with Retry-After and one line, no loss; with room it takes spans again."""
    clew = start("data")
    acknowledged: set[int] = set()
    limit_before = resource.prlimit(clew.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(clew.process.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, limit_before[1]))
    refused = 0
    for number in range(1, 60):
        reply = http_of(f"{clew.url}/v1/traces", "POST", trace_of(number), PROTOBUF)
        if reply.status == 200:
            acknowledged.add(number)
            continue
        assert (reply.status, bool(reply.headers["retry-after"])) == (503, True)
        refused += 1
    assert acknowledged
    assert refused
    resource.prlimit(clew.process.pid, resource.RLIMIT_FSIZE, limit_before)
    assert http_of(f"{clew.url}/v1/traces", "POST", trace_of(99), PROTOBUF).status == 200
    _, errors = clew.end(signal.SIGKILL)
    assert errors.count("\n") == errors.count("the journal cannot be written") == 1
    again = start("data")
    drained(again, {*acknowledged, 99})
    assert stored(again.url, set(range(1, 100))) == {*acknowledged, 99}
