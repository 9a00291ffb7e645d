"""Where the stages get their AWS clients: built on first use, kept while the function is warm.

botocore is used without boto3 on top: boto3 adds nothing that is used here, and half again to a cold start.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

from chalicelib import config
from chalicelib.queue.sqs import MessageSender, SqsDeadLetters, SqsSender
from chalicelib.signer import install_signer

if TYPE_CHECKING:
    from chalicelib.consume.dictionaries import Dictionaries
    from chalicelib.health import Health
    from chalicelib.http.access import Access
    from chalicelib.queue.sqs_redrive import DeadLetterQueue
    from chalicelib.store.dynamodb import DynamoStore
    from chalicelib.store.half_edge_cache import HalfEdgeCache
    from chalicelib.store.sampling import Strategies

# A Lambda behind API Gateway has 29 s; an SDK that retries longer than that loses the answer.
# Only typed adapters make the parameters: checking them against botocore's model costs a third of a write's time.
# botocore composes its own user agent twice a call, in a sixth of a call's time.
_CLIENT_CONFIG = Config(
    parameter_validation=False,
    user_agent="clew",
    connect_timeout=2,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": 3},
)
# Of /health: who asks it waits for two answers, and there is nothing that a second try would save.
_PROBE_CONFIG = Config(
    connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1}
)
_replaced: dict[str, Any] = {}


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def client(service: str) -> Any:
    """The botocore client of an AWS service, e.g. "sqs"."""
    created = _session().create_client(service, config=_CLIENT_CONFIG)
    install_signer(created)
    return created


@cache
def health() -> Health:
    """Whether the span queue and a table answer."""
    from chalicelib.health import Health
    from chalicelib.store.dynamodb import DynamoStore

    config_of_probes = _CLIENT_CONFIG.merge(_PROBE_CONFIG)
    sqs: Any = _session().create_client("sqs", config=config_of_probes)
    dynamodb: Any = _session().create_client("dynamodb", config=config_of_probes)
    probed = DynamoStore(dynamodb)
    return Health(
        {
            "the queue": lambda: sqs.get_queue_url(QueueName=config.SPAN_QUEUE),
            # A partition that is empty: what it costs does not grow with what is stored.
            "a table": lambda: list(probed.query(config.STATISTICS_TABLE, "health")),
        }
    )


@cache
def queue_url(name: str) -> str:
    """The URL of a queue of this account and region, looked up once."""
    url: str = client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    return url


@cache
def _sqs_sender() -> MessageSender:
    return SqsSender(client("sqs"), queue_url(config.SPAN_QUEUE))


def sender() -> MessageSender:
    """Where `receive` puts its messages."""
    replaced: MessageSender | None = _replaced.get("sender")
    return replaced or _sqs_sender()


def replace_sender(other: MessageSender) -> None:
    """Put something in front of the queue: the laptop stack's journal does this."""
    _replaced["sender"] = other


@cache
def dead_letters() -> SqsDeadLetters:
    """Where `store` puts what cannot be stored."""
    return SqsDeadLetters(client("sqs"), queue_url(config.DEAD_LETTER_QUEUE))


@cache
def dead_letter_queue() -> DeadLetterQueue:
    """The same queue, for those who look into it and send it back."""
    from chalicelib.queue.sqs_redrive import DeadLetterQueue

    url = queue_url(config.DEAD_LETTER_QUEUE)
    return DeadLetterQueue(client("sqs"), url, config.SPAN_QUEUE)


@cache
def store() -> DynamoStore:
    """The three tables."""
    from chalicelib.store.dynamodb import DynamoStore

    return DynamoStore(client("dynamodb"))


@cache
def dictionaries() -> Dictionaries:
    """What `store` compresses chunks with."""
    from chalicelib.consume.dictionaries import Dictionaries

    return Dictionaries(store())


@cache
def half_edge_cache() -> HalfEdgeCache:
    """What this function knows of the waiting half-edges: to fold, or to answer what is not folded yet."""
    from chalicelib.store.half_edge_cache import HalfEdgeCache

    return HalfEdgeCache()


@cache
def strategies() -> Strategies:
    """What clients are told of sampling."""
    from chalicelib.store.sampling import Strategies

    return Strategies(store())


@cache
def _access() -> Access:
    from chalicelib.http.access import Access
    from chalicelib.store.tokens import tokens_in

    return Access(lambda: tokens_in(store()))


def access() -> Access | None:
    """The access control; None if everyone may send and ask."""
    return None if config.ACCESS_OPEN else _access()


def forget() -> None:
    """Drop every client: a test that starts another fake AWS begins here."""
    for kept in (
        _session,
        client,
        health,
        queue_url,
        _sqs_sender,
        dead_letters,
        dead_letter_queue,
        store,
        dictionaries,
        half_edge_cache,
        strategies,
        _access,
    ):
        kept.cache_clear()
    _replaced.clear()
