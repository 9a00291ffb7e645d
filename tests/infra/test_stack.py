"""What is deployed: the template, Chalice's configuration and what each function may do."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra import stack
from local.fake_aws import Moto, client

PROJECT = Path(__file__).parents[2]
CHALICE = PROJECT / ".chalice"
CONFIG = json.loads((CHALICE / "config.json").read_text())
FUNCTIONS = ("api_handler", "consume", "summarise")
POLICIES = [(stage, function) for stage in CONFIG["stages"] for function in FUNCTIONS]


@pytest.fixture(scope="module")
def outputs():
    moto = Moto()
    moto.start("clew-test", {})
    yield stack.outputs_of(client("cloudformation"), "clew-test")
    moto.stop()


class TestTemplate:
    @pytest.mark.parametrize(
        ("name", "types"), [("spans", "BB"), ("index", "SB"), ("statistics", "SS")]
    )
    def test_a_table_has_its_keys_and_is_paid_by_request(self, outputs, name, types):
        """A table has the keys p and s of its types, and is paid by the request."""
        table = client("dynamodb").describe_table(TableName=f"clew-test-{name}")["Table"]
        kinds = {
            one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]
        }
        keys = [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]]
        assert keys == [("p", "HASH"), ("s", "RANGE")]
        assert kinds["p"] + kinds["s"] == types
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    def test_the_queue_gives_a_message_twenty_tries(self, outputs):
        """The queue gives a message 20 calls of six consumer timeouts, then the dead-letter queue keeps it 14 days."""
        sqs = client("sqs")

        def attributes(url: str) -> Any:
            return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

        spans = attributes(outputs["SpanQueueUrl"])
        dead = attributes(outputs["DeadLetterQueueUrl"])
        redrive = json.loads(spans["RedrivePolicy"])
        assert redrive == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 20}
        timeout = CONFIG["stages"]["prod"]["lambda_functions"]["consume"]["lambda_timeout"]
        assert int(spans["VisibilityTimeout"]) == 6 * timeout
        assert int(spans["MessageRetentionPeriod"]) == 4 * 86_400
        assert int(dead["MessageRetentionPeriod"]) == 14 * 86_400
        assert {spans["SqsManagedSseEnabled"], dead["SqsManagedSseEnabled"]} == {"true"}
        assert spans["QueueArn"].endswith(":clew-test-spans")
        assert dead["QueueArn"].endswith(":clew-test-dead-letters")

    def test_over_tls_alone(self, outputs):
        """Neither queue gives or takes anything over a connection that is not encrypted, whoever asks."""
        for name in ("SpanQueueUrl", "DeadLetterQueueUrl"):
            got = client("sqs").get_queue_attributes(
                QueueUrl=outputs[name], AttributeNames=["Policy", "QueueArn"]
            )["Attributes"]
            (statement,) = json.loads(got["Policy"])["Statement"]
            assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
            assert statement["Action"] == "sqs:*"
            assert got["QueueArn"] in statement["Resource"]
            assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}

    def test_everything_in_a_stack_has_its_tags(self, outputs):
        """Everything in a stack is found by tags, which CloudFormation passes on."""
        (found,) = client("cloudformation").describe_stacks(StackName="clew-test")["Stacks"]
        tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
        assert tags == {"application": "clew", "clew-prefix": "clew-test"}

    def test_applying_a_template_again_changes_nothing(self, outputs):
        """Applying a template that is there already changes nothing."""
        assert stack.apply(client("cloudformation"), "clew-test") == outputs

    def test_what_moto_ignores(self):
        """Every table expires items by x, can be restored, stays when the stack goes, and needs no KMS key."""
        template = stack.TEMPLATE.read_text(encoding="utf-8")
        assert template.count("Type: AWS::DynamoDB::Table") == 3
        for line in (
            "DeletionProtectionEnabled: true",
            "DeletionPolicy: Retain",
            "UpdateReplacePolicy: Retain",
            "TimeToLiveSpecification: {AttributeName: x, Enabled: true}",
            "PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}",
        ):
            assert template.count(line) == 3
        assert "SSESpecification:" not in template

    @pytest.mark.slow
    def test_cfn_lint(self):
        """CloudFormation's own rules find nothing wrong with the template."""
        from cfnlint import lint  # type: ignore[import-untyped]

        assert lint(stack.TEMPLATE.read_text(encoding="utf-8"), regions=["us-east-1"]) == []


class TestChalice:
    @pytest.mark.parametrize("stage", CONFIG["stages"])
    def test_a_stage_has_its_own_prefix_and_path(self, stage):
        """A stage has its own prefix, is served under /clew, and leaves compression to the functions."""
        settings = CONFIG["stages"][stage]
        assert settings["environment_variables"] == {"CLEW_PREFIX": f"clew-{stage}"}
        assert settings["api_gateway_stage"] == "clew"
        assert settings["api_gateway_endpoint_type"] == "REGIONAL"
        assert settings["autogen_policy"] is False
        assert settings["tags"] == stack.tags_of(f"clew-{stage}")
        # The most there is: API Gateway would compress what is compressed already.
        assert settings["minimum_compression_size"] == 10_485_760

    @pytest.mark.parametrize("stage", CONFIG["stages"])
    def test_the_api_function_answers_within_gateway_time(self, stage):
        """The API answers within API Gateway's 29 s, and nobody's concurrency is reserved."""
        functions = CONFIG["stages"][stage]["lambda_functions"]
        limits = {n: (f["lambda_timeout"], f["lambda_memory_size"]) for n, f in functions.items()}
        assert limits == {
            "api_handler": (25, 512),
            "consume": (60, 1769),
            "summarise": (60, 1024),
        }
        # Lambda throttles what is above a reservation, and each throttled delivery counts as a receive.
        assert all("reserved_concurrency" not in function for function in functions.values())


def statements(stage: str, function: str) -> list[dict[str, Any]]:
    file = CONFIG["stages"][stage]["lambda_functions"][function]["iam_policy_file"]
    found: list[dict[str, Any]] = json.loads((CHALICE / file).read_text())["Statement"]
    return found


def allowed(stage: str, function: str) -> set[tuple[str, str]]:
    """Pairs of an action and a resource's last part."""
    return {
        (action, resource.rsplit(":", 1)[-1])
        for statement in statements(stage, function)
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


class TestPolicies:
    @pytest.mark.parametrize(("stage", "function"), POLICIES)
    def test_resources_are_named(self, stage, function):
        """A function may act on the queues, tables and log groups of its own stage, each by its name."""
        for statement in statements(stage, function):
            assert statement["Effect"] == "Allow"
            for resource in statement["Resource"]:
                name = resource.split(":", 5)[5]
                # Any partition: there are others in China and for governments.
                assert resource.split(":")[:5] == ["arn", "*", resource.split(":")[2], "*", "*"]
                assert f"clew-{stage}" in name
                assert "*" not in name.removesuffix(":*")

    @pytest.mark.parametrize(("stage", "function"), POLICIES)
    def test_actions_are_named(self, stage, function):
        """No action is a pattern, none reads a whole table, none makes or removes a queue or a table."""
        actions = {action for action, _ in allowed(stage, function)}
        assert not [action for action in actions if "*" in action]
        assert not [action for action in actions if "Scan" in action or "PartiQL" in action]
        assert not [
            a
            for a in actions
            if a.startswith(("dynamodb:Create", "sqs:Create", "dynamodb:DeleteT"))
        ]


def test_make_help():
    """`make` alone lists every command with a sentence, and does nothing."""
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    commands = [line.split()[1] for line in listed.splitlines()]
    documented = re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert commands == documented
    assert {"run", "deploy", "undeploy", "test", "deploy-check", "bench"} <= set(commands)
