"""Reading traces before it is their turn, side by side: one by one, a page takes as long as all of them together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

Content = TypeVar("Content")
THREADS = 8
"""botocore keeps ten connections; what is read in vain at the end of a page is at most this many traces."""


class ReadAhead(Generic[Content]):
    """What is read of a trace, by its id; a context manager, after which nothing is being read."""

    def __init__(self, read: Callable[[bytes], Content]) -> None:
        self._read = read
        self._executor: ThreadPoolExecutor | None = None
        self._begun: dict[bytes, Future[Content]] = {}

    def of(self, trace_id: bytes, following: Iterable[bytes]) -> Content:
        """What is read of a trace; meanwhile those of `following` (as many as there are threads) are begun.

        Where nothing follows no thread is begun for it. Raises what `read` raises for this trace.
        """
        following = list(following)
        if not following and trace_id not in self._begun:
            return self._read(trace_id)
        for each in (trace_id, *following):
            if each not in self._begun and len(self._begun) <= THREADS:
                self._begun[each] = self._threads().submit(self._read, each)
        begun = self._begun.pop(trace_id, None)
        return begun.result() if begun else self._read(trace_id)

    def _threads(self) -> ThreadPoolExecutor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="read-ahead")
        return self._executor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor:
            self._executor.shutdown(cancel_futures=True)
