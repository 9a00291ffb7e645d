"""SAMPLING_FILE: sampling strategies from a file on the laptop, put where `PUT /v1/sampling` puts them.

    file ──read at the start, and when its bytes change──▶ checked ──▶ table `statistics` ──▶ /sampling

Whoever spoke last is heard: the file speaks at each start and at each change, `PUT /v1/sampling` in between. The form
is that of Jaeger's strategies file (jaegertracing.io, Sampling, "File-based Sampling Configuration"): JSON, snake case.
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
"""Between looks: somebody edits the file and waits; clients ask once a minute anyway."""
FILE_BYTES_MAX = 1_000_000
"""Three times what may be stored, for spaces and line ends."""


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

        `wait` sleeps for as many seconds and says whether to end; without it, until `stop`.
        """
        self._path = path
        self._put = put
        self._seen: bytes | None = None
        self._complaint = ""
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._thread = threading.Thread(target=self.run, name="sampling file", daemon=True)

    def start(self) -> None:
        """Store what the file says, and look for changes from then on. Raises SamplingFileError or StoreError."""
        self.look()
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def run(self) -> None:
        """Look until told to end. What is wrong is said once; until it is mended, what was known holds."""
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
        """Store the file's document if its bytes are others than those stored last.

        Raises SamplingFileError, or StoreError: then the next look stores it.
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
