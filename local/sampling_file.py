"""SAMPLING_FILE: sampling strategies from a file on the laptop, put where `PUT /v1/sampling` puts them.

    file ──read at the start, and when its bytes change──▶ checked ──▶ table `statistics` ──▶ /sampling

The last writer wins: the file is stored at each start and at each change, and `PUT /v1/sampling` may come in between.
The form is that of Jaeger's strategies file (jaegertracing.io, Sampling, "File-based Sampling Configuration"): JSON,
snake case.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import orjson

from chalicelib.errors import InvalidPayload, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""The interval between two looks at the file. Clients ask once a minute, but a person who edits it waits."""
FILE_BYTES_MAX = 1_000_000
"""The largest file: three times what may be stored, for spaces and line ends."""


class SamplingFileError(Exception):
    """The file is not there, cannot be read, or holds no strategies; the message names it and says why."""


class SamplingFile:
    """Reads the file, and reads it again in a thread of its own."""

    def __init__(
        self,
        path: Path,
        put: Callable[[object], object],
        *,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """`put` stores a document, and raises InvalidPayload or StoreError.

        `wait` sleeps for so many seconds and returns whether to end; by default it returns True after `stop`.
        """
        self._path = path
        self._put = put
        self._seen: bytes | None = None
        self._complaint = ""
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._thread = threading.Thread(target=self.run, name="sampling file", daemon=True)

    def start(self) -> None:
        """Store the file's strategies, and look for changes from then on. Raises SamplingFileError or StoreError."""
        self.look()
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def run(self) -> None:
        """Look at the file until `stop`. An error is logged once, and the strategies stored before stay valid."""
        while not self._wait(LOOK_SECONDS):
            try:
                self.look()
            except (SamplingFileError, StoreError) as error:
                if str(error) != self._complaint:
                    _logger.warning("%s; what was known before holds", error)
                self._complaint = str(error)
            else:
                self._complaint = ""

    def look(self) -> None:
        """Store the file's document if its bytes have changed since they were stored.

        Raises SamplingFileError, or StoreError; the next look then tries again.
        """
        content = self._content()
        if content == self._seen:
            return
        try:
            self._put(orjson.loads(content))
        except orjson.JSONDecodeError as error:
            raise SamplingFileError(f"SAMPLING_FILE {self._path} is not JSON: {error}") from error
        except InvalidPayload as error:
            raise SamplingFileError(f"SAMPLING_FILE {self._path}: {error}") from error
        self._seen = content

    def _content(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            reason = error.strerror or error
            raise SamplingFileError(
                f"SAMPLING_FILE {self._path} cannot be read: {reason}"
            ) from error
        if len(content) > FILE_BYTES_MAX:
            raise SamplingFileError(
                f"SAMPLING_FILE {self._path} may have {FILE_BYTES_MAX:,} bytes, and has more"
            )
        return content
