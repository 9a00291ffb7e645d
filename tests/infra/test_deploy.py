"""What `make deploy` does beside Chalice, over moto: guards, and the check at the end."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra import __main__ as program
from infra import deploy
from infra.stages import Guards, Refused, Stage, stage_named
from local.fake_aws import Moto

STAGE = Stage("dev", "clew-dev", "clew", Guards(requests_per_second_max=7, log_retention_days=3))


@pytest.fixture
def aws(monkeypatch):
    # Of moto's services there is what templates name; these are asked for by their own clients.
    moto = Moto()
    moto.start("clew-dev", {})
    yield
    moto.stop()


def an_api() -> str:
    gateway = deploy.client("apigateway")
    api: str = gateway.create_rest_api(name="clew")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    method = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
    gateway.put_method(**method, authorizationType="NONE")
    gateway.put_integration(**method, type="MOCK")
    gateway.create_deployment(restApiId=api, stageName="clew")
    return api


def test_requests_are_bounded_and_logs_kept_for_a_time(aws):
    """Requests a second are bounded and logs kept for a time; again, over what is there, as well."""
    api = an_api()
    for _ in range(2):
        deploy.guard(STAGE, api)
    stage = deploy.client("apigateway").get_stage(restApiId=api, stageName="clew")
    settings = stage["methodSettings"]["*/*"]
    assert (settings["throttlingRateLimit"], settings["throttlingBurstLimit"]) == (7.0, 1_000)
    groups = deploy.client("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == dict.fromkeys(
        deploy.log_groups(STAGE), 3
    )


def test_delete_data(aws):
    """Deleting the data lifts the tables' protection, which nothing else does."""
    outputs = deploy._outputs(STAGE)
    dynamodb = deploy.client("dynamodb")
    with pytest.raises(dynamodb.exceptions.ClientError, match="DeletionProtectionEnabled"):
        dynamodb.delete_table(TableName="clew-dev-spans")
    deploy._delete_data(STAGE, outputs)
    assert dynamodb.list_tables()["TableNames"] == []


HASHED = '{"rules": [{"name": "a", "keys": ["a"], "action": "hash"}]}'
USABLE = [
    {},
    {"CLEW_REDACTION_RULES": '{"off": ["password"]}'},
    {"CLEW_REDACTION_RULES": HASHED, "CLEW_REDACTION_KEY": "k" * 16},
    {"CLEW_REDACTION_RULES": "{", "CLEW_REDACTION": "off"},
]
UNUSABLE = {
    "no JSON": ({"CLEW_REDACTION_RULES": "{"}, "not JSON"),
    "an unknown rule": ({"CLEW_REDACTION_RULES": '{"off": ["passwords"]}'}, "no built-in rule"),
    "no key": ({"CLEW_REDACTION_RULES": HASHED}, "CLEW_REDACTION_KEY"),
    "a short key": (
        {"CLEW_REDACTION_RULES": HASHED, "CLEW_REDACTION_KEY": "k"},
        "CLEW_REDACTION_KEY",
    ),
    "a file": ({"CLEW_REDACTION_RULES": "rules.json"}, "must be a JSON object itself"),
}


@pytest.mark.parametrize("environment", USABLE)
def test_usable_rules(environment):
    """Rules of redaction that can be used, or that are not, stop no deployment."""
    deploy.refuse_unusable_rules(STAGE._replace(environment=environment))


@pytest.mark.parametrize(("environment", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_rules_that_cannot_be_used(aws, tmp_path, monkeypatch, capsys, environment, says):
    """With own rules that cannot be used nothing is created or changed, and the program says why and fails."""
    (tmp_path / ".chalice").mkdir()
    block = {
        "environment_variables": {"CLEW_PREFIX": "unusable"},
        "api_gateway_stage": "clew",
        "lambda_functions": {"api_handler": {"environment_variables": environment}},
    }
    file = tmp_path / ".chalice" / "config.json"
    file.write_text(json.dumps({"stages": {"dev": block}}))
    stage = stage_named("dev", tmp_path)
    monkeypatch.setattr(program, "stage_named", lambda _: stage)
    monkeypatch.setenv("CLEW_PREFIX", "unusable")
    before = deploy.client("dynamodb").list_tables()["TableNames"]
    assert program.main(["--stage", "dev", "deploy"]) == 1
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
    assert deploy.client("dynamodb").list_tables()["TableNames"] == before


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_shipped_stages_have_every_guard_but_a_budget(stage):
    """The stages that come with Clew have every guard but a budget, which needs an address."""
    assert stage_named(stage).guards == Guards()


def test_unknown_guard(tmp_path):
    """A guard that is misspelt is refused by name, before anything is brought up."""
    (tmp_path / ".chalice").mkdir()
    block = {
        "environment_variables": {"CLEW_PREFIX": "a"},
        "api_gateway_stage": "clew",
        "guards": {"budget_usd": 1},
    }
    file = tmp_path / ".chalice" / "config.json"
    file.write_text(json.dumps({"stages": {"dev": block}}))
    with pytest.raises(Refused, match="budget_usd"):
        stage_named("dev", tmp_path)


class TestCheck:
    @pytest.fixture
    def url(self):
        """A server that is healthy from its third answer on."""
        answers = iter([503, 503])

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status = next(answers, 200)
                body = b'{"status":"ok"}' if status == 200 else b"{}"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/clew"
        server.shutdown()
        thread.join()
        server.server_close()

    def test_in_time(self, url):
        """Roles are known to AWS after some seconds: what does not answer yet is asked again."""
        pauses: list[float] = []
        deploy.check(url, pauses.append)
        assert len(pauses) == 2

    def test_what_never_answers_is_said_with_its_address(self):
        """What does not answer within a minute is said, with its address."""
        pauses: list[float] = []
        with pytest.raises(Refused, match=r"127\.0\.0\.1:9/clew/health does not answer"):
            deploy.check("http://127.0.0.1:9/clew", pauses.append)
        assert 30 <= sum(pauses) <= 60
