"""A laptop stack that is attacked while good clients send and ask: what they see, and what it costs.

    attacked: good senders and askers, and every hostile request at once ──▶ quiet: the same without the hostile ones
                 └──────────────────── medians of their seconds ── compared ─────────────────┘

What was acknowledged must be found at the end, whatever came at once with it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from tests.attack.attackers import TRACE_ID
from tests.attack.hostile import big_trace
from tests.payloads import MILLI, Made, payload, trace_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.test_make_run import Clew

PROJECT = Path(__file__).parents[2]
SENDERS = 2
SEND, LIST, SHOW = "sending spans", "a list of services", "a small trace"
"""What good clients do."""
PAUSE_SECONDS = 0.02
"""Between two requests of a good client: it has other things to do."""
BIG_TRACE_SPANS = 99_000
DRAIN_SECONDS = 300.0
ENDS_SECONDS = 60.0
"""Its threads end with the process, whatever they wait for."""
RETRIED = {503}
ALLOWED = {0, 200, 202, 400, 401, 403, 404, 408, 411, 413, 414, 415, 431, 503}
"""What an attacker may be told: never 500 or 502. 0 is a connection that was ended."""


class Seen(NamedTuple):
    """What good clients saw while a phase lasted."""

    seconds: dict[str, list[float]]
    """By what they did: SEND, LIST, SHOW."""
    refused: Counter[int]


class Report(NamedTuple):
    quiet: Seen
    """Once the attack is over: over the same tables, for what hostile senders had stored takes its time as well."""
    attacked: Seen
    peak_megabytes: float
    attacks: dict[str, Counter[int]]
    """Name → status → how often."""
    slowest: list[tuple[float, str]]
    """(Seconds, name) of the slowest hostile requests."""
    missing: list[int]
    """Traces that were acknowledged and are not there."""
    acknowledged: int

    def faults(self) -> list[str]:
        """What must not be; empty if all is well."""
        found = [f"{len(self.missing)} of {self.acknowledged} are lost"] if self.missing else []
        for name, statuses in self.attacks.items():
            if bad := set(statuses) - ALLOWED:
                found.append(f"{name}: answered {sorted(bad)}")
        if bad := set(self.attacked.refused) - RETRIED:
            found.append(f"good clients were told {sorted(bad)}")
        return found

    def ratios(self) -> dict[str, float]:
        """How many times as long good requests took under attack, by their medians."""
        return {
            what: statistics.median(self.attacked.seconds[what])
            / statistics.median(self.quiet.seconds[what])
            for what in (SEND, LIST, SHOW)
        }


class Good:
    """Good clients: senders that count what was acknowledged, and one that asks for what was sent before."""

    def __init__(self, url: str, token: str) -> None:
        self._netloc = urlsplit(url).netloc
        self._headers = {"x-api-key": token}
        self._lock = threading.Lock()
        self._count = 0
        self.acknowledged: list[int] = []

    def work(self, seconds: float) -> Seen:
        """Send and ask for so long."""
        ends = time.monotonic() + seconds
        seen = Seen(defaultdict(list), Counter())
        threads = [
            threading.Thread(target=self._send, args=(ends, seen), daemon=True)
            for _ in range(SENDERS)
        ]
        threads.append(threading.Thread(target=self._ask, args=(ends, seen), daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return seen

    def _next(self) -> int:
        with self._lock:
            self._count += 1
            return self._count

    def _send(self, ends: float, seen: Seen) -> None:
        headers = {**self._headers, "Content-Type": "application/x-protobuf"}
        with self._connection() as connection:
            while time.monotonic() < ends:
                number = self._next()
                spans = [
                    Made(number, 100 * number + place, start=time.time_ns(), duration=MILLI)
                    for place in range(5)
                ]
                body = payload(spans)
                status = self._asked(connection, SEND, "/v1/traces", body, headers, seen)
                if status == 200:
                    self.acknowledged.append(number)
                time.sleep(PAUSE_SECONDS)

    def _ask(self, ends: float, seen: Seen) -> None:
        """Asks for small things, as a dashboard and somebody who looks at a trace do."""
        with self._connection() as connection:
            while time.monotonic() < ends:
                number = self.acknowledged[0] if self.acknowledged else 1
                shown = f"/v1/traces/{trace_id(number).hex()}"
                for what, path in ((LIST, "/v1/services"), (SHOW, shown)):
                    self._asked(connection, what, path, None, self._headers, seen)
                    time.sleep(PAUSE_SECONDS)

    def _asked(
        self,
        connection: http.client.HTTPConnection,
        what: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        seen: Seen,
    ) -> int:
        began = time.monotonic()
        try:
            connection.request("POST" if body else "GET", path, body, headers)
            with connection.getresponse() as answer:
                answer.read()
                status = answer.status
        except (OSError, http.client.HTTPException):
            connection.close()
            status = 0
        seen.seconds[what].append(time.monotonic() - began)
        if status not in (200, 404):
            seen.refused[status] += 1
        return status

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        with closing(http.client.HTTPConnection(self._netloc, timeout=60)) as connection:
            yield connection

    def store_big_trace(self) -> None:
        headers = {**self._headers, "Content-Type": "application/x-protobuf"}
        with self._connection() as connection:
            for body in big_trace(TRACE_ID, BIG_TRACE_SPANS):
                connection.request("POST", "/v1/traces", body, headers)
                with connection.getresponse() as answer:
                    assert answer.status == 200, answer.read()

    def missing(self) -> list[int]:
        """What was acknowledged and is not stored, once the queue is empty or too much time has gone."""
        ends, wanted = time.monotonic() + DRAIN_SECONDS, list(self.acknowledged)
        with self._connection() as connection:
            while wanted and time.monotonic() < ends:
                wanted = [number for number in wanted if not self._has(connection, number)]
                if wanted:
                    time.sleep(0.5)
        return wanted

    def _has(self, connection: http.client.HTTPConnection, number: int) -> bool:
        try:
            connection.request("GET", f"/v1/traces/{trace_id(number).hex()}", headers=self._headers)
            with connection.getresponse() as answer:
                return answer.status == 200 and answer.read().count(b'"spanId"') == 5
        except (OSError, http.client.HTTPException):
            connection.close()
            return False


def new_token() -> str:
    return secrets.token_urlsafe(24)


def attack(
    clew: Clew, token: str, quiet_seconds: float, attacked_seconds: float, seed: int
) -> Report:
    """Attack a running stack. Bounded by its arguments and DRAIN_SECONDS."""
    good = Good(clew.url, token)
    good.work(quiet_seconds / 4)  # what is imported and connected once
    good.store_big_trace()
    good.missing()
    with _attackers(clew.url, token, seed) as lines:
        attacked = good.work(attacked_seconds)
    good.missing()
    quiet = good.work(quiet_seconds)
    missing = good.missing()
    attacks: dict[str, Counter[int]] = defaultdict(Counter)
    for line in lines:
        attacks[line["name"]][line["status"]] += 1
    slowest = sorted(((line["seconds"], line["name"]) for line in lines), reverse=True)[:10]
    peak = peak_megabytes(clew.process.pid)
    return Report(quiet, attacked, peak, dict(attacks), slowest, missing, len(good.acknowledged))


@contextmanager
def _attackers(url: str, token: str, seed: int) -> Iterator[list[dict[str, Any]]]:
    """The attackers' process; what it told is in the list afterwards."""
    lines: list[dict[str, Any]] = []
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.attack.attackers", url, token, str(seed)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = process.stdout
    assert told
    reader = threading.Thread(target=lambda: lines.extend(map(json.loads, told)))
    reader.start()
    try:
        yield lines
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(timeout=ENDS_SECONDS)
        reader.join()
        told.close()


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had. Linux: what /proc says."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1_024
