"""Whom a CLIENT or PRODUCER span calls, as far as it knows: a name by the semantic conventions, of every generation.

    attributes ──reduced──▶ those that name a peer (of a URL the host alone) ──ranked──▶ Peer(name, kind)

The tables below are the order of preference. In each, a name goes before an IP address, whichever attribute has it.

Sources: opentelemetry/semantic-conventions, model/*/registry.yaml and model/*/deprecated (server, network, net, peer,
http, url, db, messaging, rpc, faas, aws, gcp, azure, gen_ai; to v1.37); opentracing/specification,
semantic_conventions.md (peer.*, db.*, message_bus.*); census-instrumentation/opencensus-specs, trace/HTTP.md;
GraphQL's conventions name no peer.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

import orjson

from chalicelib.model.attribute import WantedAttributes, key_and_text, texts_of
from chalicelib.model.edges import EdgeKind
from chalicelib.model.names import key_name
from chalicelib.model.wire import field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SERVICE = (
    b"peer.service",  # OpenTracing; OpenTelemetry to v1.38
    b"service.peer.name",  # OpenTelemetry since
)
_FUNCTION = (
    b"faas.invoked_name",
    b"aws.lambda.invoked_arn",
)
_ADDRESS = (
    b"server.address",  # v1.21 on
    b"net.peer.name",  # v0.1 to v1.20
    b"server.socket.domain",  # v1.21 and v1.22
    b"net.sock.peer.name",  # v1.10 to v1.20
    b"peer.hostname",  # OpenTracing
    b"http.host",  # v0.1 to v1.12, OpenCensus
    b"url.full",  # v1.21 on
    b"http.url",  # v0.1 to v1.20, OpenTracing, OpenCensus
    b"peer.address",  # OpenTracing
    b"network.peer.address",  # v1.21 on
    b"server.socket.address",  # v1.21 and v1.22
    b"net.peer.ip",  # v0.1 to v1.9
    b"net.sock.peer.addr",  # v1.10 to v1.20
    b"peer.ipv4",  # OpenTracing
    b"peer.ipv6",
)
_RPC_SYSTEM = (b"rpc.system.name", b"rpc.system")
_RPC_SERVICE = (
    b"rpc.service",  # to v1.38
    b"rpc.method",  # since: service/method
)
_PRODUCT = (
    b"gen_ai.provider.name",
    b"gen_ai.system",  # to v1.36
    b"gcp.client.service",
    b"azure.resource_provider.namespace",
    b"az.namespace",
)
_DATABASE_SYSTEM = (
    b"db.system.name",  # v1.30 on
    b"db.system",  # v0.1 to v1.29
    b"db.type",  # OpenTracing
)
_DATABASE_ADDRESS = (
    b"db.connection_string",  # to v1.24
    b"db.url",  # OpenTracing's JDBC and its like
)
_DATABASE_NAME = (
    b"db.namespace",  # v1.26 on
    b"db.name",  # v1.0 to v1.25
    b"db.instance",  # OpenTracing, OpenTelemetry to v0.5
    b"db.cassandra.keyspace",
    b"db.hbase.namespace",
    b"db.elasticsearch.cluster.name",
    b"aws.dynamodb.table_names",
)
_MESSAGING_SYSTEM = (b"messaging.system",)
_DESTINATION = (
    b"messaging.destination.name",  # v1.17 on
    b"messaging.destination",  # v0.6 to v1.16
    b"message_bus.destination",  # OpenTracing
    b"messaging.destination_publish.name",
    b"messaging.source.name",  # v1.17 to v1.20
    b"messaging.destination.template",
    b"aws.sqs.queue.url",
    b"aws.queue.url",  # AWS SDK instrumentations
    b"aws.queue_url",
    b"aws.sns.topic.arn",
    b"aws.kinesis.stream_name",
)
_BROKER = (b"messaging.url",)  # v0.6 to v1.16

_AWS_SDK = ("aws-api", "aws-sdk")
_DYNAMODB = "DynamoDB"
_WANTED = frozenset(
    _SERVICE
    + _FUNCTION
    + _ADDRESS
    + _RPC_SYSTEM
    + _RPC_SERVICE
    + _PRODUCT
    + _DATABASE_SYSTEM
    + _DATABASE_ADDRESS
    + _DATABASE_NAME
    + _MESSAGING_SYSTEM
    + _DESTINATION
    + _BROKER
)
_PEERS_REMEMBERED_MAX = 50_000
_REMEMBERED_BYTES_MAX = 1_024
_TEXT_CHARACTERS_MAX = 4_096
"""The longest value that is looked into: longer ones name nobody."""
_HOST_SETTINGS = ("server", "data source", "datasource", "host", "address", "addr")
"""The settings of a connection string that have the host. Source: ADO.NET, libpq."""

_peers: dict[tuple[bytes, ...], Peer | None] = {}


class Peer(NamedTuple):
    name: str
    kind: EdgeKind


def peer_of(attributes: Sequence[bytes]) -> Peer | None:
    """The peer that a client's or producer's attributes (KeyValue wire bytes) name; None if they name none."""
    wanted = _wanted.among(attributes)
    if not wanted:
        return None
    try:
        return _peers[wanted]
    except KeyError:
        peer = _peer(texts_of(wanted))
        if sum(map(len, wanted)) <= _REMEMBERED_BYTES_MAX:
            if len(_peers) >= _PEERS_REMEMBERED_MAX:
                _peers.clear()
            _peers[wanted] = peer
        return peer


def _peer(texts: dict[bytes, str]) -> Peer | None:
    is_aws = _first(texts, _RPC_SYSTEM) in _AWS_SDK
    has_database = any(texts.get(key) for key in (*_DATABASE_SYSTEM, *_DATABASE_ADDRESS))
    if has_database or (is_aws and texts.get(b"rpc.service") == _DYNAMODB):
        # By address rather than by system alone: two PostgreSQL servers are two nodes.
        addresses = _ADDRESS + _DATABASE_ADDRESS
        of_sdk = _RPC_SERVICE if is_aws else ()
        name = _best(texts, _SERVICE + of_sdk + addresses + _DATABASE_NAME)
        name, kind = name or _first(texts, _DATABASE_SYSTEM), EdgeKind.DATABASE
    elif _first(texts, _MESSAGING_SYSTEM + _DESTINATION):
        # What a queue is called, whatever it is called: it may be a number.
        name = _first(texts, _DESTINATION) or _best(texts, _SERVICE + _ADDRESS + _BROKER)
        name, kind = name or _first(texts, _MESSAGING_SYSTEM), EdgeKind.MESSAGING
    else:
        # The host of an AWS service may have an account's or a bucket's name, and a region.
        of_rpc = _RPC_SERVICE + _ADDRESS if is_aws else _ADDRESS + _BROKER + _RPC_SERVICE + _PRODUCT
        name, kind = _best(texts, _SERVICE + _FUNCTION + of_rpc), EdgeKind.EXTERNAL
    return Peer(key_name(name), kind) if name else None


def _first(texts: dict[bytes, str], keys: tuple[bytes, ...]) -> str:
    return next((texts[key] for key in keys if texts.get(key)), "")


def _best(texts: dict[bytes, str], keys: tuple[bytes, ...]) -> str:
    """The first that is a name; else the first that is an IP address or a number (a Redis database is one)."""
    found = [text for key in keys if (text := texts.get(key))]
    return next((text for text in found if not _is_numeric(text)), found[0] if found else "")


def _is_numeric(text: str) -> bool:
    host = text.partition("%")[0] if ":" in text else text
    if host.isdecimal():
        return True
    # Only so many characters can be an address: what is longer is not looked into.
    return len(host) <= 60 and (_is_ip(host) or _is_ip(_host_of_authority(host)))


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def host_of_url(text: str) -> str:
    """The host of an absolute URL, never its user, password or port; empty if there is none.

    An IPv6 address is without its brackets. Of several (`mongodb://a,b/…`, `jdbc:mysql://…`) it is the first.
    Source: RFC 3986, section 3.2.
    """
    _, separator, rest = text.partition("://")
    if not separator:
        return ""
    end = min((place for place in map(rest.find, "/?#;\\") if place >= 0), default=len(rest))
    return _host_of_authority(rest[:end])


def _host_of_authority(authority: str) -> str:
    hosts = authority.rpartition("@")[2]
    if hosts.startswith("["):
        host, bracket, port = hosts[1:].partition("]")
        return host if bracket and _is_ip(host.partition("%")[0]) else ""
    host, _, port = hosts.partition(",")[0].partition(":")
    # What is no port is the rest of a password with a slash in it: whose host is not known.
    is_host = (not port or port.isdecimal()) and host.isprintable() and " " not in host
    return host if is_host else ""


def _host_of_address(text: str) -> str:
    """The host of `host:port`, `ip:port`, Java's `host/ip:port`, a URL, or a database's connection string."""
    if "://" in text:
        return host_of_url(text)
    if "=" in text or text.startswith("jdbc:"):
        return _host_of_connection(text)
    named = text.rpartition("@")[2]
    host, _, address = named.partition("/")
    for each in (host, address):
        if each and (found := each if _is_ip(each) else _host_of_authority(each)):
            return found
    return ""


def _host_of_connection(text: str) -> str:
    """The host in a connection string: a URL, JDBC's, or settings (`Server=tcp:db,1433;…`, `host=db user=…`)."""
    if "://" in text:
        return host_of_url(text)
    if text.startswith("jdbc:"):
        # jdbc:oracle:thin:user/password@//host:1521/service, …@host:1521:id
        host, _, _ = text.rpartition("@")[2].lstrip("/").partition("/")[0].partition(":")
        return _host_of_authority(host) if "@" in text else ""
    for setting in text.split(";") if ";" in text else text.split():
        name, _, value = setting.partition("=")
        if name.strip().lower() in _HOST_SETTINGS:
            host = value.strip().removeprefix("tcp:").partition(",")[0].partition("\\")[0]
            return host if _is_ip(host) else _host_of_authority(host)
    return ""


def _last_of_path(text: str) -> str:
    """The queue of `https://sqs.eu-west-1.amazonaws.com/123456789012/orders`."""
    return text.partition("?")[0].rstrip("/").rpartition("/")[2]


def _last_of_arn(text: str) -> str:
    return text.rpartition(":")[2]


def _function_of_arn(text: str) -> str:
    """The function of `arn:aws:lambda:eu-west-1:123456789012:function:charge:live`."""
    return text.partition(":function:")[2].partition(":")[0]


def _only_of_array(text: str) -> str:
    """The one element of an array, from its string form; empty where there are several: no name is theirs."""
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    match values:
        case [str(value)]:
            return value
        case _:
            return ""


def _service_of_method(text: str) -> str:
    return text.lstrip("/").rpartition("/")[0]


_REDUCED: dict[bytes, Callable[[str], str]] = {
    b"url.full": host_of_url,
    b"http.url": host_of_url,
    b"messaging.url": host_of_url,
    b"peer.address": _host_of_address,
    b"db.connection_string": _host_of_connection,
    b"db.url": _host_of_connection,
    b"aws.sqs.queue.url": _last_of_path,
    b"aws.queue.url": _last_of_path,
    b"aws.queue_url": _last_of_path,
    b"aws.sns.topic.arn": _last_of_arn,
    b"aws.lambda.invoked_arn": _function_of_arn,
    b"aws.dynamodb.table_names": _only_of_array,
    b"rpc.method": _service_of_method,
}
"""What of a value is the name. The rest is not kept: URLs are all different, and may have a password."""


class _NamingAttributes(WantedAttributes):
    """The attributes that name a peer, each reduced to the name."""

    def reduced(self, raw: bytes) -> bytes:
        key, text = key_and_text(raw)
        reduce = _REDUCED.get(key)
        if reduce is None:
            return raw
        name = reduce(text.decode()) if len(text) <= _TEXT_CHARACTERS_MAX else ""
        return field(1, key) + field(2, field(1, name.encode()))


_wanted = _NamingAttributes(_WANTED)
