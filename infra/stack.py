"""Applies `stack.yaml` through CloudFormation, in the same way on AWS, on an emulator and on moto."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_cloudformation import CloudFormationClient

TEMPLATE = Path(__file__).with_name("stack.yaml")


def apply(
    client: CloudFormationClient, prefix: str, parameters: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Create or update the stack `prefix` and return its outputs once it is complete.

    `parameters` are those of the template beside Prefix. Raises ClientError or WaiterError if CloudFormation
    refuses or rolls back; its own events then say why.
    """
    request: dict[str, Any] = {
        "StackName": prefix,
        "TemplateBody": TEMPLATE.read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in {"Prefix": prefix, **(parameters or {})}.items()
        ],
        # CloudFormation copies the tags to every resource of the stack that can have some.
        "Tags": [{"Key": key, "Value": value} for key, value in tags_of(prefix).items()],
    }
    if not exists(client, prefix):
        client.create_stack(**request)
        client.get_waiter("stack_create_complete").wait(StackName=prefix)
    elif _updated(client, request):
        client.get_waiter("stack_update_complete").wait(StackName=prefix)
    return outputs_of(client, prefix)


def tags_of(prefix: str) -> dict[str, str]:
    """Return the tags by which a bill and a search find the resources of a Clew."""
    return {"application": "clew", "clew-prefix": prefix}


def outputs_of(client: CloudFormationClient, prefix: str) -> dict[str, str]:
    """Return the outputs of a stack that exists."""
    stack = client.describe_stacks(StackName=prefix)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def exists(client: CloudFormationClient, prefix: str) -> bool:
    """Return whether there is a stack of that name."""
    try:
        client.describe_stacks(StackName=prefix)
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return False
        raise
    return True


def _updated(client: CloudFormationClient, request: dict[str, Any]) -> bool:
    """Start an update; return False if there is nothing to change, which CloudFormation reports as an error."""
    try:
        client.update_stack(**request)
    except ClientError as error:
        if "No updates" in error.response["Error"]["Message"]:
            return False
        raise
    return True
