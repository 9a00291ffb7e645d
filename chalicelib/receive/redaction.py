"""Redaction: a payload without its secrets, before anything keeps it.

    payload ──each attribute and text once──▶ new ones, folded ──a secret's name or look?──▶ suspects ──rules──▶ found?
                                                   no: the payload as it is ◀──┴────────────────────┴──▶ written anew

Texts repeat, but for their digits and ids: nearly all were seen before and are known to be harmless. So a payload is
looked at as a whole, by a few calls into compiled code, and closely only where a word, an @ or thirteen digits say that
there may be something (`redaction_work.py`). What is a secret say `redaction_rules.py` (by key) and
`redaction_text.py` (by value). The same payload, of a request of the same length, and rules always give the same bytes.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model import shadow_pb2 as shadow
from chalicelib.receive.redaction_rules import (
    BETWEEN,
    DIGITS_OF_A_CARD,
    TEXT_MARK,
    RedactionRulesError,
    folded,
    has_userinfo,
    rules_from,
    suspects_of,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from chalicelib.receive.redaction_rules import Rules
    from chalicelib.receive.redaction_work import Decision

_CLEAN_MAX = 50_000
"""Attributes and texts, and words, that are remembered as clean: about 10 MB each."""
_CLEAN_BYTES_MAX = 512
"""Longer ones are rarely the same."""


class Redaction:
    """Rules, and what was found clean by them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._harmless: set[bytes] = set()
        """The values that no rule suspects of a secret."""
        self._clean: set[bytes] = set()
        """The values that a rule suspected, and which had no secret."""
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
        from chalicelib.receive.redaction_work import Work, bounds_of

        new = parts.difference(self._harmless)
        suspects = suspects_of(new, self._rules)
        self._harmless = _with(self._harmless, new.difference(suspects))
        bounds = bounds_of(len(payload), request_bytes, self._rules)
        secret = self._secrets_in(suspects, chain(_attributes_in(texts), named), bounds.cost)
        if not secret:
            return payload
        work = Work(secret, bounds.holders, bytes_max - len(payload))
        written = work.written(payload)
        counts.update(work.counts)
        return written

    def _secrets_in(
        self, suspects: set[bytes], in_order: Iterable[bytes], cost_max: int
    ) -> dict[bytes, Decision]:
        """What becomes of the suspects that have secrets."""
        from chalicelib.receive.redaction_work import cost_at_most, decisions_of, decisions_within

        if not cost_at_most(cost_max, suspects, self._rules):
            # What was found clean before is not asked for here: else a retry would be decided otherwise.
            return decisions_within(cost_max, suspects, in_order, self._rules)
        unknown = suspects.difference(self._clean)
        secret = decisions_of(unknown, self._rules)
        self._clean = _with(self._clean, unknown.difference(secret))
        return secret

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
            self._rules.may_be_in(together)
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
    return [TEXT_MARK + each for each in dict.fromkeys(chain.from_iterable(columns))]


def rules_of_settings() -> Rules:
    """The rules of the settings. Raises RedactionRulesError if they cannot be used, or the file cannot be read."""
    text = config.REDACTION_RULES.strip()
    if text and not text.startswith("{"):
        from pathlib import Path

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
