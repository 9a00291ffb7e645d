"""Attributes: OTLP KeyValue messages, their string form, and the hash by which the search index knows them.

A search compares values by their string form, so that `http.response.status_code=500` finds the integer and the
string alike. The index therefore hashes key and string form, not the wire bytes.
"""

from __future__ import annotations

import base64
import math
import re
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from chalicelib.model.wire import NO_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENT_KEY = b"event"
NO_HASH = 1 << 16
"""The hash of NO_MESSAGE, which stands between the attributes of spans: it is more than any hash."""
_CACHED_HASHES_MAX = 200_000
"""About 40 MB of keys at 100 bytes an attribute; then the cache starts anew."""
_CACHED_BYTES_MAX = 1_024
"""Longer ones (statements, stack traces) are rarely the same, and would fill the memory of a function."""

_DOUBLE = re.compile(
    r"[+-]?(?:inf|infinity|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.ASCII | re.IGNORECASE
)
_DOUBLE_CHARACTERS_MAX = 400
"""The largest double has 309 digits."""


def plain_value(value: AnyValue) -> Any:
    """The Python value of an AnyValue: str, bool, int, float, bytes, list, dict, or None where it is empty."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return value.bytes_value
        case "array_value":
            return [plain_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: plain_value(item.value) for item in value.kvlist_value.values}
    return None


def string_form(value: AnyValue) -> str:
    """The text that a search compares: JSON for arrays and maps, base64 for bytes, `true`, `0.5`, `""` for empty."""
    plain = plain_value(value)
    if isinstance(plain, str):
        return plain
    if plain is None:
        return ""
    text = _scalar_text(plain)
    if text is not None:
        return text
    return orjson.dumps(_json_value(plain), option=orjson.OPT_SORT_KEYS).decode()


def _scalar_text(plain: object) -> str | None:
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, int):
        return str(plain)
    if isinstance(plain, float):
        return double_text(plain)
    if isinstance(plain, bytes):
        return base64.b64encode(plain).decode()
    return None


def double_text(value: float) -> str:
    """The text of a double as protobuf's JSON writes it; a whole number lacks its `.0`, as people type it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value).removesuffix(".0")


def double_spelling(text: str) -> str | None:
    """The string form of the double that this text spells in another way (`nan`, `+Inf`, `1e16`); None for any other.

    A search for such a text asks for that double, too. Texts and integers are found by their own form alone.
    """
    if len(text) > _DOUBLE_CHARACTERS_MAX or not _DOUBLE.fullmatch(text):
        return None
    value = float(text)
    # Digits that only no double can hold are not an infinity.
    is_too_large = math.isinf(value) and text[-1].isdecimal()
    form = double_text(value)
    return None if is_too_large or form == text else form


def has_double(attributes: Iterable[bytes], key: bytes, text: bytes) -> bool:
    """Whether one of these attributes (KeyValue wire bytes) is a double of this key and string form."""
    return any(
        key_and_text(raw) == (key, text) and KeyValue.FromString(raw).value.HasField("double_value")
        for raw in attributes
    )


def _json_value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_json_value(item) for item in plain]
    if isinstance(plain, dict):
        return {key: _json_value(item) for key, item in plain.items()}
    if isinstance(plain, float) and not math.isfinite(plain):
        return double_text(plain)
    if isinstance(plain, bytes):
        return _scalar_text(plain)
    if isinstance(plain, int) and not isinstance(plain, bool):
        return plain if -(2**63) <= plain < 2**64 else str(plain)
    return plain


def key_and_text(raw: bytes) -> tuple[bytes, bytes]:
    """Key and string form, in UTF-8, of one KeyValue's wire bytes.

    The form that every SDK writes for a short string (key, then value, one-byte lengths) is cut out of the bytes;
    any other is parsed.
    """
    size = len(raw)
    if 6 <= size < 132 and raw[0] == 0x0A and raw[1] < 128:
        value = raw[1] + 2
        if (
            value + 4 <= size
            and raw[value] == 0x12
            and raw[value + 1] == size - value - 2
            and raw[value + 2] == 0x0A
            and raw[value + 3] == size - value - 4
        ):
            return raw[2:value], raw[value + 4 :]
    attribute = KeyValue.FromString(raw)
    return attribute.key.encode(), string_form(attribute.value).encode()


def key_of(raw: bytes) -> bytes:
    """The key, in UTF-8, of one KeyValue's wire bytes.

    It is cut out of the bytes where it comes first, in less than 128, and one value of less than 16 KB is all the rest.
    """
    size = len(raw)
    if size > 4 and raw[0] == 0x0A and raw[1] < 128:
        tag = raw[1] + 2
        content = tag + 2
        if content < size and raw[tag] == 0x12:
            length = raw[tag + 1]
            if length > 127 >= raw[content]:
                length += (raw[content] << 7) - 128
                content += 1
            if length == size - content:
                return raw[2:tag]
    return KeyValue.FromString(raw).key.encode()


def attribute_hash(key: bytes, text: bytes) -> int:
    """The 16-bit index hash of an attribute's key and string form.

    A search row with 100 attributes lets a foreign one pass once in 650 times; the spans themselves decide.
    """
    return crc32(text, crc32(key + b"\0")) & 0xFFFF


def link_hash(trace_id: bytes) -> int:
    """The 16-bit index hash of a link to `trace_id`, computed as for an attribute with the key b"\\xff".

    That key is no valid UTF-8, so that it cannot collide with the key of a real attribute.
    """
    return attribute_hash(b"\xff", trace_id)


def event_hash(name: str) -> int:
    """The index hash of an event's name, computed as for the attribute `event`, which Jaeger's logs call it."""
    return attribute_hash(EVENT_KEY, name.encode())


class AttributeHashes(dict[bytes, int]):
    """KeyValue wire bytes → attribute_hash: computed once for each distinct attribute, unless it is long.

    NO_MESSAGE → NO_HASH.
    """

    def __missing__(self, raw: bytes) -> int:
        found = NO_HASH if raw == NO_MESSAGE else attribute_hash(*key_and_text(raw))
        if len(raw) <= _CACHED_BYTES_MAX:
            if len(self) >= _CACHED_HASHES_MAX:
                self.clear()
            self[raw] = found
        return found


class WantedAttributes(dict[bytes, bytes | None]):
    """KeyValue wire bytes → what is `reduced` of them where the key is wanted, else None; remembered unless long."""

    def __init__(self, wanted_keys: frozenset[bytes]) -> None:
        super().__init__()
        self._wanted_keys = wanted_keys

    def __missing__(self, raw: bytes) -> bytes | None:
        found = self.reduced(raw) if key_of(raw) in self._wanted_keys else None
        if len(raw) <= _CACHED_BYTES_MAX:
            if len(self) >= _CACHED_HASHES_MAX:
                self.clear()
            self[raw] = found
        return found

    def reduced(self, raw: bytes) -> bytes:
        """What stands for a wanted attribute, as KeyValue wire bytes: itself."""
        return raw

    def among(self, attributes: Iterable[bytes]) -> tuple[bytes, ...]:
        """The attributes whose key is wanted, in their order."""
        return tuple(filter(None, map(self.__getitem__, attributes)))


def texts_of(attributes: Iterable[bytes]) -> dict[bytes, str]:
    """Key → string form of KeyValue wire bytes; of equal keys, the first."""
    texts: dict[bytes, str] = {}
    for key, text in map(key_and_text, attributes):
        texts.setdefault(key, text.decode())
    return texts
