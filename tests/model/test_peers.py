"""Whom a span calls, as a table: attributes, and the name and kind that they give."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from chalicelib.model.edges import EdgeKind
from chalicelib.model.names import key_name
from chalicelib.model.peers import _WANTED, _wanted, host_of_url, peer_of
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
    (
        "a URL alone",
        {"url.full": "https://u:pw@api.example:444/v1?key=x"},
        ("api.example", EXTERNAL),
    ),
    ("a URL alone, older", {"http.url": "http://api.example"}, ("api.example", EXTERNAL)),
    ("a URL that has no host", {"url.full": "/v1/charges"}, None),
    ("an IPv6 address in a URL", {"url.full": "http://[::1]:80/"}, ("::1", EXTERNAL)),
    ("where a request went is no peer", {"http.target": "/v1", "http.scheme": "https"}, None),
    ("a socket's name", {"net.sock.peer.name": "a"}, ("a", EXTERNAL)),
    (
        "a name of any kind before an address of any kind",
        {"server.address": "10.0.0.1", "net.sock.peer.addr": "10.0.0.1", "peer.hostname": "a"},
        ("a", EXTERNAL),
    ),
    (
        "a database's socket's name before its address",
        {"db.system": "redis", "net.sock.peer.addr": "10.0.0.4", "net.sock.peer.name": "redis-1"},
        ("redis-1", DATABASE),
    ),
    (
        "a database's name before an IP address",
        {"db.type": "sql", "db.instance": "customers", "peer.address": "10.1.1.1:3306"},
        ("customers", DATABASE),
    ),
    (
        "an IP address before a database's number",
        {"db.system": "redis", "db.namespace": "0", "server.address": "10.0.0.4"},
        ("10.0.0.4", DATABASE),
    ),
    ("OpenTracing's host", {"peer.hostname": "a", "peer.ipv4": "10.0.0.1"}, ("a", EXTERNAL)),
    ("OpenTracing's IP address", {"peer.ipv4": "10.0.0.1"}, ("10.0.0.1", EXTERNAL)),
    ("OpenTracing's IPv6 address", {"peer.ipv6": "::1"}, ("::1", EXTERNAL)),
    ("OpenTracing's address", {"peer.address": "a:3306"}, ("a", EXTERNAL)),
    ("Java's address", {"peer.address": "a/10.0.0.1:3306"}, ("a", EXTERNAL)),
    ("Java's address without a name", {"peer.address": "/10.0.0.1:3306"}, ("10.0.0.1", EXTERNAL)),
    ("JDBC's address", {"peer.address": "jdbc:mysql://u:pw@a:3306/db"}, ("a", EXTERNAL)),
    ("OpenTracing's database", {"db.type": "sql"}, ("sql", DATABASE)),
    (
        "a database by its URL",
        {"db.url": "jdbc:oracle:thin:u/pw@//a:1521/x"},
        ("a", DATABASE),
    ),
    (
        "a database by its connection string",
        {"db.system": "mssql", "db.connection_string": "Server=tcp:a,1433;User Id=u;Password=pw"},
        ("a", DATABASE),
    ),
    (
        "a connection string without a host",
        {"db.system": "sqlite", "db.connection_string": "Password=pw"},
        ("sqlite", DATABASE),
    ),
    ("several servers", {"db.url": "mongodb://u:pw@a:1,b:2/x"}, ("a", DATABASE)),
    ("a password with a slash", {"url.full": "https://u:p/w@a/"}, None),
    ("gRPC", {"rpc.system": "grpc", "rpc.service": "shop.Cart"}, ("shop.Cart", EXTERNAL)),
    ("gRPC, newer", {"rpc.system.name": "grpc", "rpc.method": "s.Cart/Add"}, ("s.Cart", EXTERNAL)),
    (
        "gRPC's server before its service",
        {"rpc.system": "grpc", "rpc.service": "shop.Cart", "server.address": "a"},
        ("a", EXTERNAL),
    ),
    (
        "an AWS service before its host",
        {"rpc.system": "aws-api", "rpc.service": "S3", "url.full": "https://inv.s3.amazonaws.com/"},
        ("S3", EXTERNAL),
    ),
    ("DynamoDB", {"rpc.system": "aws-api", "rpc.service": "DynamoDB"}, ("DynamoDB", DATABASE)),
    (
        "a table",
        {"db.system": "dynamodb", "aws.dynamodb.table_names": '["orders"]'},
        ("orders", DATABASE),
    ),
    (
        "several tables",
        {"db.system": "dynamodb", "aws.dynamodb.table_names": '["a", "b"]'},
        ("dynamodb", DATABASE),
    ),
    (
        "a function",
        {"faas.invoked_name": "charge", "faas.invoked_provider": "aws", "server.address": "a"},
        ("charge", EXTERNAL),
    ),
    (
        "a function by its ARN",
        {"aws.lambda.invoked_arn": "arn:aws:lambda:eu-west-1:1:function:charge:live"},
        ("charge", EXTERNAL),
    ),
    ("OpenTracing's queue", {"message_bus.destination": "orders"}, ("orders", MESSAGING)),
    (
        "a queue's URL",
        {"rpc.system": "aws-api", "rpc.service": "SQS", "aws.queue_url": "https://sqs.x/1/orders"},
        ("orders", MESSAGING),
    ),
    ("a topic", {"aws.sns.topic.arn": "arn:aws:sns:eu-west-1:1:orders"}, ("orders", MESSAGING)),
    (
        "a broker's URL",
        {"messaging.system": "jms", "messaging.url": "tibjmsnaming://u:pw@a:7222"},
        ("a", MESSAGING),
    ),
    ("a model's provider", {"gen_ai.system": "openai"}, ("openai", EXTERNAL)),
    ("a name that is a number", {"server.address": 7}, ("7", EXTERNAL)),
    ("a long name", {"server.address": "a" * 999}, (key_name("a" * 999), EXTERNAL)),
]


@pytest.mark.parametrize(
    ("attributes", "peer"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_attributes_give_the_peer_in_any_order(attributes, peer, is_reversed):
    """Attributes give this peer, in whatever order they come."""
    span = OtlpSpan()
    pairs = list(attributes.items())
    set_attributes(span.attributes, pairs[::-1] if is_reversed else pairs)
    assert peer_of([each.SerializeToString() for each in span.attributes]) == peer


NAMES = st.sampled_from(sorted(key.decode() for key in _WANTED))
HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,20}([.][a-z]{2,9}){0,3}", fullmatch=True)
SECRETS = st.text(st.characters(exclude_characters="/?#; " + chr(92), codec="utf-8"), max_size=9)


def peer_of_pairs(pairs):
    span = OtlpSpan()
    set_attributes(span.attributes, pairs)
    return peer_of([each.SerializeToString() for each in span.attributes])


@given(
    st.dictionaries(
        NAMES, st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.binary()
    )
)
@example({"url.full": "a://" + "[" * 5_000})
@example({"db.url": "=" * 100_000})
def test_any_value_gives_a_bounded_name_or_none(attributes):
    """Whatever stands in the attributes that are looked at, the peer's name is a bounded key, or there is no peer."""
    peer = peer_of_pairs(attributes.items())
    assert peer is None or 0 < len(peer.name.encode()) <= 256


@given(HOSTS, SECRETS, SECRETS, st.sampled_from(("", ":80", "/", ":1/p?q#f", "?q", "#f")))
def test_a_url_names_its_host_alone(host, user, password, rest):
    """Of a URL, user, password, port and path are never a part of the name."""
    assert host_of_url(f"https://{user}:{password}@{host}{rest}") == host
    assert host_of_url(f"https://{host}{rest}") == host


URLS = ("url.full", "http.url", "messaging.url", "peer.address", "db.url", "db.connection_string")


@pytest.mark.parametrize("key", URLS)
def test_urls_are_remembered_by_their_host(key):
    """Values that are all different are remembered by the name in them, and nothing else that they say."""
    found = set()
    for number in range(9):
        span = OtlpSpan()
        set_attributes(
            span.attributes, [(key, f"https://u:secret@a.example/{number}?token=secret")]
        )
        found.add(_wanted.among([span.attributes[0].SerializeToString()]))
    ((reduced,),) = found
    assert b"a.example" in reduced
    assert b"secret" not in reduced
