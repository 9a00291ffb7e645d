"""Whom a CLIENT or PRODUCER span calls, as far as it knows: a name by OpenTelemetry's semantic conventions.

Sources: semantic-conventions, docs/attributes-registry (db, messaging, server, peer, network), with the names
that they had before, which many libraries still write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.attribute import WantedAttributes, texts_of
from chalicelib.model.edges import EdgeKind
from chalicelib.model.names import key_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_SERVICE = (b"peer.service", b"service.peer.name")
_ADDRESS = (
    b"server.address",
    b"net.peer.name",
    b"http.host",
    b"network.peer.address",
    b"net.peer.ip",
    b"net.sock.peer.addr",
)
_DATABASE_SYSTEM = (b"db.system.name", b"db.system")
_DATABASE_NAME = (b"db.namespace", b"db.name")
_MESSAGING_SYSTEM = (b"messaging.system",)
_DESTINATION = (b"messaging.destination.name", b"messaging.destination")
_WANTED = frozenset(
    _SERVICE + _ADDRESS + _DATABASE_SYSTEM + _DATABASE_NAME + _MESSAGING_SYSTEM + _DESTINATION
)

_wanted = WantedAttributes(_WANTED)
_PEERS_REMEMBERED_MAX = 50_000
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
        if len(_peers) >= _PEERS_REMEMBERED_MAX:
            _peers.clear()
        peer = _peers[wanted] = _peer(texts_of(wanted))
        return peer


def _peer(texts: dict[bytes, str]) -> Peer | None:
    names: tuple[bytes, ...]
    if _first(texts, _DATABASE_SYSTEM):
        # By address rather than by system alone: two PostgreSQL servers are two nodes.
        names, kind = _SERVICE + _ADDRESS + _DATABASE_NAME + _DATABASE_SYSTEM, EdgeKind.DATABASE
    elif _first(texts, _MESSAGING_SYSTEM) or _first(texts, _DESTINATION):
        names, kind = _DESTINATION + _SERVICE + _ADDRESS + _MESSAGING_SYSTEM, EdgeKind.MESSAGING
    else:
        names, kind = _SERVICE + _ADDRESS, EdgeKind.EXTERNAL
    name = _first(texts, names)
    return Peer(key_name(name), kind) if name else None


def _first(texts: dict[bytes, str], keys: tuple[bytes, ...]) -> str:
    return next((texts[key] for key in keys if texts.get(key)), "")
