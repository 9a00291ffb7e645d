"""`python -m infra token …`, over moto: what it prints, keeps and refuses."""

from __future__ import annotations

import pytest

from chalicelib import config, wiring
from chalicelib.model.token import Scope, Token, digest_of
from chalicelib.store.tokens import put_token, tokens_in
from infra.__main__ import main
from local.fake_aws import Moto

pytestmark = pytest.mark.slow


@pytest.fixture
def infra(capsys):
    """Runs the command; returns its exit code and what it printed, on standard output and standard error."""
    moto = Moto()
    moto.start(config.PREFIX, {})

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["--prefix", config.PREFIX, *words])
        return code, *capsys.readouterr()

    yield run
    moto.stop()


def test_only_the_token_text_is_printed(infra):
    """A new token's text is all that is printed, for scripts to take; what is kept is its digest and scopes."""
    code, text, errors = infra("token", "new", "--scopes", "ingest", "--name", "the shop")
    assert (code, errors) == (0, "")
    (token,) = tokens_in(wiring.store())
    assert token.digest == digest_of(text.strip())
    assert token.scopes == {Scope.INGEST}
    assert token.name == "the shop"


def test_default_scopes(infra):
    """Without a word about scopes a token is good for both."""
    infra("token", "new")
    assert tokens_in(wiring.store())[0].scopes == set(Scope)


def test_wrong_scope(infra):
    """A scope that is none is refused by name, and no token is made."""
    code, printed, errors = infra("token", "new", "--scopes", "ingest,write")
    assert (code, printed) == (1, "")
    assert "write" in errors
    assert "ingest,read" in errors
    assert tokens_in(wiring.store()) == []


def test_list_and_revoke(infra):
    """The list shows each token's id, scopes and name, and no text; a token is revoked by its id."""
    text = infra("token", "new", "--name", "one")[1].strip()
    infra("token", "new", "--name", "two")
    listed = infra("token", "list")[1]
    assert text not in listed
    (line,) = [line for line in listed.splitlines() if line.endswith("one")]
    assert "ingest,read" in line
    assert infra("token", "revoke", line.split()[0]) == (0, "", "")
    assert [token.name for token in tokens_in(wiring.store())] == ["two"]


@pytest.mark.parametrize(("words", "seconds"), [("90d", 7_776_000), ("12h", 43_200), ("5m", 300)])
def test_a_token_may_be_made_for_a_time(infra, words, seconds):
    """A token may be made for a time, which the list tells."""
    assert infra("token", "new", "--expires", words)[0] == 0
    (token,) = tokens_in(wiring.store())
    assert token.expires_unix_seconds == token.made_unix_seconds + seconds
    assert " until 2" in infra("token", "list")[1]


@pytest.mark.parametrize("words", ["0d", "-1d", "1", "1w", "tomorrow", "9999999d"])
def test_wrong_expiry(infra, words):
    """A lifetime that is none is refused by name, and no token is made."""
    code, printed, errors = infra("token", "new", f"--expires={words}")
    assert (code, printed) == (1, "")
    assert words in errors
    assert tokens_in(wiring.store()) == []


def test_list_of_expired(infra):
    """The list says which tokens do not expire, and which have."""
    infra("token", "new", "--name", "one")
    put_token(wiring.store(), Token(b"a" * 32, frozenset(Scope), "two", 1, 2))
    two, one = infra("token", "list")[1].splitlines()
    assert "does not expire" in one
    assert "has expired" in two


def test_revoke_unknown(infra):
    """An id that is in no list is said, and nothing is revoked."""
    infra("token", "new")
    code, _, errors = infra("token", "revoke", "00000000")
    assert code == 1
    assert "00000000" in errors
    assert len(tokens_in(wiring.store())) == 1


def test_no_region(infra, monkeypatch):
    """Without a region nothing is tried, and one line says what to set."""
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    code, printed, errors = infra("up")
    assert (code, printed, errors.count("\n")) == (1, "", 1)
    assert "AWS_DEFAULT_REGION" in errors


def test_first_tokens(infra):
    """Bringing up the tables makes one token for each scope, once."""
    printed = infra("up")[1]
    texts = [line.split()[-1] for line in printed.splitlines() if line.startswith("Token")]
    tokens = {token.digest: token.scopes for token in tokens_in(wiring.store())}
    assert [tokens[digest_of(text)] for text in texts] == [{Scope.INGEST}, {Scope.READ}]
    assert "Token" not in infra("up")[1]
