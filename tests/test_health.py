"""/health: it asks what Clew depends on, now and then, and says what does not answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib import config, wiring
from chalicelib.health import KEPT_SECONDS, Health
from local.fake_aws import Moto, client
from tests.test_app import sent


class Probe:
    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    def __call__(self) -> None:
        self.asked += 1
        if self.broken:
            raise OSError("away")


def test_asked_now_and_then():
    """However often it is asked, it asks once in a few seconds; what is away is known again as soon."""
    queue, table, now = Probe(), Probe(), [0.0]
    health = Health({"the queue": queue, "a table": table}, lambda: now[0])
    for _ in range(100):
        assert health.silent() == []
    assert (queue.asked, table.asked) == (1, 1)
    table.broken = True
    now[0] += KEPT_SECONDS - 0.1
    assert health.silent() == []
    now[0] += 0.1
    for _ in range(100):
        assert health.silent() == ["a table"]
    assert table.asked == 2
    queue.broken, table.broken = True, False
    now[0] += KEPT_SECONDS
    assert health.silent() == ["the queue"]


@pytest.fixture
def aws(monkeypatch):
    moto = Moto()
    moto.start(config.PREFIX, {})
    # Who asks needs no token, wherever tokens are wanted.
    monkeypatch.setattr(config, "ACCESS_OPEN", False)
    yield
    moto.stop()


def test_health_is_well_while_both_answer(aws):
    """While both answer it is well, for everyone."""
    for method in ("GET", "HEAD"):
        assert sent(method, "/health").status == 200
    assert sent("GET", "/health").json == {"status": "ok"}


def test_without_a_table(aws):
    """Without its table it is not, and says when to ask again; what AWS said stays in the log."""
    dynamodb = client("dynamodb")
    name = config.STATISTICS_TABLE
    dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=name)
    got = sent("GET", "/health")
    assert (got.status, got.json["error"]["code"]) == (503, "unavailable")
    assert int(got.headers["retry-after"]) > 0
    assert got.json["error"]["message"] == "a table cannot be asked now"
    assert name.encode() not in got.body


def test_without_a_queue(aws):
    """Nor without its queue."""
    client("sqs").delete_queue(QueueUrl=wiring.queue_url(config.SPAN_QUEUE))
    got = sent("GET", "/health")
    assert (got.status, got.json["error"]["message"]) == (503, "the queue cannot be asked now")


@pytest.mark.parametrize("deployed", [True, False])
def test_https_alone(deployed):
    """Where API Gateway is in front, a browser is told to come by HTTPS alone; on a laptop it is not."""
    program = "from chalicelib.http.gateway import SECURITY_HEADERS as it; print(it.get('Strict-Transport-Security'))"
    environment = {"AWS_LAMBDA_FUNCTION_NAME": "clew-dev"} if deployed else {}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ("max-age=31536000" if deployed else "None")
