"""Tokens as items of the table `statistics`, all in one partition, so that one query reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model.token import Scope, Token
from chalicelib.store.layout import TOKENS_PARTITION

if TYPE_CHECKING:
    from chalicelib.store.items import Item, ItemStore


def tokens_in(store: ItemStore) -> list[Token]:
    """Every token there is. Raises StoreThrottled or StoreError."""
    return [_token(item) for item in store.query(config.STATISTICS_TABLE, TOKENS_PARTITION)]


def put_token(store: ItemStore, token: Token) -> None:
    """Keep a token; functions that are warm know it within a few seconds."""
    store.put_batch(config.STATISTICS_TABLE, [_item(token)])


def delete_token(store: ItemStore, token: Token) -> None:
    """Forget a token; functions that are warm take it for up to a minute more."""
    key: Item = {"p": TOKENS_PARTITION, "s": token.digest.hex()}
    store.delete_batch(config.STATISTICS_TABLE, [key])


def _item(token: Token) -> Item:
    # Not under x: DynamoDB would delete the item, and nobody could be told that the token has expired.
    expiry: Item = {} if token.expires_unix_seconds is None else {"e": token.expires_unix_seconds}
    return {
        **expiry,
        "p": TOKENS_PARTITION,
        "s": token.digest.hex(),
        "a": " ".join(sorted(scope.value for scope in token.scopes)),
        "n": token.name,
        "c": token.made_unix_seconds,
    }


def _token(item: Item) -> Token:
    scopes = frozenset(Scope(word) for word in str(item["a"]).split())
    expires = int(item["e"]) if "e" in item else None
    return Token(bytes.fromhex(str(item["s"])), scopes, str(item["n"]), int(item["c"]), expires)
