"""The AWS that a laptop stack runs on: moto in this process, or an endpoint that somebody else runs."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from chalicelib import wiring
from infra import stack

if TYPE_CHECKING:
    from collections.abc import Mapping

REGION = "us-east-1"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Aws(Protocol):
    discards: bool
    """Whether `stop` deletes all data."""

    def start(self, prefix: str, parameters: Mapping[str, str]) -> None:
        """Create the queues and tables of `prefix`; `parameters` are those of `stack.yaml`."""

    def expire(self, now_unix_seconds: int) -> None:
        """Delete items whose TTL is over, unless the AWS does so by itself."""

    def stop(self) -> None: ...


class Moto:
    """moto in this process: empty at `start`. The environment is changed so that no call reaches a real account."""

    discards = True

    def __init__(self, *, takes_shortcuts: bool = False) -> None:
        """takes_shortcuts: whether the functions' clients call moto's backends directly, past any fault injection."""
        self._takes_shortcuts = takes_shortcuts
        self._environment: dict[str, str] = {}
        self._mock: Any = None

    def start(self, prefix: str, parameters: Mapping[str, str]) -> None:
        # Each session would parse botocore's service models again; moto's imports alone make three sessions.
        botocore.session.create_loader = _loader
        self._environment = dict(os.environ)
        _replace_environment(isolated(self._environment))
        # Imported here: it costs a second.
        from moto import mock_aws

        from local.moto import mends, shortcut
        from local.moto.imports import import_cloudformation

        self._mock = mock_aws()
        self._mock.start()
        mends.apply()
        import_cloudformation()
        wiring.forget()
        stack.apply(client("cloudformation"), prefix, parameters)
        if self._takes_shortcuts:
            shortcut.take(wiring.client("sqs"), wiring.client("dynamodb"))

    def expire(self, now_unix_seconds: int) -> None:
        from local.moto.mends import expire_items

        expire_items(now_unix_seconds)

    def stop(self) -> None:
        wiring.forget()
        self._mock.stop()
        _replace_environment(self._environment)
        botocore.session.create_loader = create_loader


class Endpoint:
    """The AWS at AWS_ENDPOINT_URL. The stack is created if it is not there yet, and never changed."""

    discards = False

    def start(self, prefix: str, parameters: Mapping[str, str]) -> None:
        for name, value in defaults(os.environ).items():
            os.environ.setdefault(name, value)
        wiring.forget()
        if not _has_queue(prefix):
            stack.apply(client("cloudformation"), prefix, parameters)

    def expire(self, now_unix_seconds: int) -> None:
        pass

    def stop(self) -> None:
        wiring.forget()


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without anything that leads to a real account, a profile or another endpoint."""
    kept = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables that botocore needs and an emulator on this machine ignores: region and credentials."""
    if urlsplit(environment.get("AWS_ENDPOINT_URL", "")).hostname not in _LOOPBACK:
        return {}
    credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    has_own = "AWS_PROFILE" in environment or "AWS_ACCESS_KEY_ID" in environment
    return {"AWS_DEFAULT_REGION": REGION, **({} if has_own else credentials)}


def client(service: str) -> Any:
    """Return a client with longer timeouts than the functions' own have: a poller waits longer than they may."""
    patient = Config(connect_timeout=2, read_timeout=30, retries={"mode": "standard"})
    return botocore.session.get_session().create_client(service, config=patient)


@cache
def _loader(search_path: str | None = None) -> Loader:
    return create_loader(search_path)


def _has_queue(prefix: str) -> bool:
    sqs = client("sqs")
    try:
        sqs.get_queue_url(QueueName=f"{prefix}-spans")
    except sqs.exceptions.QueueDoesNotExist:
        return False
    return True


def _replace_environment(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
