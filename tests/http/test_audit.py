"""What is told of who was refused and of who changed something, and that it stays little."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import config, wiring
from chalicelib.http import audit
from chalicelib.http.audit import LINES_A_MINUTE_MAX, Audit, Event
from chalicelib.model.token import Scope, digest_of
from infra.tokens import make_token
from local.fake_aws import Moto
from tests.test_app import sent

REFUSAL = Event("refused", "GET /v1/services", "401 no token", [], "192.0.2.1")
CHANGE = Event("done", "PUT /v1/sampling", "", ["0b54c9f1"], "2001:db8::1")


class Told:
    """An audit, its clock, and what it has told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[Event, int]] = []
        self.figures: dict[str, int] = {}
        self.audit = Audit(
            lambda event, untold: self.lines.append((event, untold)),
            lambda figures: self.figures.update(
                {name: self.figures.get(name, 0) + n for name, n in figures.items()}
            ),
            lambda: self.now,
        )


class TestAudit:
    def test_each_is_told(self):
        """What happens now and then is told each time, and counted by its kind."""
        told = Told()
        told.audit.tell(REFUSAL)
        told.audit.tell(CHANGE)
        told.audit.tell(REFUSAL)
        assert told.lines == [(REFUSAL, 0), (CHANGE, 0), (REFUSAL, 0)]
        assert told.figures == {"requests_refused": 2, "changes": 1}

    @given(st.lists(st.floats(0, 30), max_size=100))
    def test_never_many(self, pauses):
        """However many come, so many a minute are told, none of another kind is lost, and the sum is right."""
        told = Told()
        for pause in pauses:
            told.now += pause
            told.audit.tell(REFUSAL)
        assert len(told.lines) <= LINES_A_MINUTE_MAX * (1 + told.now // 60)
        told.audit.tell(CHANGE)
        assert told.lines[-1] == (CHANGE, 0)
        told.now += 60
        told.audit.tell(REFUSAL)
        assert told.figures["requests_refused"] == len(pauses) + 1

    @pytest.mark.parametrize("source", ["", "x\r\nrefused: y", "\u2028", "1.2.3", "127.0.0.1 evil"])
    def test_one_line(self, source):
        """Whatever stands where an address should, the line stays one, of our own words."""
        assert str(REFUSAL._replace(source_ip=source)) == (
            "refused: GET /v1/services, 401 no token (token -, from ?)"
        )

    def test_a_line_says_what_why_and_who(self):
        """A line says what, why, with which tokens and from where."""
        assert str(REFUSAL).endswith("(token -, from 192.0.2.1)")
        assert str(CHANGE) == "done: PUT /v1/sampling (token 0b54c9f1, from 2001:db8::1)"


@pytest.fixture(scope="module")
def aws():
    moto = Moto()
    moto.start(config.PREFIX, {})
    make_token(wiring.store(), [Scope.READ], "", "a-reader")
    make_token(wiring.store(), [Scope.CONFIGURE], "", "a-manager")
    make_token(wiring.store(), Scope, "", "an-expired", lifetime_seconds=0)
    yield
    moto.stop()


@pytest.fixture
def lines(aws, monkeypatch, caplog):
    """What was told since the test began, as log records of the application."""
    monkeypatch.setattr(config, "ACCESS_OPEN", False)
    monkeypatch.setattr(audit, "AUDIT", Audit(audit._write, audit._count))
    caplog.set_level(logging.INFO, "chalicelib.http.audit")
    return lambda: [r.getMessage() for r in caplog.records if r.name == "chalicelib.http.audit"]


def id_of(text: str) -> str:
    return digest_of(text).hex()[:8]


STRATEGIES = b'{"default_strategy":{"type":"probabilistic","param":0.5}}'


class TestRoutes:
    @pytest.mark.parametrize(
        ("headers", "status", "why", "token"),
        [
            ({}, 401, "no token", "-"),
            ({"x-api-key": "a-stranger"}, 401, "an unknown token", "-"),
            ({"x-api-key": "an-expired"}, 401, "an expired token", id_of("an-expired")),
            ({"x-api-key": "a-manager"}, 403, "no token of the scope read", id_of("a-manager")),
            ({"Origin": "https://a.example"}, 403, "a page of another origin", "-"),
        ],
    )
    def test_every_refusal_is_told_without_the_token_text(self, lines, headers, status, why, token):
        """Every refusal is told with its reason and the token's id, and no text of a token."""
        got = sent(
            "GET",
            "/v1/services/{service}/statistics",
            path_parameters={"service": "secret-service"},
            headers=headers,
        )
        assert got.status == status
        (line,) = lines()
        route = "GET /v1/services/{service}/statistics"
        assert line == f"refused: {route}, {status} {why} (token {token}, from 192.0.2.1)"

    def test_expired_says_so(self, lines):
        """Who shows an expired token reads that it has expired."""
        got = sent("GET", "/v1/services", headers={"Authorization": "Bearer an-expired"})
        assert got.status == 401
        assert "expired" in got.json["error"]["message"]
        got = sent("POST", "/v1/traces", headers={"x-api-key": "an-expired"}, body=b"{}")
        assert b"expired" in got.body

    def test_changes_are_told_with_who_made_them(self, lines):
        """A change of sampling and a redrive are told with who did it; one that was refused or failed is not done."""
        key = {"x-api-key": "a-manager"}
        assert sent("PUT", "/v1/sampling", headers=key, body=STRATEGIES).status == 200
        assert sent("POST", "/v1/dead-letters/redrive", headers=key).status == 200
        who = f"(token {id_of('a-manager')}, from 192.0.2.1)"
        told = [f"done: PUT /v1/sampling {who}", f"done: POST /v1/dead-letters/redrive {who}"]
        assert lines() == told
        assert sent("PUT", "/v1/sampling", headers=key, body=b"{").status == 400
        assert lines() == told

    def test_granted_is_not_told(self, lines):
        """Who may read is not told of."""
        assert sent("GET", "/v1/services", headers={"x-api-key": "a-reader"}).status == 200
        assert lines() == []

    def test_an_attack(self, lines):
        """A thousand refusals are ten lines."""
        for _ in range(1_000):
            sent("GET", "/v1/services", headers={"x-api-key": "a-stranger"})
        assert len(lines()) == LINES_A_MINUTE_MAX


def test_json_lines():
    """Deployed, the line is one JSON object with members of their own, and a metric beside it."""
    program = """
from chalicelib.http.audit import AUDIT, Event
AUDIT.tell(Event("done", "PUT /v1/sampling", "", ["0b54c9f1"], "192.0.2.1"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"CLEW_TELEMETRY": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    line, metric = map(json.loads, done.stdout.splitlines())
    assert line["message"] == "done: PUT /v1/sampling (token 0b54c9f1, from 192.0.2.1)"
    assert (line["route"], line["token_ids"]) == ("PUT /v1/sampling", ["0b54c9f1"])
    assert (line["source_ip"], line["function"]) == ("192.0.2.1", "api_handler")
    assert metric["changes"] == [1.0]
