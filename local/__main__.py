"""`make run`: the laptop stack until Ctrl-C. Settings come from the environment; README.md lists them."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from local.hosts import allowed_hosts_from, hosts_of
from local.log import say_once_a_minute
from local.memory import share_one_heap
from local.server import PortTaken, datagram_socket, listening_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from local.hosts import Hosts
    from local.otlp_grpc import OtlpGrpc
    from local.stack import LaptopStack
    from local.ui_folder import UiFolder

HOST = "127.0.0.1"
PORT = 8000
COMPAT_PORTS = (4318, 9411, 14268, 16686, 5778)
"""The default ports of clients: OTLP/HTTP; Zipkin; Jaeger's collector, query service and sampling server."""
GRPC_PORT = 4317
"""The default port of OTLP/gRPC."""
AGENT_PORTS = (6831, 6832, 5775)
"""UDP ports that Jaeger's clients send to: compact, binary, and the old compact protocol. Each port takes both."""
TOKEN_CHARACTERS_MIN = 16
SWITCH_SECONDS = 0.0001
"""How long a thread may hold the interpreter lock while others wait; Python's default is fifty times as long. A request
releases the lock a dozen times, to hash, compress and write. Each time it would wait for the consumer, which rarely
releases it."""
FILES_MAX = 8_192
DATA_DIR = Path(__file__).parents[1] / ".data"

_Opened = TypeVar("_Opened")


class Refused(Exception):
    """The laptop cannot start; the message says why and what to do."""


class Settings(NamedTuple):
    host: str
    port: int
    compat_ports: bool
    data_dir: Path | None
    endpoint_url: str
    token: str
    """The token that every client must show; empty if no client needs one."""
    sampling_file: Path | None
    ui_dir: Path | None = None
    """The folder of another UI than Clew's."""
    is_opened: bool = False
    """Whether ACCESS=open is set: every machine that reaches the laptop may do what its own programs may."""
    allowed_hosts: frozenset[str] = frozenset()
    """Further names that a Host header may have where no token is needed."""

    @property
    def loopback(self) -> bool:
        return self.host in (HOST, "localhost", "::1")

    @property
    def open(self) -> bool:
        """Whether clients may send and ask without a token."""
        return (self.loopback or self.is_opened) and not self.token


def settings_from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings of the environment. An unset or empty variable has its default.

    Only an empty DATA_DIR is not the default: it means that no journal is kept. Raises Refused for an invalid value.
    """
    port = environment.get("PORT") or str(PORT)
    if not (port.isdecimal() and int(port) < 65_536):
        raise Refused(f"PORT is {port!r}; it must be a number from 0 to 65535")
    compat_ports = environment.get("COMPAT_PORTS") or "1"
    if compat_ports not in ("0", "1"):
        raise Refused(f"COMPAT_PORTS is {compat_ports!r}; it must be 0 or 1")
    endpoint_url = environment.get("AWS_ENDPOINT_URL", "")
    # An endpoint keeps its data by itself: replaying the journal into it at each start must be asked for.
    data_dir = environment.get("DATA_DIR", "" if endpoint_url else str(DATA_DIR))
    token = environment.get("TOKEN", "")
    if token and (len(token) < TOKEN_CHARACTERS_MIN or not token.isascii() or " " in token):
        raise Refused(
            f"TOKEN must have at least {TOKEN_CHARACTERS_MIN} ASCII characters, and no spaces"
        )
    access = environment.get("ACCESS") or "tokens"
    if access not in ("tokens", "open"):
        raise Refused(f"ACCESS is {access!r}; it must be tokens or open")
    if access == "open" and token:
        raise Refused("ACCESS=open asks for no token, and TOKEN is set: set one of them")
    settings = Settings(
        host=environment.get("HOST") or HOST,
        port=int(port),
        compat_ports=compat_ports == "1",
        data_dir=_path(data_dir),
        endpoint_url=endpoint_url,
        token=token,
        sampling_file=_path(environment.get("SAMPLING_FILE", "")),
        ui_dir=_path(environment.get("UI_DIR", "")),
        is_opened=access == "open",
        allowed_hosts=_allowed_hosts(environment.get("ALLOWED_HOSTS", "")),
    )
    # The tables of an endpoint may hold tokens; in this process there is no token but this one.
    if not (settings.open or token or endpoint_url):
        raise Refused(
            f"HOST={settings.host} would let every machine that reaches it send and read; "
            "set TOKEN to a secret that they must show, or ACCESS=open if they may, "
            "or leave HOST at 127.0.0.1"
        )
    return settings


def _allowed_hosts(text: str) -> frozenset[str]:
    try:
        return allowed_hosts_from(text)
    except ValueError as error:
        raise Refused(f"ALLOWED_HOSTS: {error}") from error


def _path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def ui_folder(settings: Settings) -> UiFolder | None:
    """Return the UI in UI_DIR, or None if UI_DIR is not set. Raises Refused if there is no UI, or no port for it."""
    if settings.ui_dir is None:
        return None
    from local.ui_folder import UiFolderError, ui_folder_at

    try:
        ui = ui_folder_at(settings.ui_dir)
    except UiFolderError as error:
        raise Refused(str(error)) from error
    if not settings.compat_ports and settings.port != ui.port:
        raise Refused(
            f"UI_DIR's UI is served at port {ui.port}, which COMPAT_PORTS=0 leaves out: "
            f"set COMPAT_PORTS=1 or PORT={ui.port}"
        )
    return ui


def open_sockets(settings: Settings) -> list[socket.socket]:
    """Return listening sockets, the main port first. Another port that is taken is reported and left out.

    Raises Refused if the main port cannot be listened on.
    """
    try:
        sockets = [listening_socket(settings.host, settings.port)]
    except PortTaken as error:
        raise Refused(f"{error}; set PORT to another") from error
    except OSError as error:
        raise Refused(f"cannot listen on {settings.host}:{settings.port}: {error}") from error
    ports = [settings.port] if settings.port and settings.host == HOST else []
    # Some clients try `localhost` as ::1 alone.
    others = [("::1", port) for port in ports]
    if settings.compat_ports:
        ports = [port for port in COMPAT_PORTS if port != settings.port]
        others += [(host, port) for port in ports for host in _compat_hosts(settings)]
    return sockets + _opened(listening_socket, others)


def open_datagram_sockets(settings: Settings) -> list[socket.socket]:
    """Return the sockets of Jaeger's agent; none if a token is needed, for datagrams carry none.

    A port that is taken is reported and left out.
    """
    hosts = _compat_hosts(settings) if settings.compat_ports and settings.open else []
    return _opened(datagram_socket, [(host, port) for port in AGENT_PORTS for host in hosts])


def open_otlp_grpc(settings: Settings) -> OtlpGrpc | None:
    """Return a gRPC server bound to the default port, or None if no such port is wanted. A taken port is reported."""
    if not settings.compat_ports or settings.port == GRPC_PORT:
        return None
    from local.otlp_grpc import OtlpGrpc

    otlp_grpc = OtlpGrpc()
    _opened(otlp_grpc.bind, [(host, GRPC_PORT) for host in _compat_hosts(settings)])
    return otlp_grpc


def _compat_hosts(settings: Settings) -> list[str]:
    return [HOST, "::1"] if settings.loopback else [settings.host]


def _opened(
    open_at: Callable[[str, int], _Opened], addresses: Iterable[tuple[str, int]]
) -> list[_Opened]:
    opened = []
    for host, port in addresses:
        try:
            opened.append(open_at(host, port))
        except PortTaken as error:
            _say_aside(f"{error}; going on without it")
        except OSError:
            pass  # no IPv6 on this machine
    return opened


def lines_for(settings: Settings, url: str, ui: UiFolder | None = None) -> list[str]:
    """Return the lines that a person reads after the start: where to send, where to look, what is kept."""
    kept = f"in {settings.data_dir}" if settings.data_dir else "nowhere: DATA_DIR is empty"
    if settings.endpoint_url:
        kept = f"at {settings.endpoint_url}"
    lines = [
        f"Send spans:  OTEL_EXPORTER_OTLP_ENDPOINT={url}",
        f"Look:        {url}/",
        f"Kept:        {kept}",
        "Ctrl-C ends it.",
    ]
    if ui:
        host = url.rpartition(":")[0]
        lines.insert(2, f"Other UI:    {host}:{ui.port}{ui.base}/, from {settings.ui_dir}")
    if settings.sampling_file:
        lines.insert(-1, f"Sampling:    as {settings.sampling_file} says, also after it changes")
    if not settings.open:
        shown = "the token in TOKEN" if settings.token else "a token of its table"
        lines.insert(2, f"Access:      with {shown}, as x-api-key or Authorization: Bearer")
    elif not settings.loopback:
        lines.insert(2, f"Access:      everybody who reaches {settings.host} may send and read")
    return lines


def refuse_arguments(arguments: Sequence[str]) -> None:
    """End the program if there are arguments. `--help` says that settings come from the environment."""
    ArgumentParser(
        prog="python -m local",
        description="Runs the whole of Clew on this machine until Ctrl-C.",
        epilog="Settings come from the environment: README.md lists them.",
    ).parse_args(arguments)


def main() -> int:
    refuse_arguments(sys.argv[1:])
    ended = threading.Event()
    sys.setswitchinterval(SWITCH_SECONDS)
    share_one_heap()
    _allow_many_files()
    # Before the laptop runs there is nothing to end in order, and an exception in an import would show a traceback.
    numbers = _ending_signals()
    for number in numbers:
        signal.signal(number, _end_at_once)
    try:
        settings = settings_from_environment(os.environ)
        ui = ui_folder(settings)
        laptop = _started(settings, ui)
    except Refused as error:
        _say_aside(str(error))
        return 1
    for number in numbers:
        signal.signal(number, lambda *_: _end_at_once() if ended.is_set() else ended.set())
    print("\n".join(lines_for(settings, laptop.url.replace("0.0.0.0", HOST), ui)), flush=True)
    ended.wait()
    laptop.stop()
    return 0


def _allow_many_files() -> None:
    """Raise the limit of open files to FILES_MAX, as far as the system allows. gRPC's connections need files too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _ending_signals() -> list[signal.Signals]:
    """Return the signals that end the laptop in order; SIGHUP is one of them, unless `nohup` has it ignored."""
    asked = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        asked.append(signal.SIGHUP)
    return asked


def _started(settings: Settings, ui: UiFolder | None) -> LaptopStack:
    sockets = open_sockets(settings)
    if ui and not _listens_at(ui.port, sockets):
        raise Refused(f"UI_DIR's UI is served at port {ui.port}, which another process has taken")
    datagram_sockets = open_datagram_sockets(settings)
    otlp_grpc = open_otlp_grpc(settings)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="clew: %(message)s")
    say_once_a_minute()
    for library in ("botocore", "urllib3", "waitress", "moto"):
        logging.getLogger(library).setLevel(logging.ERROR)
    # Metrics for CloudWatch and JSON log lines would hide what a person looks for.
    os.environ.setdefault("CLEW_TELEMETRY", "0")
    # The functions read this setting when they are imported.
    os.environ["CLEW_ACCESS"] = "open" if settings.open else "tokens"
    # Imported once the port is ours: the imports take most of the time of a start.
    from botocore.exceptions import BotoCoreError, ClientError

    from chalicelib.receive.redaction import rules_of_settings
    from chalicelib.receive.redaction_rules import RedactionRulesError
    from local import fake_aws
    from local.journal import JournalError
    from local.sampling_file import SamplingFileError
    from local.stack import LaptopStack

    try:
        rules_of_settings()
    except RedactionRulesError as error:
        raise Refused(f"CLEW_REDACTION_RULES: {error}") from error
    aws = fake_aws.Endpoint() if settings.endpoint_url else fake_aws.Moto(takes_shortcuts=True)
    try:
        return LaptopStack(
            sockets=sockets,
            datagram_sockets=datagram_sockets,
            otlp_grpc=otlp_grpc,
            data_dir=settings.data_dir,
            aws=aws,
            token=settings.token,
            sampling_file=settings.sampling_file,
            ui=ui,
            hosts=_hosts(settings, sockets),
        ).start()
    except (JournalError, SamplingFileError) as error:
        raise Refused(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise Refused(f"AWS at {settings.endpoint_url or 'moto'} refused: {error}") from error


def _hosts(settings: Settings, sockets: list[socket.socket]) -> Hosts | None:
    """Return the names that a Host header may have; None, for any name, if a token is needed."""
    if not settings.open:
        return None
    ports = [each.getsockname()[1] for each in sockets]
    return hosts_of(settings.host, ports, settings.allowed_hosts, opened=not settings.loopback)


def _listens_at(port: int, sockets: list[socket.socket]) -> bool:
    """Return whether a socket of the main address's family listens at the port: people are told that address."""
    return any(
        each.family == sockets[0].family and each.getsockname()[1] == port for each in sockets
    )


def _end_at_once(*_: object) -> None:
    os._exit(0)


def _say_aside(line: str) -> None:
    print(f"clew: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
