"""Brings up a stage on AWS, completes what Chalice cannot configure, checks it, and takes it down.

    up ──▶ chalice deploy ──▶ settle ──▶ guard ──▶ check     undeploy: chalice delete, and the data on request

`up` creates queues and tables (stack.yaml), `settle` sets the gateway's own answers (merge.json), `guard` sets the
limits that bound the cost. All steps are idempotent.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import botocore.session

from chalicelib.receive.redaction_rules import RedactionRulesError, rules_from
from infra import stack
from infra.stages import PROJECT, Refused, deployed_api_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_cloudformation import CloudFormationClient

    from infra.stages import Stage

GATEWAY_RESPONSES = PROJECT / "infra" / "merge.json"
"""The gateway's own answers; `chalice package --merge-template` reads the same file."""
APPLICATION = "clew"
"""Chalice's `app_name`: its functions' names begin with it."""
_TABLES = ("SpansTableArn", "IndexTableArn", "StatisticsTableArn")
_HEALTH_TIMEOUT_SECONDS = 30.0
_CHECKS_MAX, _CHECK_PAUSE_SECONDS = 12, 5.0


def client(service: str) -> Any:
    return botocore.session.get_session().create_client(service)


def up(stage: Stage) -> dict[str, str]:
    """Create or update queues and tables; return the stack's outputs."""
    budget = {
        "BudgetMonthlyUSD": str(stage.guards.budget_monthly_usd),
        "BudgetEmail": stage.guards.budget_email,
    }
    return stack.apply(cast("CloudFormationClient", client("cloudformation")), stage.prefix, budget)


def deploy(stage: Stage) -> str:
    """Bring up everything and return the base URL. Raises Refused if any part does not come up."""
    refuse_unusable_rules(stage)
    check_account()
    refuse_unknown_functions(stage)
    up(stage)
    _chalice("deploy", stage)
    api_id = deployed_api_id(stage)
    if api_id is None:
        raise Refused("chalice deploy has made no REST API")
    settle(stage, api_id)
    guard(stage, api_id)
    url = base_url(stage, api_id)
    check(url)
    return url


def refuse_unusable_rules(stage: Stage) -> None:
    """Check the stage's own redaction rules: with invalid ones the functions would refuse all spans. Raises Refused."""
    settings = stage.environment
    if settings.get("CLEW_REDACTION", "on") == "off":
        return
    rules = settings.get("CLEW_REDACTION_RULES", "").strip()
    where = f"CLEW_REDACTION_RULES of stage {stage.name} in .chalice/config.json"
    if rules and not rules.startswith("{"):
        raise Refused(
            f"{where} must be a JSON object itself: a function has no file of rules, "
            "and would answer 503 to all senders"
        )
    try:
        rules_from(rules, settings.get("CLEW_REDACTION_KEY", ""))
    except RedactionRulesError as error:
        raise Refused(
            f"{where} cannot be used, and the function would answer 503 to all senders: {error}"
        ) from error


def check_account() -> None:
    """Check that there are AWS credentials and a region. Raises Refused."""
    session = botocore.session.get_session()
    if session.get_credentials() is None:
        raise Refused("no AWS credentials: set AWS_PROFILE, or run `aws configure`")
    if not session.get_config_variable("region"):
        raise Refused("no AWS region: set AWS_DEFAULT_REGION, such as eu-central-1")


def refuse_unknown_functions(stage: Stage) -> None:
    """Check that this checkout's Chalice knows the functions that are deployed. Raises Refused.

    Otherwise Chalice would create a second API beside theirs, and could delete neither.
    """
    if deployed_api_id(stage) is not None:
        return
    name = f"{APPLICATION}-{stage.name}"
    aws_lambda = client("lambda")
    try:
        aws_lambda.get_function(FunctionName=name)
    except aws_lambda.exceptions.ResourceNotFoundException:
        return
    raise Refused(
        f"the function {name} is there, but .chalice/deployed/{stage.name}.json is not: "
        "bring that file from where it was deployed"
    )


def settle(stage: Stage, api_id: str) -> None:
    """Set the gateway's own answers, and deploy them.

    OTLP exporters drop data on 500, and older ones on 429: a temporary failure must be 503.
    """
    gateway = client("apigateway")
    for kind, response in gateway_responses().items():
        status = {"statusCode": response["statusCode"]} if "statusCode" in response else {}
        gateway.put_gateway_response(
            restApiId=api_id,
            responseType=kind,
            responseParameters=response.get("responseParameters", {}),
            responseTemplates=response.get("responseTemplates", {}),
            **status,
        )
    gateway.create_deployment(restApiId=api_id, stageName=stage.gateway_stage)


def guard(stage: Stage, api_id: str) -> None:
    """Limit the requests a second and the retention of logs: both bound the cost."""
    guards = stage.guards
    throttling = {
        "rateLimit": guards.requests_per_second_max,
        "burstLimit": guards.requests_burst_max,
    }
    client("apigateway").update_stage(
        restApiId=api_id,
        stageName=stage.gateway_stage,
        patchOperations=[
            {"op": "replace", "path": f"/*/*/throttling/{name}", "value": str(value)}
            for name, value in throttling.items()
        ],
    )
    # Chalice's log_retention_in_days cannot be used: it creates a wrong log group for the API's function.
    logs = client("logs")
    for group in log_groups(stage):
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        logs.put_retention_policy(logGroupName=group, retentionInDays=guards.log_retention_days)


def log_groups(stage: Stage) -> list[str]:
    """Return the names of the functions' log groups."""
    return [
        f"/aws/lambda/{APPLICATION}-{stage.name}{end}" for end in ("", "-consume", "-summarise")
    ]


def gateway_responses() -> dict[str, Any]:
    """Return the gateway responses by kind, in the form of OpenAPI's extension for API Gateway."""
    merged = json.loads(GATEWAY_RESPONSES.read_text(encoding="utf-8"))
    body = merged["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    responses: dict[str, Any] = body["x-amazon-apigateway-gateway-responses"]
    return responses


def base_url(stage: Stage, api_id: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the base URL of a REST API, without a slash at its end; with AWS_ENDPOINT_URL it is on that port."""
    emulator = urlsplit(environment.get("AWS_ENDPOINT_URL", ""))
    if emulator.hostname:
        return f"http://{api_id}.execute-api.localhost:{emulator.port}/{stage.gateway_stage}"
    region = botocore.session.get_session().get_config_variable("region")
    return f"https://{api_id}.execute-api.{region}.amazonaws.com/{stage.gateway_stage}"


def check(url: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Check that /health says that the function reaches its queue and its tables. Raises Refused.

    A role's permissions take some seconds to reach all of AWS, so this tries for a minute.
    """
    for _ in range(_CHECKS_MAX):
        try:
            return _check_once(url)
        except Refused as error:
            refused = error
        sleep(_CHECK_PAUSE_SECONDS)
    raise refused


def _check_once(url: str) -> None:
    address = urlsplit(url)
    is_emulator = (address.hostname or "").endswith(".localhost")
    # Not every resolver knows that whatever ends in .localhost is this machine (RFC 6761).
    host = "127.0.0.1" if is_emulator else address.hostname or ""
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, address.port, timeout=_HEALTH_TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"{address.path}/health", headers={"Host": address.netloc})
        answer = connection.getresponse()
        body = answer.read()
    except OSError as error:
        raise Refused(f"{url}/health does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200 or b'"ok"' not in body:
        raise Refused(
            f"{url}/health answers {answer.status}: {body[:200].decode(errors='replace')}"
        )


def undeploy(stage: Stage, *, delete_data: bool, confirmed: Callable[[str], bool]) -> None:
    """Delete functions, schedule and API, and with `delete_data` queues and tables. Raises Refused if not confirmed."""
    check_account()
    refuse_unknown_functions(stage)
    outputs = _outputs(stage)
    if delete_data:
        question = f"Delete stage {stage.name} and all its data: {len(_TABLES)} tables and 2 queues of {stage.prefix}?"
    else:
        question = (
            f"Delete the functions and the API of stage {stage.name}? Queues and tables stay."
        )
    if not confirmed(question):
        raise Refused("nothing was deleted")
    if deployed_api_id(stage) is not None:
        _chalice("delete", stage)
    if delete_data and outputs:
        _delete_data(stage, outputs)


def _delete_data(stage: Stage, outputs: Mapping[str, str]) -> None:
    cloudformation = client("cloudformation")
    cloudformation.delete_stack(StackName=stage.prefix)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stage.prefix)
    # The template has a policy that keeps the tables when the stack is deleted.
    dynamodb = client("dynamodb")
    for name in _TABLES:
        table = outputs[name].rpartition("/")[2]
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.get_waiter("table_exists").wait(TableName=table)
        dynamodb.delete_table(TableName=table)
        dynamodb.get_waiter("table_not_exists").wait(TableName=table)


def _outputs(stage: Stage) -> dict[str, str]:
    cloudformation = cast("CloudFormationClient", client("cloudformation"))
    return (
        stack.outputs_of(cloudformation, stage.prefix)
        if stack.exists(cloudformation, stage.prefix)
        else {}
    )


def _chalice(command: str, stage: Stage) -> None:
    program = "import sys; from chalice.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, command, "--stage", stage.name], cwd=PROJECT, check=False
    )
    if done.returncode:
        raise Refused(f"chalice {command} has failed; what it says is above")
