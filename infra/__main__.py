"""`python -m infra`: bring up the queue and the tables of one Clew on AWS, and make its access tokens."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, cast

import botocore.session

from infra import stack, tokens

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    parser.add_argument(
        "--prefix",
        help="the first part of every name, and the stack's name (default: CLEW_PREFIX, or clew)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring up, or bring up to date, the queue and the tables")
    tokens.add_commands(commands)
    arguments = parser.parse_args()
    if arguments.prefix:
        os.environ["CLEW_PREFIX"] = arguments.prefix
    from chalicelib import config, wiring

    if arguments.command == "up":
        client = botocore.session.get_session().create_client("cloudformation")
        outputs = stack.apply(cast("CloudFormationClient", client), config.PREFIX)
        for name, value in outputs.items():
            print(f"{name}: {value}")
        for scope, text in tokens.first_tokens(wiring.store()).items():
            print(f"Token to {scope.value}, shown this once: {text}")
        return 0
    try:
        arguments.run(wiring.store(), arguments)
    except tokens.Refused as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
