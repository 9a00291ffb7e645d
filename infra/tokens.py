"""`python -m infra token new | list | revoke`: manages the access tokens of a Clew."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from chalicelib.model.token import Scope, Token, digest_of, new_token_text
from infra.stages import Refused

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from chalicelib.store.items import ItemStore

_LIFETIME = re.compile("([1-9][0-9]{0,5})([dhm])")
_UNIT_SECONDS = {"d": 86_400, "h": 3_600, "m": 60}
SCOPES = ",".join(scope.value for scope in Scope)


def add_commands(commands: Any) -> None:
    """Add `token` to the subparsers of `python -m infra`; each command's `run` takes the store and the arguments."""
    token = commands.add_parser("token", help="make, list and revoke access tokens")
    actions = token.add_subparsers(dest="action", required=True)
    new = actions.add_parser("new", help="make a token, and print it: it is shown this once")
    new.add_argument("--scopes", default=SCOPES, help=f"of {SCOPES} (default: all of them)")
    new.add_argument("--name", default="", help="whose it is, for the list")
    new.add_argument(
        "--expires", default="", help="after how long, such as 90d or 12h (default: never)"
    )
    new.set_defaults(run=_new)
    actions.add_parser("list", help="the tokens there are, without their text").set_defaults(
        run=_list
    )
    revoke = actions.add_parser("revoke", help="forget a token; it is good for a minute more")
    revoke.add_argument("id", help="from the list")
    revoke.set_defaults(run=_revoke)


def make_token(
    store: ItemStore,
    scopes: Iterable[Scope],
    name: str,
    text: str = "",
    lifetime_seconds: int | None = None,
) -> str:
    """Store the digest of a new token with these scopes, and return its text, which cannot be read again."""
    from chalicelib.store.tokens import put_token

    text, now_unix_seconds = text or new_token_text(), int(time.time())
    expires = None if lifetime_seconds is None else now_unix_seconds + lifetime_seconds
    token = Token(
        digest=digest_of(text),
        scopes=frozenset(scopes),
        name=name,
        made_unix_seconds=now_unix_seconds,
        expires_unix_seconds=expires,
    )
    put_token(store, token)
    return text


def first_tokens(store: ItemStore) -> dict[Scope, str]:
    """Make a token to ingest and one to read if there is no token yet; return their texts by scope."""
    from chalicelib.store.tokens import tokens_in

    if tokens_in(store):
        return {}
    needed = (Scope.INGEST, Scope.READ)
    return {scope: make_token(store, [scope], "made with the tables") for scope in needed}


def scopes_in(words: str) -> list[Scope]:
    """Return the scopes of a list separated by commas. Raises Refused for an unknown scope."""
    try:
        return [Scope(word.strip()) for word in words.split(",")]
    except ValueError:
        raise Refused(f"the scopes are {SCOPES}, not {words!r}") from None


def lifetime_in(words: str) -> int | None:
    """Return the seconds of a lifetime such as `90d`, `12h` or `30m`; None if it is empty. Raises Refused."""
    if not words:
        return None
    if not (found := _LIFETIME.fullmatch(words)):
        raise Refused(
            f"--expires is a number of days, hours or minutes, such as 90d, not {words!r}"
        )
    return int(found[1]) * _UNIT_SECONDS[found[2]]


def _new(store: ItemStore, arguments: argparse.Namespace) -> None:
    scopes, lifetime_seconds = scopes_in(arguments.scopes), lifetime_in(arguments.expires)
    print(make_token(store, scopes, arguments.name, lifetime_seconds=lifetime_seconds))


def _list(store: ItemStore, arguments: argparse.Namespace) -> None:
    from chalicelib.store.tokens import tokens_in

    for token in sorted(tokens_in(store), key=lambda token: token.made_unix_seconds):
        made = time.strftime("%Y-%m-%d %H:%M", time.gmtime(token.made_unix_seconds))
        scopes = ",".join(sorted(scope.value for scope in token.scopes))
        print(f"{token.id}  {made} UTC  {scopes:11}  {_expiry(token):20}  {token.name}".rstrip())


def _expiry(token: Token) -> str:
    if token.expires_unix_seconds is None:
        return "does not expire"
    if token.has_expired(time.time()):
        return "has expired"
    return time.strftime("until %Y-%m-%d %H:%M", time.gmtime(token.expires_unix_seconds))


def _revoke(store: ItemStore, arguments: argparse.Namespace) -> None:
    from chalicelib.store.tokens import delete_token, tokens_in

    found = [token for token in tokens_in(store) if token.id == arguments.id]
    if not found:
        raise Refused(f"there is no token {arguments.id!r}; `token list` shows those there are")
    for token in found:
        delete_token(store, token)
