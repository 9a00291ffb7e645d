"""`python -m local` as a person has it: started, sent to, asked, ended, killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.shop import (
    CLIENT,
    Reply,
    Services,
    edges,
    export,
    get,
    http,
    minutes_ago,
    trace_id_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
ANSWER_SECONDS = 30.0

pytestmark = pytest.mark.slow


class Clew:
    """The process, on a free port and its own folder."""

    def __init__(self, data_dir: str, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        settings = {"PORT": "0", "COMPAT_PORTS": "0", "DATA_DIR": data_dir}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=PROJECT,
            env={**kept, **settings, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self._url()

    def _url(self) -> str:
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.match(r"Look: +(http://[^/]+)/$", line):
                return found[1]
        raise AssertionError(self.process.communicate()[1])

    def end(self, number: int) -> tuple[int, str]:
        """Exit code and standard error after a signal."""
        self.process.send_signal(number)
        errors = self.process.communicate(timeout=60)[1]
        return self.process.returncode, errors


@pytest.fixture
def start():
    started = []

    def one(data_dir: str = "", **environment: str) -> Clew:
        started.append(Clew(data_dir, **environment))
        return started[-1]

    yield one
    for clew in started:
        clew.process.kill()
        clew.process.communicate()


def answer_soon(url: str, path: str, headers: dict[str, str] | None = None) -> Reply:
    """The first answer that is not 404, if it comes in time."""
    ends = time.monotonic() + ANSWER_SECONDS
    pause = threading.Event()
    while (reply := http(url + path, headers=headers)).status == 404 and time.monotonic() < ends:
        pause.wait(0.1)
    return reply


def send_call(url: str) -> str:
    """A call from one service to another, in two requests; its trace id."""
    services = Services()
    start = minutes_ago(1)
    asks = services.span("caller", "ask", start, 20, kind=CLIENT)
    export(url, services.take())
    services.span("callee", "answer", start, 10, parent=asks)
    export(url, services.take())
    return trace_id_of(asks)


def counted(url: str) -> tuple[Any, ...]:
    (edge,) = edges(url, "caller").values()
    total = get(url, "/v1/services/callee/statistics")["total"]
    return edge["callee"], edge["calls"], total["calls"]


@contextmanager
def hang_up(handler: signal.Handlers) -> Iterator[None]:
    """A process that is started within has this for SIGHUP."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_life(start, number):
    """What the stock exporter sends is found within seconds, and a signal ends it with 0 and without a word."""
    with hang_up(signal.SIG_DFL):  # who runs the tests may have it ignored
        clew = start()
    trace_id = send_call(clew.url)
    assert answer_soon(clew.url, f"/v1/traces/{trace_id}").status == 200
    assert clew.end(number) == (0, "")


def test_acknowledged_spans_survive_kill_minus_nine(start, tmp_path):
    """What was acknowledged before kill -9 is back after each start, and counted once."""
    clew = start(str(tmp_path))
    trace_id = send_call(clew.url)
    clew.end(signal.SIGKILL)
    for _ in range(2):
        clew = start(str(tmp_path))
        assert answer_soon(clew.url, f"/v1/traces/{trace_id}").status == 200
        ends = time.monotonic() + ANSWER_SECONDS
        pause = threading.Event()
        while not edges(clew.url, "caller") and time.monotonic() < ends:
            pause.wait(0.1)
        assert counted(clew.url) == ("callee", 1, 1)
        clew.end(signal.SIGKILL)


def test_ended_and_started(start, tmp_path):
    """Ctrl-C right after the acknowledgement loses nothing either."""
    clew = start(str(tmp_path))
    trace_id = send_call(clew.url)
    assert clew.end(signal.SIGINT) == (0, "")
    clew = start(str(tmp_path))
    assert answer_soon(clew.url, f"/v1/traces/{trace_id}").status == 200


def test_open_to_others(start):
    """Listening for other machines it wants the token of everybody, the stock exporter too, for sending and asking."""
    token = "only-those-who-know-this"
    clew = start(HOST="0.0.0.0", TOKEN=token)
    url = f"http://127.0.0.1:{clew.url.rpartition(':')[2]}"
    services = Services()
    span = services.span("caller", "ask", minutes_ago(1), 20)
    spans = services.take()
    with pytest.raises(AssertionError):
        export(url, spans)
    assert http(url + "/v1/services").status == 401
    assert http(url + "/health").status == 200
    export(url, spans, headers={"x-api-key": token})
    asked = {"Authorization": f"Bearer {token}"}
    path = f"/v1/traces/{trace_id_of(span)}"
    assert answer_soon(url, path, asked).status == 200


def test_hung_up_under_nohup(start):
    """Where SIGHUP is ignored, as `nohup` has it, a terminal that is closed does not end it."""
    with hang_up(signal.SIG_IGN):
        clew = start()
    clew.process.send_signal(signal.SIGHUP)
    assert http(clew.url + "/health").status == 200
    assert clew.end(signal.SIGTERM) == (0, "")
