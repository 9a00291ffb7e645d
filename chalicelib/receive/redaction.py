"""Redaction: a payload without its secrets, before anything keeps it.

    payload ──each attribute and text once──▶ new ones, folded ──a secret's name or look?──▶ suspects ──rules──▶ found?
                                                   no: the payload as it is ◀──┴────────────────────┴──▶ written anew

Texts repeat, but for their digits and ids: nearly all were seen before and are known to be harmless. So a payload is
looked at as a whole, by a few calls into compiled code, and closely only where a word, an @ or thirteen digits say that
there may be something. What is a secret say `redaction_rules.py` (by key) and `redaction_text.py` (by value). The same
payload and rules always give the same bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from chalicelib import config
from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.attribute import string_form
from chalicelib.model.wire import field
from chalicelib.receive.redaction_rules import (
    BETWEEN,
    DIGITS_OF_A_CARD,
    HASH,
    REDACTED,
    RedactionRulesError,
    folded,
    rules_from,
)
from chalicelib.receive.redaction_text import (
    COST_MIN,
    FAULT,
    TOO_MANY,
    Found,
    cost_of,
    cost_of_members,
    has_userinfo,
    is_placeholder,
    redacted_text,
    replaced,
    suspects_of,
    tell_fault,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

    from chalicelib.receive.redaction_rules import KeyMatch, Rules

    _Whole = shadow.WholeSpan | shadow.WholeResource | shadow.WholeScope

TOLD_KEY = "clew.redacted"
"""The attribute that says what was found: `authorization 1, token 2`."""
_TOLD_KEY_BYTES = TOLD_KEY.encode()
_KEY_TAG, _SHORT_KEY_BYTES_MAX = b"\n", 127
"""What an attribute begins with, before its key's length; a longer key has its length in two bytes."""
_CLEAN_MAX = 50_000
"""Attributes and texts, and words, that are remembered as clean: about 10 MB each."""
_CLEAN_BYTES_MAX = 512
"""Longer ones are rarely the same."""
_COST, _BYTES_A_COST = 340_000, 160
"""What may be looked at closely in a request, as `cost_of` counts (about a microsecond): so much, and one more for so
many bytes. 8,192 spans of 500 bytes that have a URL with a password each may have as much again."""
_COST_OF_SMALL = 5_000
"""Of a payload that is a small part of a request."""
_TIMES_WHERE_ALL = 6
"""As much again where own rules want every attribute looked at."""
_HOLDERS, _BYTES_A_HOLDER = 10_000, 2_000
"""The spans, resources and scopes of a request that are written anew: so many, and one more for so many bytes."""
_HOLDERS_OF_SMALL = 100
_INNER_A_HOLDER, _ATTRIBUTES_A_HOLDER = 4, 16
"""So many events and links that must be looked through, or attributes, cost about as much as one more span."""
_GROWTH_BYTES_MAX = 4_000
"""Of a span, a resource or a scope: three of them are within what an item has above SPAN_BYTES_MAX."""
_LENGTH_BYTES_MAX = 5
"""By which the lengths around something that has grown may grow."""


class Redaction:
    """Rules, and what was found clean by them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._harmless: set[bytes] = set()
        """That nothing says may be a secret."""
        self._clean: set[bytes] = set()
        """That something said might be a secret, and was none."""
        self._clean_folds: set[bytes] = set()

    def redacted(
        self, payload: bytes, bytes_max: int, counts: Counter[str], request_bytes: int = 0
    ) -> bytes:
        """TracesData bytes without secrets, at most `bytes_max` if the payload is: the same object if it has none.

        `request_bytes` is the length of the request that the payload is a part of; 0 if it is all. Adds to `counts`
        the values that were found, by rule.
        """
        texts = shadow.RequestTexts.FromString(payload)
        parts = set(_attributes_in(texts))
        named = _named_in(texts)
        parts.update(named)
        # The cheap test.
        if self._are_clean(parts):
            return payload
        new = parts.difference(self._harmless)
        suspects = suspects_of(new, self._rules)
        self._harmless = _with(self._harmless, new.difference(suspects))
        bounds = _bounds_of(len(payload), request_bytes)
        if self._rules.looks_at_all:
            bounds = bounds._replace(cost=_TIMES_WHERE_ALL * bounds.cost)
        secret = self._secrets_in(suspects, _attributes_in(texts), named, bounds.cost)
        if not secret:
            return payload
        work = _Work(secret, bounds.holders, bytes_max - len(payload))
        written = work.written(payload)
        counts.update(work.counts)
        return written

    def _secrets_in(
        self,
        suspects: set[bytes],
        attributes: Iterable[bytes],
        named: Sequence[bytes],
        cost_max: int,
    ) -> dict[bytes, _Decision]:
        """Those of the suspects that have secrets. All attributes and all other texts are in the payload's order."""
        if _costs_at_most(suspects, cost_max, self._rules):
            unknown = suspects.difference(self._clean)
            secret = self._decided(unknown)
            self._clean = _with(self._clean, unknown.difference(secret))
            return secret
        # What was found clean before is not asked for here: else a retry would be decided otherwise.
        looked_at = _looked_at(suspects, chain(attributes, named), cost_max, self._rules)
        unseen = suspects.difference(looked_at)
        secret = dict.fromkeys(unseen, _ATTRIBUTE_UNSEEN)
        secret.update(dict.fromkeys(unseen.intersection(named), _TEXT_UNSEEN))
        secret.update(self._decided(looked_at))
        return secret

    def _decided(self, suspects: Iterable[bytes]) -> dict[bytes, _Decision]:
        """What becomes of those that have secrets."""
        decided = {}
        for each in suspects:
            if each.startswith(_TEXT_MARK):
                decision = _decided_text(each, self._rules)
            else:
                decision = _decided_attribute(each, self._rules)
            if decision.rules:
                decided[each] = decision
        return decided

    def _are_clean(self, parts: Iterable[bytes]) -> bool:
        """Whether none of these can have a secret. Each is tried without its digits, once until it is forgotten."""
        if self._rules.looks_at_all:
            return False
        folds = folded(BETWEEN.join(parts)).split(BETWEEN)
        new = set(folds).difference(self._clean_folds)
        if not new:
            return True
        together = BETWEEN.join(new)
        if (
            any(probe in together for probe in self._rules.probes)
            or DIGITS_OF_A_CARD in together
            or (b"@" in together and any(map(has_userinfo, new)))
        ):
            return False
        if len(self._clean_folds) > _CLEAN_MAX:
            self._clean_folds = set()
        self._clean_folds.update([fold for fold in new if len(fold) <= _CLEAN_BYTES_MAX])
        return True


def _with(remembered: set[bytes], more: Iterable[bytes]) -> set[bytes]:
    """What is remembered with more, or only that where it were too much."""
    if len(remembered) > _CLEAN_MAX:
        remembered = set()
    remembered.update([each for each in more if len(each) <= _CLEAN_BYTES_MAX])
    return remembered


class _Bounds(NamedTuple):
    """What a payload may cost."""

    cost: int
    """Of its suspects, as `cost_of` counts."""
    holders: int
    """Spans, resources and scopes that are written anew."""


def _bounds_of(payload_bytes: int, request_bytes: int) -> _Bounds:
    """A payload's share of what its request may cost: both lengths decide alone, so that a retry is decided alike."""
    request_bytes = max(payload_bytes, request_bytes)
    cost = _COST + request_bytes // _BYTES_A_COST
    holders = _HOLDERS + request_bytes // _BYTES_A_HOLDER
    return _Bounds(
        max(_COST_OF_SMALL, cost * payload_bytes // request_bytes),
        max(_HOLDERS_OF_SMALL, holders * payload_bytes // request_bytes),
    )


def _costs_at_most(suspects: set[bytes], cost_max: int, rules: Rules) -> bool:
    if len(suspects) * COST_MIN > cost_max:
        return False
    return sum([_cost_of(each, rules) for each in suspects]) <= cost_max


def _looked_at(
    suspects: set[bytes], in_order: Iterable[bytes], cost_max: int, rules: Rules
) -> Collection[bytes]:
    """Which of the suspects may be looked at closely: the shortest, of equal ones the first in the payload."""
    unique = dict.fromkeys([each for each in in_order if each in suspects])
    shortest = sorted(unique, key=len)[: cost_max // COST_MIN]
    sums = accumulate([_cost_of(each, rules) for each in shortest])
    return [each for each, cost in zip(shortest, sums, strict=True) if cost <= cost_max]


def _cost_of(each: bytes, rules: Rules) -> int:
    """As `cost_of`; what is a secret by its key costs no more for what it looks like."""
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


class _Decision(NamedTuple):
    """What becomes of an attribute or a text."""

    new: bytes | None
    """Its bytes then; None if it is left out."""
    rules: Sequence[str]
    """The rule of each secret in it; empty: it is clean."""


_TEXT_UNSEEN = _Decision(REDACTED.encode(), (TOO_MANY,))
_ATTRIBUTE_UNSEEN = _Decision(None, (TOO_MANY,))


def _decided_text(marked: bytes, rules: Rules) -> _Decision:
    found = Found()
    new = redacted_text(marked[1:].decode(), rules, found)
    return _Decision(new.encode(), found.rules)


def _decided_attribute(raw: bytes, rules: Rules) -> _Decision:
    found = Found()
    attribute = KeyValue.FromString(raw)
    try:
        redact_attribute(attribute, rules, found)
    except Exception as error:
        # A fault of ours costs an attribute, neither its span nor its secret.
        tell_fault(error)
        return _Decision(None, (FAULT,))
    if not found.rules:
        return _Decision(raw, ())
    if found.is_dropped:
        return _Decision(None, found.rules)
    return _Decision(attribute.SerializeToString(deterministic=True), found.rules)


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
    """Of a child, all its texts and attributes."""


_RESOURCE_LEVEL = _Level(
    shadow.ResourceSpans, "resource", shadow.WholeResource, "scope_spans", shadow.ScopeTexts
)
_SCOPE_LEVEL = _Level(shadow.ScopeSpans, "scope", shadow.WholeScope, "spans", shadow.SpanTexts)


class _Work:
    """One payload, written anew."""

    def __init__(self, secret: dict[bytes, _Decision], holders: int, room: int) -> None:
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
        decision = self._secret.get(_TEXT_MARK + text)
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
        return any(_TEXT_MARK + text in self._secret for text in texts)

    def _has_in_scope(self, merged: shadow.ScopeTexts) -> bool:
        scope = merged.scope
        return (
            self._has(scope.attributes)
            or self._has_text((*scope.name, *scope.version, *merged.schema_url))
            or self._has_in_span(merged.spans)
        )

    def _has_in_span(self, merged: shadow.SpanTexts) -> bool:
        """Of one span, or of several that are merged."""
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


def redact_attribute(attribute: KeyValue, rules: Rules, found: Found) -> None:
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
        redact_attribute(member, rules, in_member)
        found.rules += in_member.rules
        if in_member.is_dropped:
            dropped.append(place)
    for place in reversed(dropped):
        del members.values[place]


def _attributes_in(texts: shadow.RequestTexts) -> Iterable[bytes]:
    """Every attribute, KeyValue wire bytes."""
    resources = texts.resource_spans
    scopes = resources.scope_spans
    spans = scopes.spans
    columns = [resources.resource.attributes, scopes.scope.attributes]
    if spans.HasField("events"):
        columns.append(spans.events.attributes)
    if spans.HasField("links"):
        columns.append(spans.links.attributes)
    if not any(columns):
        return spans.attributes[:]
    return chain(spans.attributes[:], *columns)


_TEXT_MARK = b"\xff"
"""Before a text, where texts and attributes are together: no attribute begins so."""


def _named_in(texts: shadow.RequestTexts) -> list[bytes]:
    """Every text that is no attribute's, once, after a mark."""
    resources = texts.resource_spans
    scopes = resources.scope_spans
    spans, scope = scopes.spans, scopes.scope
    columns = [spans.name[:], scope.name[:], scope.version[:], resources.schema_url[:]]
    columns += [scopes.schema_url[:], spans.trace_state[:]]
    if spans.HasField("events"):
        columns.append(spans.events.name[:])
    if spans.HasField("links"):
        columns.append(spans.links.trace_state[:])
    if spans.HasField("status"):
        columns.append(spans.status.message[:])
    return [_TEXT_MARK + each for each in dict.fromkeys(chain.from_iterable(columns))]


def rules_of_settings() -> Rules:
    """Those of the settings. Raises RedactionRulesError if they cannot be used, or the file cannot be read."""
    text = config.REDACTION_RULES.strip()
    if text and not text.startswith("{"):
        try:
            text = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RedactionRulesError(
                f"they are neither a JSON object nor a file that can be read: {error}"
            ) from error
    return rules_from(text, config.REDACTION_KEY)


@cache
def redaction_of_settings() -> Redaction | None:
    """What is done with each payload; None if redaction is off. Raises RedactionRulesError."""
    return Redaction(rules_of_settings()) if config.REDACTION else None
