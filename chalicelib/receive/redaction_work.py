"""Payloads that may have secrets, looked at closely and written anew: imported once there is one.

    suspects ──within bounds──▶ decisions ──▶ spans, resources and scopes taken apart ──▶ put together without secrets

What is not looked at, for there is too much of it, is left out unseen. A payload is written once: what its masks would
make too long says nothing, or is left out too.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.attribute import string_form
from chalicelib.model.wire import field
from chalicelib.receive.pieces import piece_done
from chalicelib.receive.redaction_rules import HASH, REDACTED, TEXT_MARK
from chalicelib.receive.redaction_text import (
    COST_MIN,
    FAULT,
    TOO_MANY,
    Found,
    cost_of,
    cost_of_members,
    is_placeholder,
    redacted_text,
    replaced,
    tell_fault,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

    from chalicelib.receive.redaction_rules import KeyMatch, Rules

    _Whole = shadow.WholeSpan | shadow.WholeResource | shadow.WholeScope

TOLD_KEY = "clew.redacted"
"""The attribute that says what was found: `authorization 1, token 2`."""
_TOLD_KEY_BYTES = TOLD_KEY.encode()
_KEY_TAG, _SHORT_KEY_BYTES_MAX = b"\n", 127
"""What an attribute begins with, before its key's length; a longer key has its length in two bytes."""
_COST, _BYTES_A_COST, _COST_MAX = 150_000, 8, 500_000
"""What may be looked at closely in a request, as `cost_of` counts (about a microsecond): so much, and one more for so
many bytes, up to a bound. 8,192 spans that have a URL with a password each, or a token of 800 characters, have less."""
_TIMES_TOO_MANY = 3
"""Where there are so many times as many suspects as may be looked at, none is: to choose among them would cost more."""
_COST_OF_SMALL = 5_000
"""The cost that is allowed for a payload that is a small part of a request."""
_TIMES_WHERE_ALL = 6
"""The allowed cost is so many times as high where own rules want every attribute looked at."""
_HOLDERS, _BYTES_A_HOLDER, _HOLDERS_MAX = 2_500, 400, 18_000
"""The spans, resources and scopes of a request that are written anew, likewise."""
_HOLDERS_OF_SMALL = 100
_INNER_A_HOLDER, _ATTRIBUTES_A_HOLDER = 4, 16
"""So many events and links that must be looked through, or attributes, cost about as much as one more span."""
_GROWTH_BYTES_MAX = 4_000
"""A span, a resource or a scope may grow by so much: three of them are within what an item has above SPAN_BYTES_MAX."""
_LENGTH_BYTES_MAX = 5
"""The lengths around something that has grown may grow by so much."""


class Bounds(NamedTuple):
    """What a payload may cost."""

    cost: int
    """The cost of its suspects, as `cost_of` counts it."""
    holders: int
    """Spans, resources and scopes that are written anew."""


def bounds_of(payload_bytes: int, request_bytes: int, rules: Rules) -> Bounds:
    """A payload's share of what its request may cost: both lengths decide alone, so that a retry is decided alike."""
    request_bytes = max(payload_bytes, request_bytes)
    cost = min(_COST_MAX, _COST + request_bytes // _BYTES_A_COST)
    if rules.looks_at_all:
        cost *= _TIMES_WHERE_ALL
    holders = min(_HOLDERS_MAX, _HOLDERS + request_bytes // _BYTES_A_HOLDER)
    return Bounds(
        max(_COST_OF_SMALL, cost * payload_bytes // request_bytes),
        max(_HOLDERS_OF_SMALL, holders * payload_bytes // request_bytes),
    )


def decisions_of(suspects: Iterable[bytes], rules: Rules) -> dict[bytes, Decision]:
    """What becomes of those that have secrets. Raises OutOfTime."""
    decided = {}
    for each in suspects:
        piece_done(len(each))
        decide = _decided_text if each.startswith(TEXT_MARK) else _decided_attribute
        decision = decide(each, rules)
        if decision.rules:
            decided[each] = decision
    return decided


def decisions_within(
    cost_max: int, suspects: set[bytes], in_order: Iterable[bytes], rules: Rules
) -> dict[bytes, Decision]:
    """The same where all may cost too much: some are looked at, the others left out.

    `in_order` has all attributes and texts in the payload's order.
    """
    looked_at = _looked_at(suspects, in_order, cost_max, rules)
    unseen = suspects.difference(looked_at)
    decided = dict.fromkeys(unseen, _ATTRIBUTE_UNSEEN)
    decided.update(dict.fromkeys([each for each in unseen if each[:1] == TEXT_MARK], _TEXT_UNSEEN))
    decided.update(decisions_of(looked_at, rules))
    return decided


def cost_at_most(cost_max: int, suspects: set[bytes], rules: Rules) -> bool:
    """Whether all of them may be looked at."""
    if len(suspects) * COST_MIN > cost_max:
        return False
    return sum([_cost_of(each, rules) for each in suspects]) <= cost_max


def _looked_at(
    suspects: set[bytes], in_order: Iterable[bytes], cost_max: int, rules: Rules
) -> Sequence[bytes]:
    """The suspects that may be looked at closely: the shortest, of equal ones the first in the payload."""
    if len(suspects) * COST_MIN > _TIMES_TOO_MANY * cost_max:
        return ()
    unique = dict.fromkeys([each for each in in_order if each in suspects])
    shortest = sorted(unique, key=len)
    sums = accumulate(_cost_of(each, rules) for each in shortest)
    return shortest[: sum(1 for _ in takewhile(cost_max.__ge__, sums))]


def _cost_of(each: bytes, rules: Rules) -> int:
    """The cost as `cost_of` counts it; what is a secret by its key costs no more for what it looks like."""
    key = _key_of(each)
    try:
        is_secret = bool(key) and rules.of_key(key) is not None
    except Exception:
        # It is told where the attribute is decided.
        is_secret = False
    return cost_of_members(each) if is_secret else cost_of(each)


def _key_of(each: bytes) -> str:
    """The key of an attribute in canonical form, if it is short: else nothing."""
    if each[:1] != _KEY_TAG or each[1] > _SHORT_KEY_BYTES_MAX:
        return ""
    return each[2 : 2 + each[1]].decode(errors="replace")


class Decision(NamedTuple):
    """What becomes of an attribute or a text."""

    new: bytes | None
    """The new bytes; None if it is left out."""
    rules: Sequence[str]
    """The rule of each secret in it; empty: it is clean."""


_TEXT_UNSEEN = Decision(REDACTED.encode(), (TOO_MANY,))
_ATTRIBUTE_UNSEEN = Decision(None, (TOO_MANY,))


def _decided_text(marked: bytes, rules: Rules) -> Decision:
    found = Found()
    new = redacted_text(marked[1:].decode(), rules, found)
    return Decision(new.encode(), found.rules)


def _decided_attribute(raw: bytes, rules: Rules) -> Decision:
    found = Found()
    attribute = KeyValue.FromString(raw)
    try:
        _redact_attribute(attribute, rules, found)
    except Exception as error:
        # A fault of ours costs an attribute, neither its span nor its secret.
        tell_fault(error)
        return Decision(None, (FAULT,))
    if not found.rules:
        return Decision(raw, ())
    if found.is_dropped:
        return Decision(None, found.rules)
    return Decision(attribute.SerializeToString(deterministic=True), found.rules)


class _Level(NamedTuple):
    """Resources or scopes: each a holder of attributes, children and a schema URL, in fields 1 to 3."""

    message: Any
    own: str
    """The name of field 1, of which there may be pieces."""
    whole: Any
    """What it is."""
    children: str
    """The name of field 2."""
    texts: Any
    """All texts and attributes of a child."""


_RESOURCE_LEVEL = _Level(
    shadow.ResourceSpans, "resource", shadow.WholeResource, "scope_spans", shadow.ScopeTexts
)
_SCOPE_LEVEL = _Level(shadow.ScopeSpans, "scope", shadow.WholeScope, "spans", shadow.SpanTexts)


class Work:
    """One payload, written anew."""

    def __init__(self, secret: dict[bytes, Decision], holders: int, room: int) -> None:
        """`secret`: attributes, and texts with their mark. `room`: bytes by which the payload may grow."""
        self.counts: Counter[str] = Counter()
        self._secret = secret
        self._holders_left = holders
        self._room = room

    def written(self, payload: bytes) -> bytes:
        """The payload without what is secret in it."""
        parts = []
        for raw in shadow.TracesData.FromString(payload).resource_spans:
            merged = shadow.ResourceTexts.FromString(raw)
            if (
                self._has(merged.resource.attributes)
                or self._has_text(merged.schema_url)
                or self._has_in_scope(merged.scope_spans)
            ):
                raw = self._group(raw, _RESOURCE_LEVEL)
            parts.append(field(1, raw))
        return b"".join(parts)

    def _group(self, raw: bytes, level: _Level) -> bytes:
        """A ResourceSpans or ScopeSpans."""
        group = level.message.FromString(raw)
        children = getattr(group, level.children)
        if not children:
            # Nothing is said of nothing.
            return b""
        self._room -= _LENGTH_BYTES_MAX
        parts = []
        if own := getattr(group, level.own):
            whole = b"".join(own)
            parts.append(field(1, self._holder(level.whole.FromString(whole), whole)))
        for child in children:
            texts = level.texts.FromString(child)
            if level is _RESOURCE_LEVEL:
                if self._has_in_scope(texts):
                    child = self._group(child, _SCOPE_LEVEL)
            elif self._has_in_span(texts):
                child = self._span(texts, child)
            parts.append(field(2, child))
        if group.schema_url:
            parts.append(field(3, self._url(group.schema_url.encode())))
        return b"".join(parts)

    def _url(self, url: bytes) -> bytes:
        new = self._text(url, [], is_tight=False)
        if len(new) - len(url) > self._room:
            new = self._text(url, [], is_tight=True)
        self._room -= max(0, len(new) - len(url))
        return new

    def _span(self, texts: shadow.SpanTexts, raw: bytes) -> bytes:
        piece_done(len(raw))
        span = shadow.WholeSpan.FromString(raw)
        inner = len(span.attributes) // _ATTRIBUTES_A_HOLDER
        has_inner = self._has_in_events(texts.events) or self._has_in_links(texts.links)
        if has_inner:
            inner += (len(span.events) + len(span.links)) // _INNER_A_HOLDER
            of_inner = len(texts.events.attributes) + len(texts.links.attributes)
            inner += of_inner // _ATTRIBUTES_A_HOLDER
        self._holders_left -= inner
        return self._holder(span, raw, has_inner=has_inner)

    def _holder(self, message: _Whole, raw: bytes, *, has_inner: bool = False) -> bytes:
        """A span, resource or scope without its secrets; what was found is said in an attribute of its own.

        `has_inner` says whether events or links of a span have some.
        """
        if self._holders_left <= 0:
            return self._bare(message, len(raw))
        self._holders_left -= 1
        limit = self._limit(len(raw))
        found = self._redact(message, has_inner=has_inner, is_tight=False)
        silent = message.SerializeToString(deterministic=True)
        if not found:
            # What a later field of the same number hides is in the bytes all the same, but not in these.
            return silent
        told = _told(tuple(sorted(Counter(found).items())))
        if len(silent) > limit:
            message = type(message).FromString(raw)
            self._redact(message, has_inner=has_inner, is_tight=True)
            silent = message.SerializeToString(deterministic=True)
        new = _with_told(message, told, silent, limit)
        self._grow(len(new) - len(raw))
        self.counts.update(found)
        return new

    def _limit(self, raw_bytes: int) -> int:
        """How long what had so many bytes may become."""
        room = self._room - _LENGTH_BYTES_MAX
        return raw_bytes + max(0, min(room, _GROWTH_BYTES_MAX))

    def _grow(self, more_bytes: int) -> None:
        self._room -= more_bytes + (_LENGTH_BYTES_MAX if more_bytes > 0 else 0)

    def _redact(self, message: _Whole, *, has_inner: bool, is_tight: bool) -> list[str]:
        """Take the secrets out, in place; return the rule of each. If `is_tight` nothing becomes longer."""
        found: list[str] = []
        if isinstance(message, shadow.WholeScope):
            message.name = self._text(message.name, found, is_tight=is_tight)
            message.version = self._text(message.version, found, is_tight=is_tight)
        elif isinstance(message, shadow.WholeSpan):
            self._redact_texts_of_span(message, found, is_tight=is_tight)
            if has_inner:
                self._redact_inner(message, found, is_tight=is_tight)
        self._redact_attributes(message.attributes, found, is_tight=is_tight)
        return found

    def _redact_texts_of_span(
        self, span: shadow.WholeSpan, found: list[str], *, is_tight: bool
    ) -> None:
        span.name = self._text(span.name, found, is_tight=is_tight)
        if span.trace_state:
            span.trace_state = self._text(span.trace_state, found, is_tight=is_tight)
        if span.HasField("status") and span.status.message:
            span.status.message = self._text(span.status.message, found, is_tight=is_tight)

    def _redact_inner(self, span: shadow.WholeSpan, found: list[str], *, is_tight: bool) -> None:
        """Events and links, by the names of their fields of text."""
        for of_span, whole, name in (
            (span.events, shadow.WholeEvent, "name"),
            (span.links, shadow.WholeLink, "trace_state"),
        ):
            for place, raw in enumerate(of_span):
                inner = whole.FromString(raw)
                setattr(inner, name, self._text(getattr(inner, name), found, is_tight=is_tight))
                self._redact_attributes(inner.attributes, found, is_tight=is_tight)
                of_span[place] = inner.SerializeToString(deterministic=True)

    def _redact_attributes(self, attributes: Any, found: list[str], *, is_tight: bool) -> None:
        if not self._has(attributes):
            return
        secret = self._secret
        kept = []
        for each in attributes[:]:
            decision = secret.get(each)
            if decision is None:
                kept.append(each)
                continue
            found += decision.rules
            new = decision.new
            if new is not None and not (is_tight and len(new) > len(each)):
                kept.append(new)
        del attributes[:]
        attributes.extend(kept)

    def _text(self, text: bytes, found: list[str], *, is_tight: bool) -> bytes:
        decision = self._secret.get(TEXT_MARK + text)
        if decision is None:
            return text
        found += decision.rules
        assert decision.new is not None, "a text stays, whatever is left of it"
        if is_tight and len(decision.new) > len(text):
            # A cut text might look as if it had a secret again; a cut mask does not.
            return REDACTED.encode()[: len(text)]
        return decision.new

    def _bare(self, message: _Whole, raw_bytes: int) -> bytes:
        """One of more spans, resources or scopes than are written anew: its ids, kind, times and status alone."""
        self.counts[TOO_MANY] += 1
        if isinstance(message, shadow.WholeSpan):
            for name in ("trace_state", "attributes", "events", "links"):
                message.ClearField(name)
            message.name = REDACTED.encode()[: len(message.name)]
            if message.HasField("status"):
                message.status.message = b""
        else:
            message.Clear()
        silent = message.SerializeToString(deterministic=True)
        new = _with_told(message, _told(((TOO_MANY, 1),)), silent, self._limit(raw_bytes))
        self._grow(len(new) - raw_bytes)
        return new

    def _has(self, attributes: Sequence[bytes]) -> bool:
        # A slice is made faster than it is iterated over.
        return not self._secret.keys().isdisjoint(attributes[:])

    def _has_text(self, texts: Iterable[bytes]) -> bool:
        return any(TEXT_MARK + text in self._secret for text in texts)

    def _has_in_scope(self, merged: shadow.ScopeTexts) -> bool:
        scope = merged.scope
        return (
            self._has(scope.attributes)
            or self._has_text((*scope.name, *scope.version, *merged.schema_url))
            or self._has_in_span(merged.spans)
        )

    def _has_in_span(self, merged: shadow.SpanTexts) -> bool:
        """Whether one span, or several that are merged, have any."""
        return (
            self._has(merged.attributes)
            or self._has_text((*merged.name, *merged.trace_state))
            or self._has_in_events(merged.events)
            or self._has_in_links(merged.links)
            or self._has_text(merged.status.message)
        )

    def _has_in_events(self, merged: shadow.EventTexts) -> bool:
        return self._has(merged.attributes) or self._has_text(merged.name)

    def _has_in_links(self, merged: shadow.LinkTexts) -> bool:
        return self._has(merged.attributes) or self._has_text(merged.trace_state)


def _with_told(message: _Whole, told: bytes, silent: bytes, bytes_max: int) -> bytes:
    """A message with an attribute that says what was found; `silent`, its bytes without, where that is too long."""
    attributes = message.attributes if _TOLD_KEY_BYTES in silent else ()
    before = [each for each in attributes if _TOLD_KEY_BYTES in each and _is_told(each)]
    if len(silent) + len(told) + _LENGTH_BYTES_MAX - sum(map(len, before)) > bytes_max:
        return silent
    for each in before:
        # One of a Clew or a sender before, which knew less, gives way.
        message.attributes.remove(each)
    message.attributes.append(told)
    with_told: bytes = message.SerializeToString(deterministic=True)
    return with_told


def _is_told(attribute: bytes) -> bool:
    return bool(KeyValue.FromString(attribute).key == TOLD_KEY)


@lru_cache(1_024)
def _told(counts: tuple[tuple[str, int], ...]) -> bytes:
    """The attribute that says what was found."""
    text = ", ".join(f"{rule} {count}" for rule, count in counts)
    told = KeyValue(key=TOLD_KEY, value=AnyValue(string_value=text))
    return told.SerializeToString(deterministic=True)


def _redact_attribute(attribute: KeyValue, rules: Rules, found: Found) -> None:
    """Take the secrets out of an attribute, in place."""
    match = rules.of_key(attribute.key)
    key = attribute.key
    if key and key not in rules.clean_keys:
        attribute.key = redacted_text(key, rules, found)
        if attribute.key == key:
            rules.remember_clean(key)
    if match:
        _close(attribute.value, match, rules, found)
    else:
        _look_into(attribute.value, rules, found)


def _close(value: AnyValue, match: KeyMatch, rules: Rules, found: Found) -> None:
    """Replace a value that is a secret, whatever it looks like. Neither true, 0.5 nor nothing is one."""
    if not _holds_secret(value):
        return
    is_array = value.WhichOneof("value") == "array_value"
    of = value.array_value.values[0] if is_array and len(value.array_value.values) == 1 else value
    new = replaced(string_form(of) if match.action == HASH else "", match, rules, found)
    value.Clear()
    if is_array:
        value.array_value.values.add().string_value = new
    else:
        value.string_value = new


def _holds_secret(value: AnyValue) -> bool:
    match value.WhichOneof("value"):
        case "string_value":
            return not is_placeholder(value.string_value)
        case "int_value":
            return True
        case "bytes_value":
            return bool(value.bytes_value)
        case "array_value":
            return any(map(_holds_secret, value.array_value.values))
        case "kvlist_value":
            return any(_holds_secret(each.value) for each in value.kvlist_value.values)
    return False


def _look_into(value: AnyValue, rules: Rules, found: Found) -> None:
    """Replace the secrets in a value."""
    match value.WhichOneof("value"):
        case "string_value":
            old = value.string_value
            new = redacted_text(old, rules, found)
            if new != old:
                value.string_value = new
        case "bytes_value":
            # Neither base64 nor any other form is undone, but text as bytes is text.
            text = value.bytes_value.decode(errors="surrogateescape")
            new = redacted_text(text, rules, found)
            if new != text:
                value.bytes_value = new.encode(errors="surrogateescape")
        case "array_value":
            _look_into_array(value.array_value.values, rules, found)
        case "kvlist_value":
            _look_into_map(value.kvlist_value, rules, found)


_OPTION = re.compile(r"--?[A-Za-z][\w.\-]{0,100}")


def _look_into_array(values: Sequence[AnyValue], rules: Rules, found: Found) -> None:
    option: KeyMatch | None = None
    for value in values:
        if option is not None:
            # A program's arguments: what follows --password.
            _close(value, option, rules, found)
            option = None
            continue
        if value.WhichOneof("value") == "string_value" and _OPTION.fullmatch(value.string_value):
            option = rules.of_key(value.string_value)
        _look_into(value, rules, found)


def _look_into_map(members: KeyValueList, rules: Rules, found: Found) -> None:
    dropped = []
    for place, member in enumerate(members.values):
        in_member = Found()
        _redact_attribute(member, rules, in_member)
        found.rules += in_member.rules
        if in_member.is_dropped:
            dropped.append(place)
    for place in reversed(dropped):
        del members.values[place]
