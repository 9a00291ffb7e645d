"""What the largest requests cost in memory, each measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
from chalicelib.otlp.endpoint import receive_traces
{imports}
body = {body}
assert len(body) <= 4_500_000, len(body)
sent = []
answer = receive_traces({{"content-type": {media_type!r}}}, body, 0, sent.extend)
# Not getrusage: its peak is inherited from the process that forked this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(answer.status, int(peak.split()[1]) // 1024)
"""
_LOAD = "from capacity.load import requests"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imports", "body", "media_type", "statuses"),
    [
        pytest.param(
            _LOAD, "requests(1, 15_600, 15_600)[0]", "application/x-protobuf", {200}, id="spans"
        ),
        pytest.param(
            "", 'b"\\x0a\\x00" * 2_250_000', "application/x-protobuf", {413}, id="resources"
        ),
        pytest.param(
            "from chalicelib.model.wire import field",
            'field(1, field(2, b"\\x12\\x00" * 2_240_000))',
            "application/x-protobuf",
            {413},
            id="empty spans",
        ),
        pytest.param(
            "",
            'b\'{"resourceSpans":[\' + b"{}," * 1_400_000 + b"{}]}"',
            "application/json",
            {413},
            id="json",
        ),
    ],
)
def test_a_request_of_4_5_megabytes_stays_under_256(imports, body, media_type, statuses) -> None:
    """The largest body that Lambda delivers, whatever it is made of, fits a small function."""
    program = _PROGRAM.format(imports=imports, body=body, media_type=media_type)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    status, megabytes = map(int, done.stdout.split())
    assert status in statuses
    assert megabytes < 256
