"""A question in another tracer's dialect, with all that answering it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.store.items import ItemStore
    from chalicelib.store.remembered import RememberedHalves


class Asked(NamedTuple):
    store: ItemStore
    path: Mapping[str, str]
    """The parameters in the path, percent-decoded."""
    parameters: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """With lower-case names."""
    body: bytes
    now_nano: int
    has_time: Callable[[], bool]
    """Whether a search may go on."""
    remembered: RememberedHalves | None = None
    """What this function has read of the waiting half-edges before."""

    @property
    def now_unix_seconds(self) -> int:
        return self.now_nano // 10**9

    def first(self, *names: str) -> str:
        """The first value of the first of these parameters that is there; "" for none."""
        return next((self.parameters[name][0] for name in names if self.parameters.get(name)), "")
