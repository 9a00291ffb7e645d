"""What OpenTelemetry has no field for in a Zipkin span, as attributes: so nothing is lost on the way out again.

A span that came as Zipkin's is of the scope `zipkin`. Its local endpoint is its resource. Its attributes are first
those of OWN_KEYS that it needs, in that order, and then its tags:

    peer.service  net.peer.ip  net.peer.ipv6  net.peer.port  zipkin.debug  zipkin.shared
    zipkin.no_timestamp  zipkin.no_kind  tags…

`zipkin.tags` stands between them only where a tag has one of these keys itself.
"""

from __future__ import annotations

SCOPE_NAME = "zipkin"
SERVICE_NAME = "service.name"
LOCAL_KEYS = ("net.host.ip", "net.host.ipv6", "net.host.port")
"""The resource's attributes for the local endpoint's ipv4, ipv6 and port, beside `service.name`."""
PEER_SERVICE = "peer.service"
REMOTE_KEYS = ("net.peer.ip", "net.peer.ipv6", "net.peer.port")
DEBUG = "zipkin.debug"
SHARED = "zipkin.shared"
NO_TIMESTAMP = "zipkin.no_timestamp"
"""The span's start is a guess: that of what it holds, or of its neighbours."""
NO_KIND = "zipkin.no_kind"
"""The span came without a kind. It is a client's, for it names both endpoints: as Zipkin's linker takes it."""
TRACE_STATE = "w3c.tracestate"
"""A tag, as OpenTelemetry's exporters write it; it stays one, and is the trace state too."""
TAGS = "zipkin.tags"
OWN_KEYS = frozenset([PEER_SERVICE, *REMOTE_KEYS, DEBUG, SHARED, NO_TIMESTAMP, NO_KIND, TAGS])

SHARED_ATTRIBUTE = b"\x0a\x0d" + SHARED.encode() + b"\x12\x02\x10\x01"
"""KeyValue wire bytes: a server's half of a call, under the same id as its client's half."""
