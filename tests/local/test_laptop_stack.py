"""The parts together: what is sent to a local stack is consumed, once, also after a restart."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from urllib.parse import urlsplit

import pytest

from chalicelib import config
from chalicelib.consume.consumer import message_from_record
from chalicelib.errors import StoreThrottled
from chalicelib.queue.message import Message
from local.event_source_mapping import Source
from local.functions import REQUEST_BYTES_MAX
from local.journal import Journal, JournalError
from local.stack import LaptopStack, events_of
from tests.local.tiny_app import tiny_app


@pytest.fixture
def app():
    return tiny_app()


def send(stack: LaptopStack, *payloads: bytes) -> list[int]:
    connection = http.client.HTTPConnection(urlsplit(stack.url).netloc, timeout=60)
    statuses = []
    for payload in payloads:
        connection.request("POST", "/v1/traces", payload)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    return statuses


def test_accepted_is_consumed(app):
    """A request that is answered with 200 reaches the consumer, as Lambda would deliver it."""
    with LaptopStack(app) as stack:
        assert send(stack, b"four") == [200]
        stack.wait_until_stored()
    assert app.consumed == [4]
    (record,) = app.sqs_events[0]["Records"]
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:123456789012:clew-spans"
    assert record["messageAttributes"]["payload"]["dataType"] == "Binary.zstd"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"


def test_starts_again(app):
    """A stack that was stopped starts again in the same process, empty, and its environment is as it was."""
    before = dict(os.environ)
    stack = LaptopStack(app)
    for _ in range(2):
        with stack:
            send(stack, b"four")
            stack.wait_until_stored()
            assert sorted(stack.client("dynamodb").list_tables()["TableNames"]) == [
                "clew-index",
                "clew-spans",
                "clew-statistics",
            ]
    assert app.consumed == [4, 4]
    assert dict(os.environ) == before


def test_the_schedule_runs_when_a_test_says_so(app):
    """The schedule runs when a test says so."""
    with LaptopStack(app, run_schedules=False) as stack:
        stack.summarise()
    assert [event["detail-type"] for event in app.scheduled] == ["Scheduled Event"]


def test_failed_consumer(app, caplog):
    """What the consumer failed on comes back until it succeeds, or goes to the dead-letter queue."""
    parameters = {"VisibilityTimeoutSeconds": "0", "MaximumReceives": "3"}
    with LaptopStack(app, batch_window_seconds=0, parameters=parameters) as stack:
        app.failures = 2
        send(stack, b"four")
        stack.wait_until_stored()
        assert app.consumed == [4]
        app.failures = 3
        send(stack, b"seven77")
        stack.wait_until_stored()
        sqs = stack.client("sqs")
        dead = sqs.get_queue_url(QueueName="clew-dead-letters")["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert app.consumed == [4]
    assert '"span_count":7' in message["Body"]
    assert "told to fail" in caplog.text


def test_not_stored_in_time(app, caplog):
    """Waiting for what the consumer does not get done ends with TimeoutError."""
    with LaptopStack(app, batch_window_seconds=0) as stack:
        app.failures = 1
        send(stack, b"four")
        with pytest.raises(TimeoutError, match=r"0\.2 s"):
            stack.wait_until_stored(0.2)


def test_restart_keeps_messages(app, tmp_path):
    """With a journal, what one stack accepted the next one consumes; twice sent is once replayed."""
    with LaptopStack(app, data_dir=tmp_path) as stack:
        send(stack, b"four", b"four", b"seven77")
        stack.wait_until_stored()
    app.consumed.clear()
    with LaptopStack(app, data_dir=tmp_path) as stack:
        stack.wait_until_stored()
        assert app.consumed == [4, 7]
        send(stack, b"after it")
        stack.wait_until_stored()
    assert app.consumed == [4, 7, 8]


def test_journal_is_compacted_while_it_runs(app, tmp_path, monkeypatch):
    """What has expired leaves the journal at the clock's next turn, and what is sent afterwards is kept."""
    with LaptopStack(app, data_dir=tmp_path) as running:
        send(running, b"four")
        running.wait_until_stored()
        running.summarise()
        before = (tmp_path / "journal").stat().st_size
        later = int(time.time()) + config.RETENTION_SECONDS + 10
        monkeypatch.setattr(running._now, "unix_seconds", lambda: later)
        running.summarise()
        assert (before > 0, (tmp_path / "journal").stat().st_size) == (True, 0)
        monkeypatch.undo()
        send(running, b"after it")
        running.wait_until_stored()
    app.consumed.clear()
    with LaptopStack(app, data_dir=tmp_path) as again:
        again.wait_until_stored()
    assert app.consumed == [8]


def test_old_by_the_clock_alone(app, tmp_path):
    """What is older than the retention by the clock, but not by the newest record, is replayed and kept."""
    old = int(time.time()) - config.RETENTION_SECONDS - 1_000
    holder = Journal(tmp_path, old)
    holder.append([Message(b"x" * 32, 4, old, b"frame")])
    holder.close()
    before = (tmp_path / "journal").read_bytes()
    with LaptopStack(app, data_dir=tmp_path) as running:
        running.wait_until_stored()
        running.summarise()
        assert running._now.unix_seconds() < old + 1_000
    assert app.consumed == [4]
    assert (tmp_path / "journal").read_bytes() == before


@pytest.mark.slow
def test_long_replay(app, tmp_path):
    """A journal of many messages is replayed whole, in order of arrival."""
    count = 111
    with LaptopStack(app, data_dir=tmp_path) as stack:
        send(stack, *(b"x" * length for length in range(1, count + 1)))
        stack.wait_until_stored()
    app.consumed.clear()
    with LaptopStack(app, data_dir=tmp_path) as stack:
        stack.wait_until_stored()
    assert app.consumed == list(range(1, count + 1))


@pytest.mark.parametrize("frame_bytes", [1, 100_000, 1_040_000])
def test_events_of_a_journal(frame_bytes):
    """What is replayed comes in events that Lambda would take, in order, each message as it was."""
    messages = [
        Message(number.to_bytes(32, "big"), 7, 1_790_000_000, bytes(frame_bytes))
        for number in range(25)
    ]
    source = Source(
        "http://127.0.0.1/queue", "arn:aws:sqs:us-east-1:123456789012:clew-spans", 10, 1
    )
    events = list(events_of(iter(messages), source))
    records = [record for event in events for record in event["Records"]]
    assert [message_from_record(record) for record in records] == messages
    assert max(len(event["Records"]) for event in events) <= 10
    assert max(len(json.dumps(event)) for event in events) <= REQUEST_BYTES_MAX
    assert {record["attributes"]["ApproximateReceiveCount"] for record in records} == {"1"}


@pytest.mark.slow
def test_replay_in_trouble(app, tmp_path, caplog):
    """A consumer that cannot store what is replayed gets it again until it can."""
    with LaptopStack(app, data_dir=tmp_path) as stack:
        send(stack, b"four")
        stack.wait_until_stored()
    app.consumed.clear()
    consume, failures = app.handler_map["consume"], iter([StoreThrottled("later")])

    def failing(event, context):
        for failure in failures:
            raise failure
        return consume(event, context)

    app.handler_map["consume"] = failing
    with LaptopStack(app, data_dir=tmp_path) as stack:
        stack.wait_until_stored()
    assert app.consumed == [4]
    assert "cannot be stored yet: later" in caplog.text


def test_failed_start(app, tmp_path):
    """A stack that cannot start leaves nothing running, and says why."""
    holder = Journal(tmp_path, 0)
    with pytest.raises(JournalError, match="in use"):
        LaptopStack(app, data_dir=tmp_path).start()
    holder.close()
    app.event_sources.clear()
    with pytest.raises(TypeError, match="0 SQS event functions"):
        LaptopStack(app, data_dir=tmp_path).start()
    Journal(tmp_path, 0).close()
    assert {thread.name for thread in threading.enumerate()}.isdisjoint({"server", "schedule"})
