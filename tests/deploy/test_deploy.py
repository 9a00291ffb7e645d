"""The life of a deployment, on an emulator of AWS: the real commands, `chalice deploy`, and the stock exporter.

Proven here is what an emulator can prove: that Chalice deploys it, that gateway, functions, event source and schedule
find one another, and that the answers are the laptop's. The tests are one story, told in order.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import botocore.session
import pytest

from infra.deploy import gateway_responses
from local.stack import LaptopStack
from tests.e2e.shop import (
    CLIENT,
    CONSUMER,
    PRODUCER,
    Services,
    export,
    http,
    minutes_ago,
    trace_id_of,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

PROJECT = Path(__file__).parents[2]
SOON_SECONDS = 60.0
SCHEDULE_SECONDS = 180.0
"""The schedule runs each minute, begun at any second of it."""


class Batch(NamedTuple):
    """What one exporter sends at once."""

    spans: Sequence[ReadableSpan]


class Deployment:
    """An emulator, a copy of the project, and what the commands printed."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        _copy_project(self.project)
        self._log = (folder / "emulator.log").open("wb")
        self.port = _free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._emulator = self._started(folder)
        self.url = ""
        self.tokens: dict[str, str] = {}

    def _started(self, folder: Path) -> subprocess.Popen[bytes]:
        settings = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "STATE_DIR": str(folder / "state"),
        }
        process = subprocess.Popen(
            [os.environ["EMULATOR_PYTHON"], str(Path(__file__).with_name("emulator.py"))],
            env={**_without_aws(), **settings},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        wait_until(lambda: _is_listening(self.port) or process.poll() is not None, SOON_SECONDS)
        assert process.poll() is None, "the emulator has ended"
        return process

    def stop(self) -> None:
        """End the emulator, and the functions' processes, which are in its group."""
        os.killpg(self._emulator.pid, signal.SIGTERM)
        self._emulator.wait(SOON_SECONDS)
        self._log.close()

    @property
    def environment(self) -> dict[str, str]:
        return {
            **_without_aws(),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def infra(self, *words: str, stdin: str = "") -> tuple[int, str, str]:
        """`python -m infra --stage dev …`, in the copy: exit code and output."""
        done = subprocess.run(
            [sys.executable, "-m", "infra", "--stage", "dev", *words],
            cwd=self.project,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def deploy(self) -> None:
        code, printed, errors = self.infra("deploy")
        assert code == 0, printed + errors
        (self.url,) = re.findall(r"OTEL_EXPORTER_OTLP_ENDPOINT=(\S+)", printed)
        self.tokens |= dict(re.findall(r"Token to (\w+), shown this once: (\S+)", printed))

    def client(self, service: str) -> Any:
        return botocore.session.get_session().create_client(
            service,
            "us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        export(self.url, spans, headers={"x-api-key": self.tokens["ingest"]})

    def ask(self, path: str) -> Any:
        reply = http(self.url + path, headers={"Authorization": f"Bearer {self.tokens['read']}"})
        assert reply.status == 200, reply
        return reply.json


def _copy_project(to: Path) -> None:
    """What is deployed, and what deploys it: Chalice keeps what it has deployed beside its configuration."""
    kept = shutil.ignore_patterns("__pycache__", "deployed", "deployments")
    for name in ("chalicelib", "infra", ".chalice"):
        shutil.copytree(PROJECT / name, to / name, ignore=kept)
    for name in ("app.py", "requirements.txt"):
        shutil.copy(PROJECT / name, to / name)


def _without_aws() -> dict[str, str]:
    ours = ("AWS_", "CLEW_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module", autouse=True)
def localhost():
    """Whatever ends in .localhost is this machine (RFC 6761), also where the resolver does not know it."""
    resolve = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *more, **named: resolve(
                "127.0.0.1" if str(host).endswith(".localhost") else host, *more, **named
            ),
        )
        yield


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    one = Deployment(tmp_path_factory.mktemp("deployment"))
    try:
        one.deploy()
        yield one
    finally:
        one.stop()


class Sent(NamedTuple):
    trace_id: str
    batches: list[list[ReadableSpan]]
    """Of one service each."""


@pytest.fixture(scope="module")
def sent() -> Sent:
    """A trace over three services, one of them behind a queue, with a database; its services send for themselves."""
    services, start = Services(), minutes_ago(3)
    batches = []
    entry = services.span("front", "GET /order", start, 50)
    call = services.span("front", "GET", start, 40, kind=CLIENT, parent=entry)
    message = services.span("front", "send", start, 5, kind=PRODUCER, parent=entry)
    batches.append(services.take())
    work = services.span("orders", "GET /order/:id", start, 30, parent=call, is_error=True)
    database = {"db.system.name": "postgresql", "server.address": "orders-db"}
    services.span("orders", "SELECT", start, 9, kind=CLIENT, parent=work, attributes=database)
    batches.append(services.take())
    services.span("mail", "receive", start, 20, kind=CONSUMER, parent=message)
    batches.append(services.take())
    return Sent(trace_id_of(entry), batches)


def answers(ask: Callable[[str], Any], sent: Sent) -> dict[str, Any]:
    """What there is to ask about a trace, by path; times that depend on when it was asked left out."""
    paths = [
        f"/v1/traces/{sent.trace_id}",
        "/v1/traces?service=orders&status=error&attribute=service.version=1.2.3",
        "/v1/services",
        "/v1/services/orders/span_names",
        *(f"/v1/services/{name}/statistics?step=5m" for name in ("front", "orders", "mail")),
        "/v1/edges",
    ]
    return {path: _timeless(ask(path)) for path in paths}


def _timeless(answer: Any) -> Any:
    asked = ("start_time_unix_nano", "end_time_unix_nano")
    return {key: value for key, value in answer.items() if key not in asked}


def is_whole(ask: Callable[[str], Any], sent: Sent) -> bool:
    (trace,) = ask("/v1/traces?service=front")["traces"] or [{"span_count": 0}]
    return bool(trace["span_count"] == sum(map(len, sent.batches)))


def test_tokens_are_wanted(deployment):
    """Who shows no token is refused, who shows the wrong one too; health and the description are for everyone."""
    assert http(deployment.url + "/v1/services").status == 401
    ingest = {"x-api-key": deployment.tokens["ingest"]}
    assert http(deployment.url + "/v1/services", headers=ingest).status == 403
    assert http(deployment.url + "/health").status == 200
    assert http(deployment.url + "/openapi.json").json["openapi"] == "3.1.0"


def test_the_laptop_answers_the_same(deployment, sent):
    """What the stock exporter sent to the gateway comes out of it as it does on a laptop."""
    for spans in sent.batches:
        deployment.send(spans)
    wait_until(lambda: is_whole(deployment.ask, sent), SOON_SECONDS)
    with LaptopStack() as laptop:
        for spans in sent.batches:
            export(laptop.url, spans)
        laptop.wait_until_stored()
        expected = answers(lambda path: http(laptop.url + path).json, sent)
    assert expected["/v1/edges"]["edges"]
    assert answers(deployment.ask, sent) == expected


def test_what_go_sends(deployment):
    """A chunked request without an Accept header is accepted, and its answer is the protobuf that it is."""
    request = urllib.request.Request(
        f"{deployment.url}/v1/traces",
        data=iter([b""]),
        headers={
            "Content-Type": "application/x-protobuf",
            "x-api-key": deployment.tokens["ingest"],
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert (answer.status, answer.read()) == (200, b"")


def test_bad_input(deployment):
    """A bad request is refused in the sender's own protocol, through the gateway too."""
    headers = {"Content-Type": "application/json", "x-api-key": deployment.tokens["ingest"]}
    reply = http(f"{deployment.url}/v1/traces", "POST", b"{", headers)
    assert (reply.status, reply.json["code"]) == (400, 3)


def test_sampling_is_changed(deployment):
    """Who has a token to configure sets the sampling, and every client is told; a token to read does not."""
    code, printed, errors = deployment.infra("token", "new", "--scopes", "configure")
    assert code == 0, errors
    url, body = f"{deployment.url}/v1/sampling", b'{"default_strategy":{"param":0.25}}'
    # Functions know a new token within seconds.
    key = {"x-api-key": printed.strip()}
    wait_until(lambda: http(url, "PUT", body, key).status == 200, SOON_SECONDS)
    assert deployment.ask("/v1/sampling")["default_strategy"]["param"] == 0.25
    assert http(url, "PUT", body, {"x-api-key": deployment.tokens["read"]}).status == 403


def test_a_page_may_send(deployment):
    """A preflight reaches the function, which allows a page of any origin to send, and none to read."""
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,traceparent",
    }
    told = http(f"{deployment.url}/v1/traces", "OPTIONS", headers=asked)
    assert told.status == 200
    assert told.headers["access-control-allow-origin"] == "https://app.example"
    assert told.headers["access-control-allow-headers"] == "content-type,traceparent"
    asked["Access-Control-Request-Method"] = "GET"
    told = http(f"{deployment.url}/v1/services", "OPTIONS", headers=asked)
    assert "access-control-allow-origin" not in told.headers


def test_a_stage_is_bounded_in_cost_and_its_tables_are_kept(deployment):
    """What a stage may cost is bounded: requests a second, logs that are kept; tables are not deleted by a slip."""
    gateway = deployment.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    stage = gateway.get_stage(restApiId=api["id"], stageName="clew")
    settings = stage["methodSettings"]["*/*"]
    assert (settings["throttlingRateLimit"], settings["throttlingBurstLimit"]) == (500.0, 1_000)
    groups = deployment.client("logs").describe_log_groups()["logGroups"]
    kept = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    for name in ("clew-dev", "clew-dev-consume", "clew-dev-summarise"):
        assert kept[f"/aws/lambda/{name}"] == 30
    dynamodb = deployment.client("dynamodb")
    for name in dynamodb.list_tables()["TableNames"]:
        assert dynamodb.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"]
    for name in deployment.client("lambda").list_functions()["Functions"]:
        tags = deployment.client("lambda").list_tags(Resource=name["FunctionArn"])["Tags"]
        assert tags["application"] == "clew"


def test_over_https_alone(deployment):
    """Browsers are told to come by HTTPS alone, and queues take nothing that does not."""
    told = http(deployment.url + "/health").headers
    assert told["strict-transport-security"] == "max-age=31536000"
    sqs = deployment.client("sqs")
    for url in sqs.list_queues()["QueueUrls"]:
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        (statement,) = json.loads(got["Attributes"]["Policy"])["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_gateway_responses(deployment):
    """The gateway's own refusals are settled: what may pass is a 503 with Retry-After."""
    (api,) = deployment.client("apigateway").get_rest_apis()["items"]
    items = deployment.client("apigateway").get_gateway_responses(restApiId=api["id"])["items"]
    by_kind = {item["responseType"]: item for item in items}
    for kind in ("DEFAULT_5XX", "THROTTLED", "QUOTA_EXCEEDED"):
        assert by_kind[kind]["statusCode"] == "503"
        assert "gatewayresponse.header.Retry-After" in by_kind[kind]["responseParameters"]
    assert by_kind["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"
    for kind, response in gateway_responses().items():
        for template in response.get("responseTemplates", {}).values():
            assert json.loads(template)["error"]["message"]
            assert by_kind[kind]["responseTemplates"] == response["responseTemplates"]
    nowhere = http(deployment.url + "/nowhere")
    assert (nowhere.status, nowhere.json["error"]["code"]) == (404, "not_found")


def test_deploying_again_changes_nothing(deployment, sent):
    """Deploying again changes nothing: the same URL, one event source, and everything is still there."""
    url, tokens = deployment.url, dict(deployment.tokens)
    before = answers(deployment.ask, sent)
    deployment.deploy()
    assert (deployment.url, deployment.tokens) == (url, tokens)
    mappings = deployment.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert len(mappings) == 1
    assert answers(deployment.ask, sent) == before


def test_from_another_checkout(deployment):
    """Where Chalice's note of the deployment is missing, nothing is deployed beside it, and nothing deleted."""
    note = deployment.project / ".chalice" / "deployed" / "dev.json"
    kept = note.rename(note.with_suffix(".kept"))
    for words in (("deploy",), ("undeploy", "--yes")):
        code, printed, errors = deployment.infra(*words)
        assert (code, printed, errors.count("\n")) == (1, "", 1)
        assert "dev.json" in errors
    kept.rename(note)
    assert len(deployment.client("apigateway").get_rest_apis()["items"]) == 1


def test_the_schedule_folds(deployment):
    """The schedule runs by itself, and folds what has arrived."""
    dynamodb = deployment.client("dynamodb")

    def is_folded() -> bool:
        key = {"p": {"S": "f|0"}, "s": {"S": "!"}}
        return "Item" in dynamodb.get_item(TableName="clew-dev-statistics", Key=key)

    wait_until(is_folded, SCHEDULE_SECONDS)


def test_undeploy_keeps_the_data(deployment, sent):
    """Undeploying must be confirmed; it takes down the functions, and a new deployment has the old traces."""
    before = answers(deployment.ask, sent)
    code, _, errors = deployment.infra("undeploy", stdin="no\n")
    assert (code, errors) == (1, "nothing was deleted\n")
    assert http(deployment.url + "/health").status == 200
    code, printed, errors = deployment.infra("undeploy", stdin="yes\n")
    assert code == 0, printed + errors
    assert deployment.client("lambda").list_functions()["Functions"] == []
    deployment.deploy()
    assert answers(deployment.ask, sent) == before


def test_undeploy_deletes_the_data_if_told(deployment):
    """With --delete-data nothing is left."""
    code, printed, errors = deployment.infra("undeploy", "--delete-data", "--yes")
    assert code == 0, printed + errors
    assert deployment.client("dynamodb").list_tables()["TableNames"] == []
    assert deployment.client("sqs").list_queues().get("QueueUrls", []) == []
    assert deployment.infra("undeploy", "--delete-data", "--yes")[0] == 0


def test_unknown_stage(deployment):
    """A stage that is not configured is refused in one line that names those that are."""
    done = subprocess.run(
        [sys.executable, "-m", "infra", "--stage", "nowhere", "deploy"],
        cwd=deployment.project,
        env=deployment.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "dev" in done.stderr
    assert urlsplit(deployment.url).hostname
