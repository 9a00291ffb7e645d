"""Where emulators are known to differ from AWS: the only place that says so.

The kit's test of each is expected to fail on that emulator, strictly. `docs/emulators.md` shows the same table.
"""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    backend: str
    behaviour: str
    on_aws: str
    here: str
    test: str
    """The test's name in `item_store.py`, `dynamodb_service.py` or `message_queue.py`."""


DIFFERENCES: tuple[Difference, ...] = ()
