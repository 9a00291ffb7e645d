"""Each dialect's questions, by method and path, as tests and benchmarks ask them without HTTP around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.http.answering import Answering
from chalicelib.http.route import resolve
from chalicelib.jaeger.routes import JAEGER as JAEGER_DIALECT
from chalicelib.native.routes import NATIVE as NATIVE_DIALECT
from chalicelib.zipkin.routes import ZIPKIN as ZIPKIN_DIALECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.http.answer import Answer
    from chalicelib.http.request import QueryRequest
    from chalicelib.http.route import Dialect

    Answers = dict[str, Callable[[QueryRequest], Answer]]


def _answers(dialect: Dialect) -> Answers:
    handlers = {f"{each.method} {each.path}": resolve(each.handler) for each in dialect.routes}
    return {name: each.answer for name, each in handlers.items() if isinstance(each, Answering)}


JAEGER, ZIPKIN, NATIVE = map(_answers, (JAEGER_DIALECT, ZIPKIN_DIALECT, NATIVE_DIALECT))
