"""`python -m infra`: brings up a Clew on AWS, and manages its access tokens and dead letters."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import StoreError
from infra import dead_letters, deploy, tokens
from infra.stages import Refused, Stage, stage_named

if TYPE_CHECKING:
    from chalicelib.store.items import ItemStore


def arguments_from(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--stage", help="of .chalice/config.json, such as dev")
    which.add_argument("--prefix", help="of the queue's and the tables' names, such as clew-dev")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring up, or bring up to date, the queue and the tables")
    commands.add_parser("deploy", help="up, and then the functions and the API")
    undeploy = commands.add_parser("undeploy", help="delete the functions and the API")
    undeploy.add_argument("--delete-data", action="store_true", help="and the queue and the tables")
    undeploy.add_argument("--yes", action="store_true", help="do not ask")
    tokens.add_commands(commands)
    dead_letters.add_commands(commands)
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    arguments = arguments_from(words)
    try:
        stage = _stage(arguments)
        # The functions' modules read this setting when they are imported.
        os.environ["CLEW_PREFIX"] = stage.prefix
        _run(stage, arguments)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError, StoreError) as error:
        print(f"AWS refused: {error}", file=sys.stderr)
        return 1
    return 0


def _stage(arguments: argparse.Namespace) -> Stage:
    if arguments.stage is not None:
        return stage_named(arguments.stage)
    if arguments.command in ("deploy", "undeploy"):
        raise Refused(f"{arguments.command} needs --stage")
    return Stage(name="", prefix=arguments.prefix, gateway_stage="")


def _run(stage: Stage, arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "up":
            deploy.check_account()
            for name, value in deploy.up(stage).items():
                print(f"{name}: {value}")
            _tell_first_tokens()
        case "deploy":
            url = deploy.deploy(stage)
            print(f"\nClew answers at {url}/")
            print(f"Services send with OTEL_EXPORTER_OTLP_ENDPOINT={url}")
            print("              and OTEL_EXPORTER_OTLP_HEADERS=x-api-key=TOKEN")
            _tell_first_tokens()
        case "undeploy":
            confirmed = (lambda _: True) if arguments.yes else _confirmed
            deploy.undeploy(stage, delete_data=arguments.delete_data, confirmed=confirmed)
        case _:
            arguments.run(_store(), arguments)


def _tell_first_tokens() -> None:
    for scope, text in tokens.first_tokens(_store()).items():
        print(f"Token to {scope.value}, shown this once: {text}")


def _confirmed(question: str) -> bool:
    try:
        return input(f"{question} [yes/no] ").strip().lower() == "yes"
    except EOFError:
        return False


def _store() -> ItemStore:
    from chalicelib import wiring

    return wiring.store()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
