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

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from chalicelib import config
from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.attribute import string_form
from chalicelib.model.wire import field
from chalicelib.receive.pieces import piece_done
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
    COST_OF_ONE,
    FAULT,
    TOO_MANY,
    Found,
    cost_of,
    has_userinfo,
    is_placeholder,
    is_suspect,
    redacted_text,
    replaced,
    suspects_of,
    tell_fault,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

    from chalicelib.receive.redaction_rules import KeyMatch, Rules

TOLD_KEY = "clew.redacted"
"""The attribute that says what was found: `authorization 1, token 2`."""
_CLEAN_MAX = 50_000
"""Attributes and texts, and words, that are remembered as clean: about 10 MB each."""
_CLEAN_BYTES_MAX = 512
"""Longer ones are rarely the same."""
_COST, _BYTES_A_COST = 420_000, 60
"""What may be looked at closely in a request, as `cost_of` counts (about a microsecond): so much, and one more for so
many bytes. 8,192 spans with a token of 800 characters each cost less."""
_UNCOUNTED_BYTES_MAX = 20_000
"""A payload that is no longer cannot cost so much."""
_HOLDERS, _BYTES_A_HOLDER = 9_000, 4_000
"""The spans, resources and scopes of a request that are written anew: so many, and one more for so many bytes."""
_INNER_A_HOLDER = 16
"""Events, links and their attributes cost about as much together as one more span."""
_ATTRIBUTES_OF_A_HOLDER = 64
"""Likewise its own attributes above so many."""
_GROWTH_BYTES_MAX = 4_000
"""Of a span, a resource or a scope: three of them are within what an item has above SPAN_BYTES_MAX."""
_SPAN_ATTRIBUTES, _RESOURCE_ATTRIBUTES, _SCOPE_ATTRIBUTES = 9, 1, 3
_EVENT_ATTRIBUTES, _LINK_ATTRIBUTES = 3, 4


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

        `request_bytes` is the length of the request that the payload is a part of; 0 if it is all of it. Adds to
        `counts` the values that were found, by rule. Raises OutOfTime.
        """
        texts = shadow.RequestTexts.FromString(payload)
        parts = set(_attributes_in(texts))
        parts.update(_named_in(texts))
        # The cheap test.
        if self._are_clean(parts):
            return payload
        new = parts.difference(self._harmless)
        suspects = suspects_of(new, self._rules)
        self._harmless = _with(self._harmless, new.difference(suspects))
        work = _Work(self._rules, suspects, _bounds_of(len(payload), request_bytes))
        # What was found clean before is left out of account where a bound is: else a retry had another.
        unknown = suspects if work.is_bounded else suspects.difference(self._clean)
        secret = work.secrets_in(unknown)
        if not work.is_bounded:
            self._clean = _with(self._clean, unknown.difference(secret))
        if not secret:
            return payload
        if len(payload) + work.growth_bytes(secret) > bytes_max:
            # It would be written twice.
            work = work.tight()
        written = work.written(payload, secret)
        if len(written) > bytes_max:
            work = work.tight()
            written = work.written(payload, secret)
        counts.update(work.counts)
        return written

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

    cost: int | None
    """Of its suspects, as `cost_of` counts; None if it is too short to be counted."""
    holders: int
    """Spans, resources and scopes that are written anew."""


def _bounds_of(payload_bytes: int, request_bytes: int) -> _Bounds:
    """A payload's share of what its request may cost: the lengths alone decide, so that a retry is decided alike."""
    request_bytes = max(payload_bytes, request_bytes)
    cost = _COST + request_bytes // _BYTES_A_COST
    holders = _HOLDERS + request_bytes // _BYTES_A_HOLDER
    is_short = payload_bytes <= _UNCOUNTED_BYTES_MAX
    return _Bounds(
        None if is_short else cost * payload_bytes // request_bytes,
        holders if is_short else holders * payload_bytes // request_bytes,
    )


def _looked_at(suspects: Collection[bytes], cost_max: int | None) -> frozenset[bytes] | None:
    """Which of the suspects may be looked at closely: None for all, else the shortest."""
    if cost_max is None:
        return None
    in_order = _shortest(suspects, cost_max // COST_OF_ONE)
    sums = accumulate(map(cost_of, in_order))
    looked_at = frozenset(
        each for each, cost in zip(in_order, sums, strict=True) if cost <= cost_max
    )
    return None if len(looked_at) == len(suspects) else looked_at


def _shortest(contents: Collection[bytes], count: int) -> list[bytes]:
    """The `count` shortest in order, of equal length the least."""
    if len(contents) > count:
        # No more of them are sorted than there must be: there may be a hundred times as many.
        before = bytes_max = 0
        for of_bytes, of_length in sorted(Counter(map(len, contents)).items()):
            before, bytes_max = before + of_length, of_bytes
            if before >= count:
                break
        contents = [each for each in contents if len(each) <= bytes_max]
    return sorted(sorted(contents), key=len)[:count]


class _Decision(NamedTuple):
    """What becomes of an attribute or a text."""

    new: bytes | None
    """Its bytes then; None if it is left out."""
    rules: Sequence[str]
    """The rule of each secret in it; empty: it is clean."""


_TEXT_UNSEEN = _Decision(REDACTED.encode(), (TOO_MANY,))
_ATTRIBUTE_UNSEEN = _Decision(None, (TOO_MANY,))


class _Work:
    """One payload, written anew."""

    def __init__(
        self,
        rules: Rules,
        suspects: set[bytes],
        bounds: _Bounds,
        roomy: _Work | None = None,
    ) -> None:
        """With `roomy` nothing becomes longer by its mask: what would is left out, as decided there otherwise."""
        self.counts: Counter[str] = Counter()
        self._rules = rules
        self._suspects = suspects
        looked_at = roomy._looked_at if roomy else _looked_at(suspects, bounds.cost)
        self._looked_at: frozenset[bytes] | None = looked_at
        self.is_bounded = self._looked_at is not None
        """Whether some suspects are left out unseen."""
        self._bounds = bounds
        self._roomy = roomy
        self._decisions: dict[bytes, _Decision] = {}
        self._holders_left = bounds.holders

    def tight(self) -> _Work:
        """The same work without anything that becomes longer."""
        return _Work(self._rules, self._suspects, self._bounds, self)

    def secrets_in(self, suspects: set[bytes]) -> set[bytes]:
        """Those attributes, and texts with their mark, in which something is found, or that are not looked at."""
        if self._looked_at is None:
            return {each for each in suspects if self._decided(each).rules}
        unseen = suspects.difference(self._looked_at)
        self._decisions = dict.fromkeys(unseen, _ATTRIBUTE_UNSEEN)
        texts = [each for each in unseen if each.startswith(_TEXT_MARK)]
        self._decisions.update(dict.fromkeys(texts, _TEXT_UNSEEN))
        unseen.update(each for each in self._looked_at if self._decided(each).rules)
        return unseen

    def growth_bytes(self, secret: set[bytes]) -> int:
        """About how many bytes what is secret is longer by its masks, if each is there once."""
        if self._looked_at is not None:
            # Of what is not looked at most is left out.
            secret = secret.intersection(self._looked_at)
        news = (self._decided(each).new or b"" for each in secret)
        return sum(map(len, news)) - sum(map(len, secret))

    def written(self, payload: bytes, secret: set[bytes]) -> bytes:
        """The payload without what is `secret` in it: attributes, and texts with their mark."""
        attributes = {each for each in secret if not each.startswith(_TEXT_MARK)}
        texts = {each[1:] for each in secret if each.startswith(_TEXT_MARK)}
        parts = []
        for raw in shadow.TracesData.FromString(payload).resource_spans:
            merged = shadow.ResourceTexts.FromString(raw)
            if _has(
                merged.resource.attributes, merged.schema_url, attributes, texts
            ) or _has_in_scope(merged.scope_spans, attributes, texts):
                raw = self._resource_spans(raw, attributes, texts)
            parts.append(field(1, raw))
        return b"".join(parts)

    def _resource_spans(self, raw: bytes, attributes: set[bytes], texts: set[bytes]) -> bytes:
        parts = []
        resource_spans = shadow.ResourceSpans.FromString(raw)
        if not resource_spans.scope_spans:
            # Nothing is said of nothing.
            return b""
        if resource_spans.resource:
            raw = b"".join(resource_spans.resource)
            own = shadow.ResourceTexts.FromString(field(1, raw)).resource.attributes
            resource = Resource.FromString(raw)
            parts.append(field(1, self._holder(resource, raw, _RESOURCE_ATTRIBUTES, own)))
        for raw in resource_spans.scope_spans:
            if _has_in_scope(shadow.ScopeTexts.FromString(raw), attributes, texts):
                raw = self._scope_spans(raw, attributes, texts)
            parts.append(field(2, raw))
        if url := self._text(resource_spans.schema_url, Found()):
            parts.append(field(3, url.encode()))
        return b"".join(parts)

    def _scope_spans(self, raw: bytes, attributes: set[bytes], texts: set[bytes]) -> bytes:
        parts = []
        scope_spans = shadow.ScopeSpans.FromString(raw)
        if not scope_spans.spans:
            return b""
        if scope_spans.scope:
            raw = b"".join(scope_spans.scope)
            own = shadow.ScopeTexts.FromString(field(1, raw)).scope.attributes
            scope = InstrumentationScope.FromString(raw)
            parts.append(field(1, self._holder(scope, raw, _SCOPE_ATTRIBUTES, own)))
        for raw in scope_spans.spans:
            span = shadow.SpanTexts.FromString(raw)
            if _has_in_span(span, attributes, texts):
                raw = self._span(span, raw)
            parts.append(field(2, raw))
        if url := self._text(scope_spans.schema_url, Found()):
            parts.append(field(3, url.encode()))
        return b"".join(parts)

    def _span(self, texts: shadow.SpanTexts, raw: bytes) -> bytes:
        piece_done(len(raw))
        if self._holders_left <= 0:
            return self._bare_span(texts, len(raw))
        own, events, links = texts.attributes, texts.events, texts.links
        span = Span.FromString(raw)
        inner = len(span.events) + len(span.links) + len(events.attributes) + len(links.attributes)
        inner += max(0, len(own) - _ATTRIBUTES_OF_A_HOLDER)
        self._holders_left -= inner // _INNER_A_HOLDER
        return self._holder(span, raw, _SPAN_ATTRIBUTES, own)

    def _holder(
        self,
        message: Resource | InstrumentationScope | Span,
        raw: bytes,
        number: int,
        own: Sequence[bytes],
    ) -> bytes:
        """A span, resource or scope without its secrets; what was found is said in an attribute of its own.

        `number` is that of its field of attributes, `own` are its attributes as they came.
        """
        if self._holders_left <= 0:
            return self._bare(message, len(raw), number)
        self._holders_left -= 1
        found = Found()
        if isinstance(message, InstrumentationScope):
            message.name = self._text(message.name, found)
            message.version = self._text(message.version, found)
        elif isinstance(message, Span):
            self._rest_of_span(message, found)
        self._attributes(message, own, number, found)
        if not found.rules:
            # What a later field of the same number hides is in the bytes all the same, but not in these.
            whole = message.SerializeToString(deterministic=True)
            return whole if len(whole) < len(raw) else raw
        silent = message.SerializeToString(deterministic=True) if self._roomy else b""
        _tell(message, number, found, may_be_told=TOLD_KEY.encode() in raw)
        new = message.SerializeToString(deterministic=True)
        if self._roomy is None:
            if len(new) > len(raw) + _GROWTH_BYTES_MAX:
                tight = self.tight()
                new = tight._holder(type(message).FromString(raw), raw, number, own)
                self.counts.update(tight.counts)
                return new
        elif len(new) > len(raw):
            new = silent
        self.counts.update(found.rules)
        return new

    def _bare_span(self, texts: shadow.SpanTexts, raw_bytes: int) -> bytes:
        """One of more spans than are written anew: its ids, kind, times and status alone."""
        self.counts[TOO_MANY] += 1
        name = texts.name[-1] if texts.name else b""
        for member in ("name", "trace_state", "attributes", "events", "links"):
            texts.ClearField(member)
        if name:
            texts.name.append(REDACTED[: len(name)].encode())
        if texts.HasField("status"):
            texts.status.ClearField("message")
        return self._with_unseen(
            texts.SerializeToString(deterministic=True), raw_bytes, type(texts), _SPAN_ATTRIBUTES
        )

    def _bare(
        self, message: Resource | InstrumentationScope | Span, raw_bytes: int, number: int
    ) -> bytes:
        """One of more resources or scopes than are written anew: nothing."""
        self.counts[TOO_MANY] += 1
        return self._with_unseen(b"", raw_bytes, type(message), number)

    def _with_unseen(self, bare: bytes, raw_bytes: int, kind: Any, number: int) -> bytes:
        """What is left of a span, resource or scope, which says that there was too much in it."""
        told = _told(((TOO_MANY, 1),), number)
        if self._roomy is not None and len(bare) + len(told) > raw_bytes:
            return bare
        whole: bytes = kind.FromString(bare + told).SerializeToString(deterministic=True)
        return whole

    def _rest_of_span(self, span: Span, found: Found) -> None:
        span.name = self._text(span.name, found)
        span.trace_state = self._text(span.trace_state, found)
        if span.status.message:
            span.status.message = self._text(span.status.message, found)
        for event in span.events:
            event.name = self._text(event.name, found)
            if event.attributes:
                self._attributes(event, _written(event.attributes), _EVENT_ATTRIBUTES, found)
        for link in span.links:
            link.trace_state = self._text(link.trace_state, found)
            if link.attributes:
                self._attributes(link, _written(link.attributes), _LINK_ATTRIBUTES, found)

    def _attributes(self, holder: Any, own: Sequence[bytes], number: int, found: Found) -> None:
        decisions = list(map(self._decided, own))
        rules = list(chain.from_iterable(decision.rules for decision in decisions))
        if not rules:
            return
        found.rules += rules
        kept = [decision.new for decision in decisions if decision.new is not None]
        del holder.attributes[:]
        holder.MergeFromString(b"".join([field(number, each) for each in kept]))

    def _text(self, text: str, found: Found) -> str:
        if not text:
            return text
        decision = self._decided(_TEXT_MARK + text.encode())
        found.rules += decision.rules
        assert decision.new is not None, "a text stays, whatever is left of it"
        return decision.new.decode() if decision.rules else text

    def _decided(self, each: bytes) -> _Decision:
        decision = self._decisions.get(each)
        if decision is None:
            piece_done(len(each))
            decision = self._decisions[each] = self._decide(each)
        return decision

    def _decide(self, each: bytes) -> _Decision:
        is_text = each.startswith(_TEXT_MARK)
        if self._roomy is None:
            if self._looked_at is not None and each not in self._looked_at:
                return self._unseen(each)
            return self._decided_text(each) if is_text else self._decided_attribute(each)
        decision = self._roomy._decided(each)
        size = len(each) - is_text
        if decision.new is None or len(decision.new) <= size:
            return decision
        # A cut text might look as if it had a secret again; a cut mask does not.
        return decision._replace(new=REDACTED.encode()[:size] if is_text else None)

    def _unseen(self, each: bytes) -> _Decision:
        is_text = each.startswith(_TEXT_MARK)
        if each not in self._suspects and not is_suspect(each, self._rules):
            return _Decision(each[is_text:], ())
        return _TEXT_UNSEEN if is_text else _ATTRIBUTE_UNSEEN

    def _decided_text(self, marked: bytes) -> _Decision:
        found = Found()
        new = redacted_text(marked[1:].decode(), self._rules, found)
        return _Decision(new.encode(), found.rules)

    def _decided_attribute(self, raw: bytes) -> _Decision:
        found = Found()
        attribute = KeyValue.FromString(raw)
        try:
            redact_attribute(attribute, self._rules, found)
        except Exception as error:
            # A fault of ours costs an attribute, neither its span nor its secret.
            tell_fault(error)
            return _Decision(None, (FAULT,))
        if not found.rules:
            return _Decision(raw, ())
        if found.is_dropped:
            return _Decision(None, found.rules)
        return _Decision(attribute.SerializeToString(deterministic=True), found.rules)


def _written(attributes: Iterable[KeyValue]) -> list[bytes]:
    return [each.SerializeToString(deterministic=True) for each in attributes]


def _tell(message: Any, number: int, found: Found, *, may_be_told: bool) -> None:
    if may_be_told and any(each.key == TOLD_KEY for each in message.attributes):
        # One of a Clew or a sender before, which knew less, gives way.
        kept = [each for each in message.attributes if each.key != TOLD_KEY]
        raws = _written(kept)
        del message.attributes[:]
        message.MergeFromString(b"".join([field(number, each) for each in raws]))
    message.MergeFromString(_told(tuple(sorted(Counter(found.rules).items())), number))


@lru_cache(1_024)
def _told(counts: tuple[tuple[str, int], ...], number: int) -> bytes:
    """The field, of this number, of an attribute that says what was found."""
    text = ", ".join(f"{rule} {count}" for rule, count in counts)
    told = KeyValue(key=TOLD_KEY, value=AnyValue(string_value=text))
    return field(number, told.SerializeToString(deterministic=True))


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


def _has(
    of_attributes: Iterable[bytes],
    of_texts: Iterable[bytes],
    attributes: set[bytes],
    texts: set[bytes],
) -> bool:
    return not (attributes.isdisjoint(of_attributes) and texts.isdisjoint(of_texts))


def _has_in_scope(merged: shadow.ScopeTexts, attributes: set[bytes], texts: set[bytes]) -> bool:
    scope = merged.scope
    of_texts = (*scope.name, *scope.version, *merged.schema_url)
    return _has(scope.attributes, of_texts, attributes, texts) or _has_in_span(
        merged.spans, attributes, texts
    )


def _has_in_span(merged: shadow.SpanTexts, attributes: set[bytes], texts: set[bytes]) -> bool:
    """Of one span, or of several that are merged."""
    if not attributes.isdisjoint(merged.attributes) or not texts.isdisjoint(merged.name):
        return True
    events, links = merged.events, merged.links
    return _has(
        (*events.attributes, *links.attributes),
        (*merged.trace_state, *events.name, *links.trace_state, *merged.status.message),
        attributes,
        texts,
    )


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


def _named_in(texts: shadow.RequestTexts) -> set[bytes]:
    """Every text that is no attribute's, after a mark."""
    resources = texts.resource_spans
    scopes = resources.scope_spans
    spans, scope = scopes.spans, scopes.scope
    found = set(spans.name[:])
    found.update(scope.name[:], scope.version[:], resources.schema_url[:], scopes.schema_url[:])
    found.update(spans.trace_state[:])
    if spans.HasField("events"):
        found.update(spans.events.name[:])
    if spans.HasField("links"):
        found.update(spans.links.trace_state[:])
    if spans.HasField("status"):
        found.update(spans.status.message[:])
    return {_TEXT_MARK + each for each in found}


def rules_of_settings() -> Rules:
    """Those of the settings. Raises RedactionRulesError if they cannot be used, or the file cannot be read."""
    return rules_of(config.REDACTION_RULES, config.REDACTION_KEY)


def rules_of(text: str, hash_key: str) -> Rules:
    """Those of CLEW_REDACTION_RULES (JSON, or the path of a file of it) and CLEW_REDACTION_KEY.

    Raises RedactionRulesError.
    """
    text = text.strip()
    if text and not text.startswith("{"):
        try:
            text = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RedactionRulesError(
                f"they are neither a JSON object nor a file that can be read: {error}"
            ) from error
    return rules_from(text, hash_key)


@cache
def redaction_of_settings() -> Redaction | None:
    """What is done with each payload; None if redaction is off. Raises RedactionRulesError."""
    return Redaction(rules_of_settings()) if config.REDACTION else None
