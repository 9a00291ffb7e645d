"""Documents whose large parts are made piece by piece, while the answer is written: none is ever whole in memory.

{"spans": Array(span by span)} ──parts──▶ b'{"spans":[', b'{…}', b',{…}', …, b']}'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Array:
    """A JSON array whose elements are made one by one, once. An element may be streamed itself, or be JSON as bytes."""

    def __init__(self, elements: Iterable[Any]) -> None:
        self.elements = elements


class Object:
    """A JSON object some of whose values are streamed; a value may depend on what was streamed before it."""

    def __init__(self, fields: Iterable[tuple[str, Any]]) -> None:
        self.fields = fields


def parts(document: Any) -> Iterator[bytes]:
    """The JSON of a document in pieces; what is in no Array or Object is one piece."""
    if isinstance(document, Array):
        opening = b"["
        for element in document.elements:
            if isinstance(element, dict):
                yield opening + orjson.dumps(element)
            elif isinstance(element, bytes):
                yield opening + element
            else:
                yield opening
                yield from parts(element)
            opening = b","
        yield b"[]" if opening == b"[" else b"]"
    elif isinstance(document, Object):
        opening = b"{"
        for name, value in document.fields:
            yield opening + orjson.dumps(name) + b":"
            yield from parts(value)
            opening = b","
        yield b"{}" if opening == b"{" else b"}"
    else:
        yield orjson.dumps(document)


def plain(document: Any) -> Any:
    """The same document with lists and dicts in place of what is streamed."""
    if isinstance(document, Array):
        return [plain(element) for element in document.elements]
    if isinstance(document, Object):
        return {name: plain(value) for name, value in document.fields}
    return orjson.loads(document) if isinstance(document, bytes) else document
