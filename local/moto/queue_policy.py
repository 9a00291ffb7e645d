"""`AWS::SQS::QueuePolicy` for moto's CloudFormation, which by itself would warn about it and leave it out.

moto finds its resources among the subclasses of CloudFormationModel: importing this module is enough.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.common_models import CloudFormationModel


class QueuePolicy(CloudFormationModel):
    """A policy of queues; moto stores it and does not enforce it."""

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name
        self.type = self.cloudformation_type()

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SQS::QueuePolicy"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return False

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> QueuePolicy:
        from moto.sqs.models import sqs_backends

        properties = cloudformation_json["Properties"]
        backend = sqs_backends[account_id][region_name]
        for url in properties["Queues"]:
            backend.get_queue(url.rpartition("/")[2]).policy = json.dumps(
                properties["PolicyDocument"]
            )
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> QueuePolicy:
        return cls.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> None:
        """Do nothing: the queues are deleted too, and the policy with them."""

    def is_created(self) -> bool:
        return True
