"""What handlers get, whatever framework is around them: an HTTP request as plain values; a question to the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from chalicelib.model.units import SECOND_NANO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.health import Health
    from chalicelib.http.access import Access
    from chalicelib.queue.sqs import MessageSender
    from chalicelib.queue.sqs_redrive import DeadLetterQueue
    from chalicelib.store.half_edge_cache import HalfEdgeCache
    from chalicelib.store.items import ItemStore
    from chalicelib.store.sampling import Strategies


class Backend(Protocol):
    """Where handlers get what is behind them: `chalicelib/wiring.py` is one."""

    def store(self) -> ItemStore: ...
    def sender(self) -> MessageSender: ...
    def strategies(self) -> Strategies: ...
    def dead_letter_queue(self) -> DeadLetterQueue: ...
    def half_edge_cache(self) -> HalfEdgeCache: ...
    def health(self) -> Health: ...
    def access(self) -> Access | None: ...


class Request(NamedTuple):
    """One HTTP request."""

    method: str
    route: str
    """The path as the route has it, such as `/api/traces/{trace_id}`."""
    path: str
    """The path as the client wrote it, with the stage of API Gateway if there is one."""
    path_parameters: Mapping[str, str]
    """The route's parameters, percent-decoded."""
    parameters: Mapping[str, list[str]]
    """The query's parameters; each may be given several times."""
    headers: Mapping[str, str]
    """The headers by their names in lower case."""
    body: bytes
    source_ip: str
    time_left: Callable[[], bool]
    """Whether the function has time left. On a laptop it is false once the client has gone; it may wait for others."""
    backend: Backend


class QueryRequest(NamedTuple):
    """A question to the tables, with all that answering it needs."""

    store: ItemStore
    """Metered: it keeps to the budget of the request."""
    path: Mapping[str, str]
    """The parameters in the path, percent-decoded."""
    parameters: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """The headers by their names in lower case."""
    body: bytes
    now_unix_nano: int
    time_left: Callable[[], bool]
    """Whether a search may go on."""
    half_edges: HalfEdgeCache | None = None
    """What this function has read of the waiting half-edges before."""

    @property
    def now_unix_seconds(self) -> int:
        """The time of the request, in whole seconds since the epoch."""
        return self.now_unix_nano // SECOND_NANO

    def first(self, *names: str) -> str:
        """The first value of the first of these parameters that is there; "" for none."""
        return next((self.parameters[name][0] for name in names if self.parameters.get(name)), "")
