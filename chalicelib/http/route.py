"""Routes and dialects: the table that `app.py` registers, and that the OpenAPI document is made of.

A handler is named, not imported: a cold start loads only the modules of the route that is asked for.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.http.answer import Answer
    from chalicelib.http.errors import Failure
    from chalicelib.http.request import Request
    from chalicelib.model.token import Scope

    Handler = Callable[[Request], Answer]
    Refuse = Callable[[Request, Scope, Failure], Answer]


class Route(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    """The path with its parameters in braces, such as `/api/traces/{trace_id}`."""
    scope: Scope | None
    """What a token must be good for; None: the route is for everyone."""
    handler: str
    """`module:name` in chalicelib of a `Handler`; it is imported with the first request."""
    summary: str = ""
    """One sentence for the OpenAPI document; a HEAD has none, and does not stand there."""


class Dialect(NamedTuple):
    """One protocol: all that changes because its specification changes lies in one folder."""

    name: str
    routes: Sequence[Route]
    refuse: str
    """`module:name` of a `Refuse`: the form of a refusal, such as a 401."""
    openapi: str
    """`module` with `operation(route)`, and `SCHEMAS` by name, for the OpenAPI document."""


@cache
def resolve(name: str) -> Any:
    """The object that `module:name` names within chalicelib. Raises ImportError or AttributeError if there is none."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"chalicelib.{module}"), attribute)
