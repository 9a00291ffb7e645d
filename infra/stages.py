"""The stages of `.chalice/config.json`, and Chalice's record of what it has deployed."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).parents[1]
INGEST_FUNCTION = "api_handler"
"""Chalice's name of the function that takes spans."""


class Refused(Exception):
    """The command cannot be carried out; the message says why, and what to do."""


class Guards(NamedTuple):
    """The limits that bound the cost of a stage, from `guards` in its block. Chalice has no such settings."""

    requests_per_second_max: int = 500
    """Requests a second of all clients together; more get 503. A Collector with 1,000 spans/s needs one or two."""
    requests_burst_max: int = 1_000
    log_retention_days: int = 30
    """A retention that CloudWatch Logs has, such as 1, 7, 30, 90 or 365 days."""
    budget_monthly_usd: int = 0
    """The monthly budget of the account in dollars; 0 means no budget."""
    budget_email: str = ""


class Stage(NamedTuple):
    name: str
    prefix: str
    """CLEW_PREFIX of the functions: the first part of the name of every queue and table."""
    gateway_stage: str
    """The last part of the base URL."""
    guards: Guards = Guards()
    environment: Mapping[str, str] = MappingProxyType({})
    """The settings of the function that takes spans."""


def stage_named(name: str, project: Path = PROJECT) -> Stage:
    """Return a configured stage by its name. Raises Refused if there is none."""
    configuration = json.loads((project / ".chalice" / "config.json").read_text(encoding="utf-8"))
    stages = configuration["stages"]
    if name not in stages:
        known = ", ".join(sorted(stages))
        raise Refused(f"there is no stage {name!r} in .chalice/config.json, which has: {known}")
    configured = stages[name]
    prefix = configured["environment_variables"]["CLEW_PREFIX"]
    guards = configured.get("guards", {})
    if unknown := set(guards) - set(Guards._fields):
        raise Refused(f"stage {name} has unknown guards: {', '.join(sorted(unknown))}")
    environment = {
        **configuration.get("environment_variables", {}),
        **configured["environment_variables"],
        **configured.get("lambda_functions", {})
        .get(INGEST_FUNCTION, {})
        .get("environment_variables", {}),
    }
    return Stage(
        name=name,
        prefix=prefix,
        gateway_stage=configured["api_gateway_stage"],
        guards=Guards(**guards),
        environment=environment,
    )


def deployed_api_id(stage: Stage, project: Path = PROJECT) -> str | None:
    """Return the id of the REST API that `chalice deploy` made for a stage from this checkout; None if it made none."""
    for resource in _deployed(stage, project):
        if resource["resource_type"] == "rest_api":
            api_id: str = resource["rest_api_id"]
            return api_id
    return None


def _deployed(stage: Stage, project: Path) -> list[dict[str, Any]]:
    remembered = project / ".chalice" / "deployed" / f"{stage.name}.json"
    if not remembered.exists():
        return []
    resources: list[dict[str, Any]] = json.loads(remembered.read_text(encoding="utf-8"))[
        "resources"
    ]
    return resources
