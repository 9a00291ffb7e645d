"""moto's CloudFormation is imported without the services that nobody names, and whoever wants one still has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


def ran(program: str) -> str:
    """What a process of its own prints: here moto is imported already."""
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.slow
def test_only_what_is_named():
    """A started Moto has none of EC2's modules, and its queue and tables are there."""
    program = """
import sys
from local.fake_aws import Moto, client
moto = Moto()
moto.start("clew", {})
print(sorted(name for name in sys.modules if name.startswith("moto.ec2")))
print(sorted(client("dynamodb").list_tables()["TableNames"]))
"""
    assert ran(program) == "[]\n['clew-index', 'clew-spans', 'clew-statistics']"


@pytest.mark.slow
def test_imported_afterwards():
    """A service that is imported later is moto's own."""
    program = """
from local.moto.imports import import_cloudformation
import_cloudformation()
import moto.ec2.models
from moto.sns.models import sns_backends
print(type(moto.ec2.models.ec2_backends).__name__, type(sns_backends).__name__)
"""
    assert ran(program) == "BackendDict BackendDict"
