"""JSON of others, taken apart before it is built: an object of Python's is many times larger than its text.

    body ──check_structure──▶ few enough values ──array_of──▶ the text of each element ──document_of──▶ dict, list, …

A body is never built whole. Its envelope is read down to the texts of its spans, which are built one at a time; what
nobody asks for is skipped without being built. What builds at once is bounded by `JSON_PART_BYTES_MAX`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge
from chalicelib.receive.pieces import piece_done

if TYPE_CHECKING:
    from collections.abc import Iterator

Raw = msgspec.Raw
"""The text of a value, as a view of the body that it is in."""

_COUNTED = b",{["
"""Every value but the first of an array or object follows a comma; every array and object has its bracket."""
_TO_COMMAS = bytes.maketrans(b"{[", b",,")
_NOT_COUNTED = bytes(set(range(256)) - set(b'"' + _COUNTED))
_STEP_BYTES = 65_536
_SURROGATES = (rb"\ud", rb"\uD")
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE_SURROGATE = re.compile(rb"%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, _HIGH, _LOW))
_NO_JSON = b"\0"
_array = msgspec.json.Decoder(list[Raw])

Shape = TypeVar("Shape", bound=msgspec.Struct)


class NotThisShape(Exception):
    """The value is JSON of another type than was asked for."""


def check_structure(body: bytes) -> None:
    """Refuse a body that is longer, or has more values, than a request may have, before any of them is built.

    Raises PayloadTooLarge for more than `JSON_BYTES_MAX`, or `JSON_STRUCTURE_MAX` commas, braces and brackets outside
    of strings.
    """
    if len(body) > config.JSON_BYTES_MAX:
        raise PayloadTooLarge(
            f"the JSON has {len(body)} bytes, the limit is {config.JSON_BYTES_MAX}: send smaller batches, or protobuf"
        )
    piece_done(len(body))
    if _has_more_marks(body, config.JSON_STRUCTURE_MAX):
        raise PayloadTooLarge(
            f"the body has more than {config.JSON_STRUCTURE_MAX} values: send smaller batches"
        )


def without_lone_surrogates(body: bytes) -> bytes:
    """The same body with U+FFFD for each half of a surrogate pair that is escaped alone, as Go's decoder has it.

    Browsers write one where a text was cut within an emoji. It is no character, so parsers refuse the whole body.
    """
    if not any(mark in body for mark in _SURROGATES) or _NO_JSON in body:
        return body
    # An escaped backslash may have `ud800` behind it; nothing in JSON is a byte 0.
    body = body.replace(rb"\\", 2 * _NO_JSON)
    return _LONE_SURROGATE.sub(rb"\\ufffd", body).replace(2 * _NO_JSON, rb"\\")


def _has_more_marks(text: bytes, marks_max: int) -> bool:
    """Whether more marks than that stand outside of strings; those in strings are told apart only if it matters."""
    if sum(text.count(mark) for mark in _COUNTED) <= marks_max:
        return False
    found = 0
    for marks in _marks(text):
        found += marks
        if found > marks_max:
            return True
    return False


def _marks(body: bytes) -> Iterator[int]:
    """How many marks stand outside of strings, step by step."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # What is left are marks and quotes. Two quotes side by side have nothing to count between them, whether they are
    # one string, or the end of one and the beginning of the next.
    body = body.translate(_TO_COMMAS, _NOT_COUNTED).replace(b'""', b"")
    is_in_string = 0
    for start in range(0, len(body), _STEP_BYTES):
        piece_done(_STEP_BYTES)
        pieces = body[start : start + _STEP_BYTES].split(b'"')
        yield sum(map(len, pieces[is_in_string::2]))
        is_in_string ^= (len(pieces) - 1) & 1


def array_of(text: bytes | Raw) -> list[Raw]:
    """The texts of an array's elements. Raises NotThisShape, InvalidPayload."""
    found: list[Raw] = _read(_array, text)
    return found


def shape_of(decoder: msgspec.json.Decoder[Shape], text: bytes | Raw) -> Shape:
    """The members of an object that a struct of texts names; others are skipped.

    Raises NotThisShape, InvalidPayload.
    """
    found: Shape = _read(decoder, text)
    return found


def _read(decoder: msgspec.json.Decoder[Any], text: bytes | Raw) -> Any:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise NotThisShape from error
    except RecursionError as error:
        raise InvalidPayload("the body is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidPayload("the body is not JSON") from error


class Documents:
    """The elements of an array: each is built when its turn comes, at every turn, and not kept."""

    def __init__(self, texts: list[Raw]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[Any]:
        """None stands for what cannot be built."""
        for text in self._texts:
            try:
                document = document_of(text)
            except InvalidPayload:
                document = None
            yield document


def document_of(text: Raw) -> Any:
    """The value that a text is.

    Raises InvalidPayload if the text is no JSON, too deep, longer than `JSON_PART_BYTES_MAX`, or has more values than
    `JSON_PART_STRUCTURE_MAX`; OutOfTime.
    """
    view = memoryview(text)
    piece_done(len(view))
    if len(view) > config.JSON_PART_BYTES_MAX:
        raise InvalidPayload(
            f"has {len(view)} bytes of JSON, the limit is {config.JSON_PART_BYTES_MAX}"
        )
    marks_max = config.JSON_PART_STRUCTURE_MAX
    if len(view) > marks_max and _has_more_marks(bytes(view), marks_max):
        raise InvalidPayload(f"has more than {marks_max} values")
    try:
        return orjson.loads(view)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload("is not valid JSON, not UTF-8, or nested too deeply") from error
