"""Jaeger's agent takes what it can, and never ends over what it cannot."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from local.jaeger_agent import JaegerAgent
from local.server import datagram_socket

SENT = (
    Path(__file__).parents[1] / "golden" / "jaeger" / "python-client-4.8-compact.bin"
).read_bytes()


@pytest.fixture
def sent_on():
    return []


@pytest.fixture
def agent(sent_on):
    bound = datagram_socket("127.0.0.1", 0)
    running = JaegerAgent([bound], sent_on.extend)
    running.start()
    yield running, bound.getsockname()
    running.stop()


def test_garbage_between(agent, sent_on, caplog):
    """Garbage is said once and counted; the batches around it are sent on, the last one too when the agent stops."""
    running, address = agent
    with (
        caplog.at_level(logging.WARNING),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        for datagram in (SENT, b"", b"garbage", b"\x82\x81", bytes(60_000), SENT):
            client.sendto(datagram, address)
        running.stop()
    assert [message.span_count for message in sent_on] == [2, 2]
    assert len(caplog.records) == 1


def test_a_fault_of_the_sender(caplog):
    """An unforeseen fault costs one datagram, never the port; its words, which may be of a span, are not told."""
    came = []

    def send(messages):
        came.append(messages)
        if len(came) == 1:
            raise RuntimeError("hunter2")

    bound = datagram_socket("127.0.0.1", 0)
    running = JaegerAgent([bound], send)
    address = bound.getsockname()
    running.start()
    with (
        caplog.at_level(logging.WARNING),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        for _ in range(2):
            client.sendto(SENT, address)
        running.stop()
    assert len(came) == 2
    assert "RuntimeError" in caplog.text
    assert "hunter2" not in caplog.text
