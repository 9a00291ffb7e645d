"""The laptop stack as a process whose clock is wrong: what was acknowledged is there when the clock is right again."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.shop import get, http
from tests.e2e.test_kill import PROTOBUF, drained, trace_of
from tests.e2e.test_make_run import start  # noqa: F401 - a fixture

DAY = 86_400
WRONG_CLOCK = """
import time
shift = {seconds}
now, now_ns = time.time, time.time_ns
time.time = lambda: now() + shift
time.time_ns = lambda: now_ns() + shift * 10**9
"""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("days", [15, 400, -400])
def test_wrong_at_one_start(start, tmp_path, days):  # noqa: F811
    """A start with the clock far ahead or behind, which takes spans too, loses none, and says nothing of forgetting."""
    (tmp_path / "sitecustomize.py").write_text(WRONG_CLOCK.format(seconds=days * DAY))
    data = tmp_path / "data"
    right = start(str(data))
    for number in range(1, 11):
        assert http(f"{right.url}/v1/traces", "POST", trace_of(number), PROTOBUF).status == 200
    assert right.end(signal.SIGTERM) == (0, "")
    before = (data / "journal").read_bytes()
    wrong = start(str(data), PYTHONPATH=str(tmp_path))
    assert http(f"{wrong.url}/v1/traces", "POST", trace_of(11), PROTOBUF).status == 200
    assert get(wrong.url, "/health") == {"status": "ok"}
    wrong.end(signal.SIGTERM)
    assert (data / "journal").read_bytes().startswith(before)
    again = start(str(data))
    drained(again, set(range(1, 12)))
    assert again.end(signal.SIGTERM) == (0, "")
