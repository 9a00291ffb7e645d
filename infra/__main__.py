"""`python -m infra --prefix clew-prod`: bring up the queue and the tables of one Clew on AWS."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, cast

import botocore.session

from chalicelib import config
from infra import stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    parser.add_argument(
        "--prefix",
        default=config.PREFIX,
        help="the first part of every name, and the stack's name (default: CLEW_PREFIX)",
    )
    prefix = parser.parse_args().prefix
    client = botocore.session.get_session().create_client("cloudformation")
    for name, value in stack.apply(cast("CloudFormationClient", client), prefix).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
