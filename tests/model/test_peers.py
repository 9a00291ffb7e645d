"""Whom a span calls, as a table: attributes, and the name and kind that they give."""

from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from chalicelib.model.edges import EdgeKind
from chalicelib.model.names import key_name
from chalicelib.model.peers import peer_of
from tests.payloads import set_attributes

DATABASE, EXTERNAL, MESSAGING = EdgeKind.DATABASE, EdgeKind.EXTERNAL, EdgeKind.MESSAGING

CASES = [
    ("nothing", {}, None),
    ("nothing that names anyone", {"http.request.method": "GET"}, None),
    ("an address", {"server.address": "a"}, ("a", EXTERNAL)),
    ("an address by its old name", {"net.peer.name": "a"}, ("a", EXTERNAL)),
    ("the host of a URL", {"http.host": "a:80"}, ("a:80", EXTERNAL)),
    ("an IP address", {"network.peer.address": "10.0.0.1"}, ("10.0.0.1", EXTERNAL)),
    ("an IP address, older", {"net.peer.ip": "10.0.0.1"}, ("10.0.0.1", EXTERNAL)),
    ("a name before an IP address", {"net.peer.ip": "1", "server.address": "a"}, ("a", EXTERNAL)),
    ("a service before an address", {"server.address": "a", "peer.service": "s"}, ("s", EXTERNAL)),
    ("a service, newer", {"service.peer.name": "s"}, ("s", EXTERNAL)),
    ("an empty service", {"peer.service": "", "server.address": "a"}, ("a", EXTERNAL)),
    ("all empty", {"peer.service": "", "server.address": ""}, None),
    ("a database", {"db.system.name": "redis"}, ("redis", DATABASE)),
    ("a database, older", {"db.system": "mysql"}, ("mysql", DATABASE)),
    ("a database's name", {"db.system": "mysql", "db.name": "shop"}, ("shop", DATABASE)),
    ("a namespace", {"db.system.name": "mysql", "db.namespace": "n"}, ("n", DATABASE)),
    (
        "a database's address before its name",
        {"db.system.name": "mysql", "db.namespace": "n", "server.address": "a"},
        ("a", DATABASE),
    ),
    (
        "a database as a service",
        {"db.system": "mysql", "peer.service": "orders-db", "server.address": "a"},
        ("orders-db", DATABASE),
    ),
    ("a database's name without its system", {"db.name": "shop"}, None),
    ("a queue", {"messaging.destination.name": "orders"}, ("orders", MESSAGING)),
    ("a queue, older", {"messaging.destination": "orders"}, ("orders", MESSAGING)),
    (
        "a queue before its broker",
        {
            "messaging.system": "kafka",
            "messaging.destination.name": "orders",
            "server.address": "broker",
        },
        ("orders", MESSAGING),
    ),
    ("a broker", {"messaging.system": "kafka", "server.address": "b"}, ("b", MESSAGING)),
    ("a broker's system", {"messaging.system": "kafka"}, ("kafka", MESSAGING)),
    (
        "a database before a queue",
        {"messaging.system": "redis", "db.system": "redis", "server.address": "a"},
        ("a", DATABASE),
    ),
    ("a name that is a number", {"server.address": 7}, ("7", EXTERNAL)),
    ("a long name", {"server.address": "a" * 999}, (key_name("a" * 999), EXTERNAL)),
]


@pytest.mark.parametrize(
    ("attributes", "peer"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_peer(attributes, peer, is_reversed):
    """Attributes give this peer, in whatever order they come."""
    span = OtlpSpan()
    pairs = list(attributes.items())
    set_attributes(span.attributes, pairs[::-1] if is_reversed else pairs)
    assert peer_of([each.SerializeToString() for each in span.attributes]) == peer
