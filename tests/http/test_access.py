"""Who may: how a token is shown, what is kept of it, and what holds while the table cannot be read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.errors import StoreError, StoreThrottled
from chalicelib.http.access import KEPT_SECONDS, STRANGER_SECONDS, Access, Decision, presented_in
from chalicelib.model.token import Scope, Token, digest_of, new_token_text
from chalicelib.store.tokens import delete_token, put_token, tokens_in
from tests.memory_store import MemoryStore

BOTH = frozenset(Scope)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Table:
    """A table of tokens, a clock, and how often the table was read."""

    def __init__(self, **texts: frozenset[Scope]) -> None:
        self.tokens = [Token(digest_of(text), scopes) for text, scopes in texts.items()]
        self.reads = 0
        self.now = 1_000.0
        self.broken = False
        self.wall = 1_790_000_000.0
        self.access = Access(self._read, lambda: self.now, lambda: self.wall)

    def _read(self) -> list[Token]:
        self.reads += 1
        if self.broken:
            raise StoreThrottled("away")
        return list(self.tokens)

    def asks(self, *texts: str, scope: Scope = Scope.READ) -> Decision:
        return self.access.decide(texts, scope)


class TestPresented:
    @pytest.mark.parametrize(
        "headers",
        [
            {"x-api-key": "clew_a"},
            {"x-api-key": " clew_a "},
            {"authorization": "Bearer clew_a"},
            {"authorization": "bearer   clew_a"},
            {"authorization": basic("anyone", "clew_a")},
            {"authorization": basic("", "clew_a")},
            {"authorization": basic("anyone", "clew_a").replace("Basic", "BASIC")},
        ],
    )
    def test_each_way(self, headers):
        """A token is found wherever a client can put one."""
        assert presented_in(headers) == ["clew_a"]

    def test_two_at_once(self):
        """A proxy's own password beside the token's header does not hide the token."""
        headers = {"x-api-key": "clew_a", "authorization": basic("proxy", "secret")}
        assert presented_in(headers) == ["clew_a", "secret"]

    @pytest.mark.parametrize(
        "authorization",
        ["", "Bearer", "Bearer ", "Basic", "Basic !", "Basic " + "4" * 5, "Digest x", "clew_a"],
    )
    def test_what_is_no_token_is_none(self, authorization):
        """What is no token is none, and no error."""
        assert presented_in({"authorization": authorization}) == []
        assert presented_in({}) == []

    @given(st.text())
    def test_no_header_makes_it_raise_or_grants_anything(self, text):
        """No header's text makes it raise, and none of it is granted."""
        shown = presented_in({"authorization": text, "x-api-key": text})
        assert Table(good=BOTH).access.decide(shown, Scope.READ) in (
            Decision.UNKNOWN,
            Decision.GRANTED if "good" in shown else Decision.UNKNOWN,
        )


class TestDecision:
    def test_a_token_is_good_for_its_scopes_alone(self):
        """A token is good for its scopes; for others it is known, and refused."""
        table = Table(sender=frozenset({Scope.INGEST}), both=BOTH)
        assert table.asks("sender", scope=Scope.INGEST) is Decision.GRANTED
        assert table.asks("sender", scope=Scope.READ) is Decision.FORBIDDEN
        assert table.asks("both", scope=Scope.READ) is Decision.GRANTED
        assert table.asks("nobody") is Decision.UNKNOWN
        assert table.asks("nobody", "sender", "both") is Decision.GRANTED

    def test_nothing_shown(self):
        """Who shows nothing is refused without a look at the table."""
        table = Table(good=BOTH)
        assert table.asks() is Decision.UNKNOWN
        assert table.reads == 0

    def test_kept_for_a_minute(self):
        """The table is read once a minute, however many requests come, and a revoked token ends with the minute."""
        table = Table(good=BOTH)
        for _ in range(100):
            assert table.asks("good") is Decision.GRANTED
        assert table.reads == 1
        table.tokens = []
        table.now += KEPT_SECONDS - 1
        assert table.asks("good") is Decision.GRANTED
        table.now += 1
        assert table.asks("good") is Decision.UNKNOWN

    def test_new_token(self):
        """A token made a moment ago is found within seconds; strangers do not make every request a read."""
        table = Table(good=BOTH)
        table.asks("good")
        table.tokens.append(Token(digest_of("new"), BOTH))
        assert table.asks("new") is Decision.UNKNOWN
        table.now += STRANGER_SECONDS
        assert table.asks("new") is Decision.GRANTED
        for _ in range(100):
            table.asks("stranger")
        assert table.reads == 2

    def test_table_away(self):
        """While the table cannot be read, who was known is let in, and nobody is told that they are not."""
        table = Table(good=BOTH, sender=frozenset({Scope.INGEST}))
        table.asks("good")
        table.broken = True
        table.now += 10 * KEPT_SECONDS
        assert table.asks("good") is Decision.GRANTED
        with pytest.raises(StoreError):
            table.asks("perhaps new")
        with pytest.raises(StoreError):
            table.asks("sender", scope=Scope.READ)

    def test_table_away_from_the_start(self):
        """A function that never read the table knows nobody, and says so rather than refuse."""
        table = Table(good=BOTH)
        table.broken = True
        with pytest.raises(StoreError):
            table.asks("good")
        table.broken = False
        table.now += STRANGER_SECONDS
        assert table.asks("good") is Decision.GRANTED

    def test_trouble_is_not_asked_for(self):
        """A table in trouble is tried every few seconds, not at every request."""
        table = Table(good=BOTH)
        table.asks("good")
        table.broken = True
        table.now += KEPT_SECONDS
        for _ in range(100):
            table.asks("good")
        assert table.reads == 2
        table.now += STRANGER_SECONDS
        table.asks("good")
        assert table.reads == 3


class TestExpiry:
    def test_a_token_is_good_until_its_expiry(self):
        """A token is good until the second in which it expires, and from then on is told from an unknown one."""
        table = Table(good=BOTH)
        table.tokens = [table.tokens[0]._replace(expires_unix_seconds=1_790_000_010)]
        table.wall = 1_790_000_009.9
        assert table.asks("good") is Decision.GRANTED
        table.wall = 1_790_000_010.0
        assert table.asks("good") is Decision.EXPIRED
        assert table.asks("stranger") is Decision.UNKNOWN

    def test_beside_another(self):
        """An expired token beside a good one takes nothing from it, and adds nothing to one of another scope."""
        table = Table(old=BOTH, reader=frozenset({Scope.READ}))
        table.tokens[0] = table.tokens[0]._replace(expires_unix_seconds=1)
        assert table.asks("old", "reader") is Decision.GRANTED
        assert table.asks("old", "reader", scope=Scope.INGEST) is Decision.FORBIDDEN

    def test_what_was_kept_before(self):
        """A token of before there was an expiry does not expire; one with an expiry is kept with it."""
        store = MemoryStore()
        old = Token(digest_of("old"), BOTH, "", 1)
        new = old._replace(digest=digest_of("new"), expires_unix_seconds=1_790_000_000)
        for token in (old, new):
            put_token(store, token)
        assert {frozenset(item) for item in store.items.values()} == {
            frozenset("psanc"),
            frozenset("psance"),
        }
        assert set(tokens_in(store)) == {old, new}
        assert not old.has_expired(float("inf"))

    def test_only_known_tokens_are_told_by_their_ids(self):
        """Of what is shown, ours are told by their ids; nothing is told of a stranger's."""
        table = Table(good=BOTH)
        assert table.access.ids_of(["good"]) == []
        table.asks("good")
        assert table.access.ids_of(["good", "stranger"]) == [digest_of("good").hex()[:8]]


class TestToken:
    def test_a_token_text_is_long_unique_and_needs_no_escaping(self):
        """A token's text is long, its own each time, and needs no escaping in a header or a URL."""
        texts = {new_token_text() for _ in range(100)}
        assert len(texts) == 100
        for text in texts:
            assert len(text) >= 40
            assert text.replace("_", "").replace("-", "").isalnum()

    def test_a_stored_token_keeps_no_text(self):
        """What is put comes back; the text is nowhere in the table."""
        store = MemoryStore()
        text = new_token_text()
        token = Token(digest_of(text), frozenset({Scope.INGEST}), "für den Laden", 1_790_000_000)
        put_token(store, token)
        assert tokens_in(store) == [token]
        assert text not in repr(store.items)
        assert {table for table, _, _ in store.items} == {config.STATISTICS_TABLE}

    def test_deleting_a_token_leaves_its_neighbour(self):
        """A deleted token is gone, and its neighbour is not."""
        store = MemoryStore()
        tokens = [Token(digest_of(text), BOTH) for text in ("a", "b")]
        for token in tokens:
            put_token(store, token)
        delete_token(store, tokens[0])
        assert tokens_in(store) == tokens[1:]

    def test_deleted_by_nobody(self):
        """DynamoDB deletes no token by itself, not one that has expired either: its owner is told so."""
        store = MemoryStore()
        put_token(store, Token(digest_of("a"), BOTH, expires_unix_seconds=1))
        assert all("x" not in item for item in store.items.values())
