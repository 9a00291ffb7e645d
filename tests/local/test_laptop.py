"""`python -m local`, as a process: what it says, what it refuses, how it ends."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.__main__ import (
    DATA_DIR,
    Refused,
    Settings,
    lines_for,
    refuse_arguments,
    settings_from_environment,
)

SECRET = "a-secret-of-two-dozen-characters"
PROJECT = Path(__file__).parents[2]


class Laptop:
    """The process, on the tiny application and a free port."""

    def __init__(self, folder: Path, **environment: str) -> None:
        (folder / "app.py").write_text(
            "from tests.local.tiny_app import tiny_app\napp = tiny_app()\n"
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        defaults = {"PORT": "0", "COMPAT_PORTS": "0", "DATA_DIR": str(folder / "data")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(PROJECT), **defaults, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def first_lines(self) -> str:
        """What it prints once it runs; empty if it ended."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        return "".join(lines)

    def ended(self) -> tuple[int, str]:
        """Exit code and standard error, once it has ended by itself."""
        errors = self.process.communicate(timeout=60)[1]
        return self.process.returncode, errors


@pytest.fixture
def laptop(tmp_path):
    started = []

    def start(**environment):
        started.append(Laptop(tmp_path, **environment))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def taken_port():
    """A port of 127.0.0.1 that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def send(printed: str, payload: bytes) -> int:
    port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", printed)[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/traces", payload)
    status = connection.getresponse().status
    connection.close()
    return status


class TestSettings:
    def test_without_settings_it_serves_this_machine_alone(self):
        """Without settings it is port 8000 of this machine alone, with the other ports, and keeps what it gets."""
        expected = Settings("127.0.0.1", 8000, True, DATA_DIR, "", "", None)
        assert settings_from_environment({}) == expected
        assert settings_from_environment({"PORT": "", "HOST": "", "COMPAT_PORTS": ""}) == expected

    def test_no_journal(self):
        """An empty DATA_DIR keeps nothing; with a foreign endpoint that is the default, for it keeps its own."""
        assert settings_from_environment({"DATA_DIR": ""}).data_dir is None
        foreign = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
        assert settings_from_environment(foreign).data_dir is None
        assert settings_from_environment({**foreign, "DATA_DIR": "/x"}).data_dir == Path("/x")

    def test_sampling_file(self):
        """Its path is made absolute, and said where it is set."""
        settings = settings_from_environment({"SAMPLING_FILE": "~/sampling.json"})
        assert settings.sampling_file == Path.home() / "sampling.json"
        assert str(settings.sampling_file) in "\n".join(lines_for(settings, "http://h:1"))
        assert settings_from_environment({"SAMPLING_FILE": ""}).sampling_file is None

    @pytest.mark.parametrize(
        "environment",
        [
            *({"PORT": "http"}, {"PORT": "65536"}, {"PORT": "-1"}, {"COMPAT_PORTS": "no"}),
            *({"TOKEN": "short"}, {"TOKEN": "with spaces in between"}, {"TOKEN": "ä" * 20}),
            {"ACCESS": "all"},
        ],
    )
    def test_a_value_that_cannot_be_is_refused_by_name(self, environment):
        """A value that cannot be is refused by name."""
        (name,) = environment
        with pytest.raises(Refused, match=name):
            settings_from_environment(environment)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
    def test_open_host(self, host):
        """Nothing is opened to other machines without a token: it is refused, and said what to do."""
        with pytest.raises(Refused, match="TOKEN"):
            settings_from_environment({"HOST": host})
        settings = settings_from_environment({"HOST": host, "TOKEN": SECRET})
        assert not settings.open
        said = "\n".join(lines_for(settings, "http://h:1"))
        assert "token" in said
        assert SECRET not in said

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
    def test_programs_of_this_machine_need_no_token_unless_set(self, host):
        """This machine's own programs need no token, unless one is set."""
        assert settings_from_environment({"HOST": host}).open
        assert not settings_from_environment({"HOST": host, "TOKEN": SECRET}).open

    def test_opened_host(self):
        """Whoever wants it open to other machines says so by name; it is said at the start. Not beside a token."""
        settings = settings_from_environment({"HOST": "0.0.0.0", "ACCESS": "open"})
        assert settings.open
        assert "everybody who reaches 0.0.0.0" in "\n".join(lines_for(settings, "http://h:1"))
        assert "ccess" not in "\n".join(lines_for(settings_from_environment({}), "http://h:1"))
        with pytest.raises(Refused, match="one of them"):
            settings_from_environment({"HOST": "0.0.0.0", "ACCESS": "open", "TOKEN": SECRET})
        closed = {"HOST": "0.0.0.0", "ACCESS": "tokens", "TOKEN": SECRET}
        assert not settings_from_environment(closed).open

    def test_foreign_tokens(self):
        """A foreign AWS may hold tokens of its own, so they are wanted, and TOKEN is not."""
        environment = {"HOST": "0.0.0.0", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
        assert not settings_from_environment(environment).open


def test_port_taken(laptop, taken_port):
    """A main port that is taken is one line on standard error and exit code 1, whatever else would go wrong."""
    code, errors = laptop(PORT=str(taken_port), DATA_DIR="/proc/nowhere").ended()
    assert code == 1
    assert errors.count("\n") == 1
    assert f"port {taken_port} " in errors
    assert "PORT" in errors


def test_bad_setting(laptop):
    """A bad setting is one line on standard error and exit code 1."""
    code, errors = laptop(PORT="http").ended()
    assert (code, errors.count("\n")) == (1, 1)


def test_bad_ui_dir(laptop, tmp_path):
    """A folder without a page is one line on standard error that names it, and exit code 1."""
    code, errors = laptop(UI_DIR=str(tmp_path)).ended()
    assert (code, errors.count("\n")) == (1, 1)
    assert f"UI_DIR is {tmp_path}" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ('{"default_strategy": {"param": 7}}', "default_strategy.param must be from 0 to 1"),
        ('{"serviceStrategies": []}', "no member 'serviceStrategies'"),
    ],
)
def test_bad_sampling_file(laptop, tmp_path, content, reason):
    """A file that is not there, or that is wrong, is one line that names file and fault, and exit code 1."""
    path = tmp_path / "sampling.json"
    if content is not None:
        path.write_text(content)
    code, errors = laptop(SAMPLING_FILE=str(path)).ended()
    assert (code, errors.count("\n")) == (1, 1)
    assert str(path) in errors
    assert reason in errors


@pytest.mark.slow
def test_whole_life(laptop, tmp_path):
    """It says where to send, look and find things, takes spans, survives SIGKILL by its journal, and ends cleanly."""
    first = laptop()
    printed = first.first_lines()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:" in printed
    assert str(tmp_path / "data") in printed
    assert send(printed, b"kept over a kill") == 200
    second = laptop()
    code, errors = second.ended()
    assert (code, errors.count("\n")) == (1, 1)
    assert "in use by another Clew" in errors
    first.process.kill()
    first.process.communicate()
    third = laptop()
    third.first_lines()
    third.process.send_signal(signal.SIGINT)
    assert third.ended() == (0, "")
    assert (tmp_path / "data" / "journal").stat().st_size > 50


@pytest.mark.slow
@pytest.mark.parametrize("port", [4317, 4318])
@pytest.mark.usefixtures("well_known_ports")
def test_other_port_taken(laptop, port):
    """A well-known port that is taken, gRPC's too, is said in a line; the rest starts, and SIGTERM ends it."""
    try:
        taken = socket.create_server(("127.0.0.1", port))
    except OSError:
        taken = socket.socket()  # somebody else has it: as good
    with taken:
        running = laptop(COMPAT_PORTS="1")
        printed = running.first_lines()
        assert send(printed, b"span") == 200
        running.process.send_signal(signal.SIGTERM)
        code, errors = running.ended()
    assert code == 0
    assert f"port {port} of 127.0.0.1 is taken by another process; going on without it" in errors


@pytest.mark.slow
@pytest.mark.usefixtures("well_known_ports")
def test_ui_port_taken(laptop, tmp_path):
    """Where the port of UI_DIR's UI is taken, it does not start without it: that is said, and exit code 1."""
    (tmp_path / "index.html").write_text("<head>")
    try:
        taken = socket.create_server(("127.0.0.1", 16686))
    except OSError:
        taken = socket.socket()  # somebody else has it: as good
    with taken:
        code, errors = laptop(COMPAT_PORTS="1", UI_DIR=str(tmp_path)).ended()
    assert code == 1
    assert "UI_DIR's UI is served at port 16686, which another process has taken" in errors


@pytest.mark.slow
def test_interrupted_start(laptop):
    """Ctrl-C during the start, once the port is taken, ends it without a word."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    starting = laptop(PORT=str(port))
    while not _is_listening(port):
        assert starting.process.poll() is None
    starting.process.send_signal(signal.SIGINT)
    assert starting.ended() == (0, "")


def _is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("--port=1", 2)])
def test_arguments_start_nothing(argument, status, capsys):
    """Whoever asks for help, or gives a setting as an argument, is told where settings come from."""
    with pytest.raises(SystemExit) as ended:
        refuse_arguments([argument])
    assert ended.value.code == status
    said = capsys.readouterr()
    assert "python -m local" in said.out + said.err
