"""The emulators that run in processes of their own, on 127.0.0.1: where they are installed, started and ended.

`make contract` installs them; nothing here does. DynamoDB Local wants Java 17 or later as well.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import config
from infra import stack
from tests.contract.item_store import BINARY, MIXED, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PROJECT = Path(__file__).parents[2]
INSTALLED = PROJECT / ".venv-emulator"
MINISTACK = INSTALLED / "bin" / "ministack"
JARS = INSTALLED / "dynamodb-local"
LAUNCHER = Path(__file__).parent / "dynamodb_local" / "Loopback.java"
START_SECONDS_MAX = 60
"""A Java process on a busy machine takes five."""
CONNECTIONS = 16
"""As many as the kit's threads use at once."""


class Missing(NamedTuple):
    """Why an emulator cannot be started here."""

    reason: str
    may_be_missing: bool
    """In `make contract`: what it installs itself may not."""


def ministack_missing() -> Missing | None:
    if MINISTACK.exists():
        return None
    return Missing("ministack is not installed (make contract installs it)", False)


def dynamodb_local_missing() -> Missing | None:
    # javac: the launcher is compiled as it starts.
    if shutil.which("java") is None or shutil.which("javac") is None:
        return Missing("DynamoDB Local needs a Java development kit, and none is here", True)
    if any(JARS.glob("DynamoDBLocal-*.jar")):
        return None
    if shutil.which("mvn") is None:
        return Missing("DynamoDB Local is installed with Maven, which is not here", True)
    return Missing("DynamoDB Local is not installed (make contract installs it)", False)


@contextmanager
def ministack() -> Iterator[Callable[[str], Any]]:
    """Within: ministack runs with Clew's stack, and the given function makes a client of a service."""
    port = _free_port()
    settings = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "sqs,dynamodb,cloudformation",
        "PERSIST_STATE": "0",
    }
    with _running([str(MINISTACK)], settings, port):
        client = _clients(port)
        stack.apply(client("cloudformation"), config.PREFIX)
        yield client


@contextmanager
def dynamodb_local() -> Iterator[Any]:
    """Within: DynamoDB Local runs in memory with Clew's tables; a client of it."""
    port = _free_port()
    command = [
        # A short life: compile quickly, and collect with one thread.
        *("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
        *(f"-Djava.library.path={JARS}", "-cp", f"{JARS}/*", str(LAUNCHER)),
        *("-port", str(port), "-inMemory", "-sharedDb", "-disableTelemetry"),
    ]
    with _running(command, {"DDB_LOCAL_TELEMETRY": "0"}, port):
        dynamodb = _clients(port)("dynamodb")
        for table, kinds in ((TEXT, "SS"), (MIXED, "SB"), (BINARY, "BB")):
            _create_table(dynamodb, table, kinds)
        yield dynamodb


def _create_table(dynamodb: Any, table: str, kinds: str) -> None:
    attributes = [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in zip("ps", kinds, strict=True)
    ]
    keys = [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}]
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=attributes,
        KeySchema=keys,
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def _running(command: Sequence[str], settings: Mapping[str, str], port: int) -> Iterator[None]:
    """Within: the process answers on the port. It is ended by its own id."""
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            if not _answers(process, port):
                log.seek(0)
                raise AssertionError(f"{command[0]} did not start: {log.read()[-2_000:]!r}")
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether DynamoDB on the port lists its tables before long."""
    dynamodb = _clients(port)("dynamodb")
    end = time.monotonic() + START_SECONDS_MAX
    while process.poll() is None and time.monotonic() < end:
        try:
            dynamodb.list_tables()
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
        else:
            return True
    return False


def _clients(port: int) -> Callable[[str], Any]:
    return partial(client_at, f"http://127.0.0.1:{port}")


def client_at(url: str, service: str) -> Any:
    """A client that never retries by itself."""
    return botocore.session.get_session().create_client(
        service,
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id="contract",
        aws_secret_access_key="contract",
        config=Config(
            retries={"total_max_attempts": 1},
            max_pool_connections=CONNECTIONS,
            proxies={},
        ),
    )
