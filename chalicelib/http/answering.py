"""How a question becomes an answer: within its budget, as JSON, or as a failure in the dialect's own form.

Request ──query_request──▶ QueryRequest ──ask──▶ a document ──streamed_answer──▶ Answer
                                          └─ an error ──query_failure──▶ tell ──▶ Answer
"""

from __future__ import annotations

import time
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from chalicelib import config
from chalicelib.budget import Budget
from chalicelib.gc_pause import gc_paused
from chalicelib.http.errors import query_failure, with_retry_after
from chalicelib.http.request import QueryRequest
from chalicelib.http.respond import error_answer, streamed_answer, warned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.http.answer import Answer
    from chalicelib.http.errors import Failure
    from chalicelib.http.request import Request

    Tell = Callable[["Asker", Failure], Answer]
    """Makes the dialect's answer of a failure."""


class Reply(NamedTuple):
    """A document for JSON, which may be streamed, with what the answer's headers say of it."""

    document: Any
    warnings: Sequence[str] = ()
    """What the answer leaves out."""
    media_type: str = "application/json"
    vary: str = "Accept-Encoding"
    cache_control: str = ""
    """Empty: the answer is not to be stored."""


class Asker(Protocol):
    """A request, or a question: what the form of its answer depends on."""

    @property
    def parameters(self) -> Mapping[str, list[str]]: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


def told_plainly(request: Asker, failure: Failure) -> Answer:
    """The failure in Clew's own form."""
    return error_answer(failure, request.headers)


class Answering(NamedTuple):
    """A handler of questions: `ask` returns a document or a `Reply`, or raises; nothing is raised to the caller."""

    ask: Callable[[QueryRequest], Any]
    tell: Tell = told_plainly
    is_indented: Callable[[Asker], bool] = lambda _: False
    search_seconds: Callable[[], tuple[float, float]] = lambda: (
        config.SEARCH_SECONDS_MAX,
        config.SEARCH_CPU_SECONDS_MAX,
    )
    """How long a search may go on: by the clock, and of CPU."""

    def __call__(self, request: Request) -> Answer:
        """Answer an HTTP request."""
        try:
            query = query_request(request, *self.search_seconds())
        except Exception as error:
            return with_retry_after(self.tell(request, query_failure(error)))
        return self.answer(query)

    def answer(self, request: QueryRequest) -> Answer:
        """Answer a question."""
        from chalicelib.store.metered import budget_of

        is_indented = self.is_indented(request)
        return _answer(
            request.headers,
            lambda: self.ask(request),
            lambda failure: self.tell(request, failure),
            budget_of(request.store),
            is_indented=is_indented,
        )


def json_of(request: Request, make: Callable[[], Any]) -> Answer:
    """The JSON of what `make` returns, or of why it cannot be had; for answers that need no budget."""
    return _answer(request.headers, make, lambda failure: error_answer(failure, request.headers))


def _answer(
    headers: Mapping[str, str],
    make: Callable[[], Any],
    tell: Callable[[Failure], Answer],
    budget: Budget | None = None,
    *,
    is_indented: bool = False,
) -> Answer:
    try:
        with gc_paused():
            made = make()
            reply = made if isinstance(made, Reply) else Reply(made)
            answer = streamed_answer(
                reply.document,
                headers,
                media_type=reply.media_type,
                vary=reply.vary,
                is_indented=is_indented,
                budget=budget,
            )
    except Exception as error:
        return with_retry_after(tell(query_failure(error)))
    if reply.cache_control:
        answer.headers["Cache-Control"] = reply.cache_control
    return warned(answer, reply.warnings)


def query_request(request: Request, seconds: float, cpu_seconds: float) -> QueryRequest:
    """The question of a request, over a store that keeps to a budget; a search may take so many seconds."""
    from chalicelib.store.metered import MeteredStore

    answer_time = time_left(
        request.time_left, config.ANSWER_SECONDS_MAX, config.ANSWER_CPU_SECONDS_MAX
    )
    return QueryRequest(
        store=MeteredStore(request.backend.store(), Budget(answer_time)),
        path=request.path_parameters,
        parameters=request.parameters,
        headers=request.headers,
        body=request.body,
        now_unix_nano=time.time_ns(),
        time_left=time_left(request.time_left, seconds, cpu_seconds),
        half_edges=request.backend.half_edge_cache(),
    )


def time_left(
    function_time_left: Callable[[], bool], seconds: float, cpu_seconds: float
) -> Callable[[], bool]:
    """Whether work that begins now still has time: by the clock, by this thread's CPU, and by the function's time."""
    ends, cpu_ends = time.monotonic() + seconds, time.thread_time() + cpu_seconds
    thread = get_ident()

    def is_left() -> bool:
        if time.monotonic() >= ends:
            return False
        if get_ident() != thread:
            # A thread that reads ahead has a CPU clock of its own. It does not ask what the function has left: on a
            # laptop that waits until others had their turn, which whole answers do, and not each of their threads.
            return True
        if time.thread_time() >= cpu_ends:
            return False
        return function_time_left()

    return is_left
