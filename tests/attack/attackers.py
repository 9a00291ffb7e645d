"""A process of its own that attacks a Clew until it is told to end: `python -m tests.attack.attackers URL TOKEN SEED`.

It prints one JSON object a line: the name of what was sent, the status of the answer (0 if the connection ended), and
the seconds it took.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import threading
import time
from contextlib import closing
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tests.attack.hostile import HALF_SENT, bodies, questions

if TYPE_CHECKING:
    from collections.abc import Callable

BODY_ATTACKERS, ASKERS = 2, 8
NICENESS = 19
"""An attacker has a machine of its own: here it gets the time that Clew and its good clients leave."""
HALF_SENT_MAX = 60
"""Connections that are left half-sent at a time."""
ANSWER_SECONDS = 60
TRACE_ID = bytes(range(16))
"""Of the huge trace that is asked for."""


class Target(NamedTuple):
    host: str
    port: int
    token: str

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> int:
        """The status of the answer; 0 if none came."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_SECONDS)
        with closing(connection):
            try:
                connection.request(method, path, body, {**headers, "x-api-key": self.token})
                with connection.getresponse() as answer:
                    answer.read()
                    return answer.status
            except (OSError, http.client.HTTPException):
                return 0


def _tell(name: str, act: Callable[[], int]) -> None:
    began = time.monotonic()
    status = act()
    line = {"name": name, "status": status, "seconds": round(time.monotonic() - began, 3)}
    # In one write: lines of several threads do not mix.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _send_bodies(target: Target, seed: int) -> None:
    hostile = bodies()
    Random(seed).shuffle(hostile)
    compressed: dict[str, bytes] = {}
    for body in cycle(hostile):
        if body.name not in compressed:
            compressed[body.name] = body.sent
        sent = compressed[body.name]
        headers = {"Content-Type": body.media_type, "Content-Encoding": "gzip"}
        _tell(body.name, lambda: target.ask(body.method, body.path, sent, headers))  # noqa: B023


def _ask(target: Target, seed: int) -> None:
    asked = list(questions(TRACE_ID.hex(), time.time_ns() // 10**6).items())
    Random(seed).shuffle(asked)
    for name, path in cycle(asked):
        _tell(name, lambda: target.ask("GET", path, None, {}))  # noqa: B023


def _leave_half_sent(target: Target) -> None:
    """Opens connections, without a token, and leaves them as they are."""
    opened: list[socket.socket] = []
    for name, sent in cycle(HALF_SENT.items()):
        _tell(f"half-sent: {name}", lambda: _half_sent(target, sent, opened))  # noqa: B023
        while len(opened) > HALF_SENT_MAX:
            opened.pop(0).close()
        time.sleep(0.02)


def _half_sent(target: Target, sent: bytes, opened: list[socket.socket]) -> int:
    try:
        connection = socket.create_connection((target.host, target.port), timeout=5)
        opened.append(connection)
        connection.sendall(sent)
    except OSError:
        pass
    return 0


def main() -> None:
    os.nice(NICENESS)
    url, token, seed = urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    target = Target(url.hostname or "", url.port or 0, token)
    acts: list[tuple[Callable[..., None], tuple[object, ...]]] = [
        *((_send_bodies, (target, seed + number)) for number in range(BODY_ATTACKERS)),
        *((_ask, (target, seed + number)) for number in range(ASKERS)),
        (_leave_half_sent, (target,)),
    ]
    for act, arguments in acts:
        threading.Thread(target=act, args=arguments, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
