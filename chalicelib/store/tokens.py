"""Tokens as items of the table `statistics`, all in one partition, so that one query reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model.token import Scope, Token
from chalicelib.store.items import SORT_KEY, item_key
from chalicelib.store.layout import TOKENS_PARTITION

if TYPE_CHECKING:
    from chalicelib.store.items import Item, ItemStore

_SCOPES = "a"
_NAME = "n"
"""The name of the token's bearer, as text. Items with a version have that under the same letter; a token has no
version."""
_MADE = "c"
_EXPIRES = "e"
"""Not EXPIRY: DynamoDB would delete the item, and nobody could be told that the token has expired."""


def tokens_in(store: ItemStore) -> list[Token]:
    """Every token there is. Raises StoreThrottled or StoreError."""
    return [_token(item) for item in store.query(config.STATISTICS_TABLE, TOKENS_PARTITION)]


def put_token(store: ItemStore, token: Token) -> None:
    """Keep a token; functions that are warm know it within a few seconds."""
    store.put_batch(config.STATISTICS_TABLE, [_item(token)])


def delete_token(store: ItemStore, token: Token) -> None:
    """Forget a token; functions that are warm take it for up to a minute more."""
    store.delete_batch(config.STATISTICS_TABLE, [_item_key(token)])


def _item_key(token: Token) -> Item:
    return item_key(TOKENS_PARTITION, token.digest.hex())


def _item(token: Token) -> Item:
    expiry: Item = (
        {} if token.expires_unix_seconds is None else {_EXPIRES: token.expires_unix_seconds}
    )
    return {
        **expiry,
        **_item_key(token),
        _SCOPES: " ".join(sorted(scope.value for scope in token.scopes)),
        _NAME: token.name,
        _MADE: token.made_unix_seconds,
    }


def _token(item: Item) -> Token:
    scopes = frozenset(Scope(word) for word in str(item[_SCOPES]).split())
    expires = int(item[_EXPIRES]) if _EXPIRES in item else None
    return Token(
        bytes.fromhex(str(item[SORT_KEY])), scopes, str(item[_NAME]), int(item[_MADE]), expires
    )
