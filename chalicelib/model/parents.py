"""Parents: spans above a callee whose kind makes no half by itself (instrumentation by hand often makes it SERVER or
INTERNAL), and the half that each makes as soon as a callee looks for it."""

from __future__ import annotations

from chalicelib.model.edges import EdgeKind
from chalicelib.model.halves import Caller
from chalicelib.model.span import INTERNAL, UNSPECIFIED
from chalicelib.model.statistics import MINUTE_NANO

_KINDLESS = (UNSPECIFIED, INTERNAL)


def parent_half(
    trace_id: bytes,
    span_id: bytes,
    service: str,
    kind: int,
    parent: bytes,
    start_time_unix_nano: int,
) -> Caller:
    """The caller that a span is which stands for no call: without name, error and duration. Those are its callees'."""
    minute = start_time_unix_nano // MINUTE_NANO
    return Caller(trace_id, span_id, service, "", parent_kind(kind, parent), False, minute, 0)


def parent_kind(kind: int, parent: bytes) -> EdgeKind:
    """One of PARENT_KINDS, of a span of a kind and with a parent (empty for none).

    Zipkin's linker looks for the nearest span above a server or client that has a kind. Above one without kind there
    is one, unless that is the root. Source: zipkin2.internal.DependencyLinker, firstRemoteAncestor.
    """
    return EdgeKind.PARENT if kind in _KINDLESS and not parent else EdgeKind.RPC
