"""Documents whose large parts are made piece by piece, while the answer is written: none is ever whole in memory.

{"spans": Array(span by span)} ──parts──▶ b'{"spans":[{…},{…}', b',{…},{…}', …, b']}'
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chalicelib.model.span import Span


PART_BYTES = 8_192
"""Some dozen spans, which are made in a millisecond: then the clock is looked at."""
_WHOLE_SPANS_MAX, _WHOLE_BYTES_MAX = 128, 65_536
"""A single span may have six times as many bytes, and is never divided."""


class Array:
    """A JSON array whose elements are made one by one, once. Each may be streamed itself, or be JSON as bytes."""

    def __init__(self, elements: Iterable[Any]) -> None:
        self.elements = elements


class Object:
    """A JSON object whose values may be as elements are; a value may depend on what was streamed before it."""

    def __init__(self, fields: Iterable[tuple[str, Any]]) -> None:
        self.fields = fields


class Form(NamedTuple):
    """What the arrays and objects of a document are made as."""

    array: Callable[[Iterable[Any]], Any]
    object: Callable[[Iterable[tuple[str, Any]]], Any]


STREAMED = Form(Array, Object)
WHOLE = Form(list, dict)


def form_of(spans: Sequence[Span]) -> Form:
    """How spans are shown: at once if they are few and small, for streaming those takes a tenth longer."""
    if len(spans) > _WHOLE_SPANS_MAX:
        return STREAMED
    size = sum(len(span.raw) + len(span.scope.resource_head) for span in spans)
    return WHOLE if size <= _WHOLE_BYTES_MAX else STREAMED


def parts(document: Any) -> Iterator[bytes]:
    """The JSON of a document in parts of PART_BYTES and the value that exceeds them; the last may be shorter."""
    if not isinstance(document, Array | Object):
        yield orjson.dumps(document)
        return
    waiting = bytearray()
    for _ in _full(document, waiting):
        yield bytes(waiting)
        waiting.clear()
    yield bytes(waiting)


def _full(document: Array | Object, waiting: bytearray) -> Iterator[None]:
    """Appends a document to what is waiting, and stops whenever that is enough for a part.

    To pass each value on through the generators of all that it is nested in takes longer than to write it.
    """
    members: Iterable[tuple[str | None, Any]]
    if isinstance(document, Array):
        before, closing, members = b"[", b"]", zip(repeat(None), document.elements)
    else:
        before, closing, members = b"{", b"}", document.fields
    for name, value in members:
        waiting += before
        before = b","
        if name is not None:
            waiting += orjson.dumps(name) + b":"
        if isinstance(value, bytes):
            waiting += value
        elif isinstance(value, Array | Object):
            yield from _full(value, waiting)
        else:
            waiting += orjson.dumps(value)
        if len(waiting) >= PART_BYTES:
            yield
    waiting += closing if before == b"," else before + closing


def plain(document: Any) -> Any:
    """The same document with lists and dicts in place of what is streamed."""
    if isinstance(document, Array):
        return [plain(element) for element in document.elements]
    if isinstance(document, Object):
        return {name: plain(value) for name, value in document.fields}
    return orjson.loads(document) if isinstance(document, bytes) else document
