"""Lambda's limits of a function, read from the file that deploys it, and the context of an invocation."""

from __future__ import annotations

import json
import time
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parents[1]
REQUEST_BYTES_MAX = 6_291_556
"""Lambda's limit on the bytes of an event and of an answer; its error messages name this number."""


class LambdaContext:
    """The second argument of every Lambda function; the names are Lambda's."""

    def __init__(
        self,
        function_name: str,
        timeout_seconds: float,
        memory_megabytes: int,
        go_on: Callable[[], bool] | None = None,
    ) -> None:
        """`go_on` is called whenever the remaining time is asked for.

        It may give way to other requests, and returns False if the client has gone.
        """
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.invoked_function_arn = (
            f"arn:aws:lambda:us-east-1:123456789012:function:{function_name}"
        )
        self.memory_limit_in_mb = str(memory_megabytes)
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = "local"
        self.identity = None
        self.client_context = None
        self._ends = time.monotonic() + timeout_seconds
        self._go_on = go_on

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining milliseconds; 0 if the client has gone. Nothing stops a function that does not ask."""
        if self._go_on is not None and not self._go_on():
            return 0
        return max(0, int((self._ends - time.monotonic()) * 1000))


def context_of(function: str, go_on: Callable[[], bool] | None = None) -> LambdaContext:
    """Return the context of a new invocation of the function that `.chalice/config.json` calls `function`."""
    limits = _functions().get(function, {})
    return LambdaContext(
        f"clew-local-{function}",
        limits.get("lambda_timeout", 60),
        limits.get("lambda_memory_size", 128),
        go_on,
    )


@cache
def _functions() -> dict[str, Any]:
    settings = json.loads((PROJECT / ".chalice" / "config.json").read_text(encoding="utf-8"))
    functions: dict[str, Any] = settings["stages"]["dev"]["lambda_functions"]
    return functions
