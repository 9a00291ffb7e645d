"""Results of a measurement as JSON in bench/results, with the commit and the machine that they are of."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.timing import reference_loop_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")


def result_of(found: Mapping[str, Any], reference_seconds: float) -> dict[str, Any]:
    """Return the JSON object of a measurement that has just ended.

    `found` holds its figures. `reference_seconds` is what the reference loop took before it; the loop runs once more.
    """
    return {
        **heading(),
        "machine": {"python": platform.python_version(), "cpu": platform.machine()},
        "reference_loop_seconds": [reference_seconds, reference_loop_seconds()],
        **found,
    }


def heading() -> dict[str, str]:
    """Return the commit that is checked out, and the time in UTC to the second."""
    now = datetime.datetime.now(tz=datetime.UTC)
    return {"commit": _commit_id(), "date": now.isoformat(timespec="seconds")}


def write(result: Mapping[str, Any], prefix: str = "") -> None:
    """Write a result to bench/results; the file is named by the prefix and the day of the result."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{prefix}{result['date'][:10]}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _commit_id() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    return done.stdout.strip() or "unknown"
