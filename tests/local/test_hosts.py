"""A Clew without tokens answers to its own names: a page whose name was bent to this machine has another."""

from __future__ import annotations

import http.client
import json

import pytest

from local.__main__ import Refused, settings_from_environment
from local.gateway import Gateway
from local.hosts import allowed_hosts_from, hosts_of
from local.judge import GatewayJudge, with_hosts
from local.server import Server, listening_socket
from tests.local.tiny_app import tiny_app

HERE = hosts_of("127.0.0.1", [8000, 4318, 80], ["clew.example", "proxy.example:8443"], opened=False)
OPENED = hosts_of("0.0.0.0", [8000], ["clew.example"], opened=True)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost:8000", "LOCALHOST:4318", "127.0.0.1:8000", "[::1]:8000", "localhost"),
        *("clew.example", "Clew.Example:99", "proxy.example:8443"),
        *("host.docker.internal:8000", "host.containers.internal:4318"),
    ],
)
def test_names_of_this_machine(host):
    """This machine's names at its ports, those that containers have for it, and those of the setting."""
    assert HERE.refusal(host, "/v1/traces") == ""


FOREIGN = [
    *("evil.example:8000", "evil.example", "localhost.evil.example:8000", "127.0.0.1.nip.io:8000"),
    *("evil-localhost:8000", "user@localhost:8000", "localhost:8000/x", "localhost:8000#"),
    *("localhost:80x", "localhost.:8000", "[::1", "evil.example:8000, localhost:8000", "internal."),
]


@pytest.mark.parametrize(
    "host",
    [
        *FOREIGN,
        *("localhost:9999", "127.0.0.1:1", "proxy.example:8444", "192.0.2.1:8000", "printer:8000"),
    ],
)
def test_other_names(host):
    """Any other name or port, and what is no name, is refused, and the setting named."""
    why = HERE.refusal(host, "/")
    assert "ALLOWED_HOSTS" in why
    assert "TOKEN" in why


@pytest.mark.parametrize(
    "host",
    [
        *("192.0.2.1:9000", "[2001:db8::1]:16686", "clew:4317", "127.0.0.1:9999", "clew.example"),
        *("laptop.local:8000", "clew.localhost", "host.docker.internal", "box.home.arpa"),
    ],
)
def test_opened_hosts_are_those_that_no_page_can_have(host):
    """Where others may ask, it is addresses and names that no page can have, at any port: it may be mapped."""
    assert OPENED.refusal(host, "/") == ""


@pytest.mark.parametrize("host", [each for each in FOREIGN if each != "evil-localhost:8000"])
def test_opened_to_no_page(host):
    """A name that somebody can register is refused there too."""
    assert OPENED.refusal(host, "/") != ""


def test_host_of_the_request_line():
    """A request line that names a host itself is held to the same."""
    assert HERE.refusal("localhost:8000", "http://localhost:8000/x") == ""
    assert HERE.refusal("localhost:8000", "http://evil.example/x") != ""
    assert HERE.refusal("localhost:8000", "http://[::1/x") != ""


def test_a_bad_host_is_refused_by_the_name_of_its_setting():
    """Names are separated by commas; what is no host is refused by the setting's name."""
    assert allowed_hosts_from(" a.example, B.example:80 ,,[::2]") == {
        *("a.example", "b.example:80", "::2")
    }
    assert settings_from_environment({"ALLOWED_HOSTS": "a.example"}).allowed_hosts == {"a.example"}
    for wrong in ("http://a.example", "*", "a b", "a:port", "u@a"):
        with pytest.raises(Refused, match="ALLOWED_HOSTS"):
            settings_from_environment({"ALLOWED_HOSTS": wrong})


@pytest.mark.parametrize("length", [2, 200_000])
def test_over_a_socket(length):
    """Whoever calls it by another name gets a 403 in words, whatever they ask, and no function sees it."""
    app = tiny_app()
    app.routes["/v1/traces"]["POST"].view_function = lambda: b"{}"
    listening = listening_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    hosts = hosts_of("127.0.0.1", [port], [], opened=False)
    gateway = Gateway(app)
    server = Server(with_hosts(gateway, hosts), [listening], GatewayJudge(gateway, hosts))
    server.start()
    try:
        for method, path in (("GET", "/"), ("POST", "/v1/traces"), ("GET", "/nowhere")):
            for host, expected in (("evil.example", 403), (f"localhost:{port}", 0)):
                body = bytes(length) if method == "POST" else None
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request(method, path, body, {"Host": host})
                response = connection.getresponse()
                content = response.read()
                connection.close()
                assert (response.status == 403) == (expected == 403)
                if expected:
                    assert "evil.example" in json.loads(content)["error"]["message"]
        assert {event["headers"]["Host"] for event in app.events} == {f"localhost:{port}"}
    finally:
        server.stop()
