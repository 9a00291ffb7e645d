"""What `chalice package` makes: a template for CloudFormation and for Terraform, and a zip that Lambda can import."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PROJECT = Path(__file__).parents[2]
MERGE = PROJECT / "infra" / "merge.json"
ZIP_BYTES_MAX = 15_000_000
LAMBDA_BRINGS = ("botocore", "jmespath", "dateutil", "urllib3", "six")
"""Lambda's image has boto3 and what that needs."""
UNWANTED = (
    *("boto3", "botocore", "moto", "pytest", "_pytest", "hypothesis", "mypy", "ruff", "waitress"),
    *(
        "infra",
        "local",
        "tests",
        "bench",
        "capacity",
        "docs",
        "grpc",
        "google/rpc",
        "grpc_tools",
        "zstandard",
        "opentelemetry/sdk",
    ),
)
_ELF_MACHINES = {"x86_64": 62, "arm64": 183}

pytestmark = pytest.mark.slow


class Package(NamedTuple):
    template: dict[str, Any]
    zip_path: Path
    architecture: str


def copied_project(folder: Path, architecture: str) -> Path:
    """What Chalice packages, with an architecture of its own."""
    project = folder / "project"
    kept = shutil.ignore_patterns("__pycache__", "deployed", "deployments")
    for name in ("chalicelib", ".chalice"):
        shutil.copytree(PROJECT / name, project / name, ignore=kept)
    for name in ("app.py", "requirements.txt"):
        shutil.copy(PROJECT / name, project / name)
    configured = project / ".chalice" / "config.json"
    config = json.loads(configured.read_text())
    config["lambda_architecture"] = architecture
    configured.write_text(json.dumps(config))
    return project


def chalice(project: Path, *words: str) -> None:
    program = "import sys; from chalice.cli import main; sys.exit(main())"
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def packaged(architecture: str) -> Package:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    project = copied_project(folder, architecture)
    chalice(project, "package", "--stage", "dev", "--merge-template", str(MERGE), str(folder))
    template = json.loads((folder / "sam.json").read_text())
    return Package(template, folder / "deployment.zip", architecture)


@pytest.fixture(params=sorted(_ELF_MACHINES))
def package(request):
    return packaged(request.param)


def test_the_package_is_far_below_its_limit(package):
    """The zip is far below 15 MB: what is not in it need not be loaded at a cold start."""
    assert package.zip_path.stat().st_size < ZIP_BYTES_MAX


def test_the_package_has_only_what_the_functions_need(package):
    """The zip has the application, the dictionary and its libraries, and nothing that only development needs."""
    names = zipfile.ZipFile(package.zip_path).namelist()
    assert {"app.py", "chalicelib/config.py", "chalicelib/store/dictionary_2.zdict"} <= set(names)
    assert any(name.startswith("orjson/") for name in names)
    assert [name for name in names if name.startswith(tuple(f"{each}/" for each in UNWANTED))] == []


def test_compiled_libraries_fit_the_architecture(package):
    """Every compiled library in the zip is for the architecture that was asked for."""
    archive = zipfile.ZipFile(package.zip_path)
    libraries = [name for name in archive.namelist() if name.endswith(".so")]
    assert len(libraries) >= 3
    for name in libraries:
        machine = int.from_bytes(archive.read(name)[18:20], "little")
        assert machine == _ELF_MACHINES[package.architecture], name


def test_the_template_has_the_functions_and_their_sources(package):
    """The template has the three functions of that architecture, the event source, the schedule, and what is merged."""
    resources = package.template["Resources"]
    functions = {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    handlers = {properties["Handler"] for properties in functions.values()}
    assert handlers == {
        "app.app",
        "chalicelib.functions.consume.consume",
        "chalicelib.functions.summarise.summarise",
    }
    for properties in functions.values():
        assert properties["Architectures"] == [package.architecture]
    events = [
        event["Type"] for one in functions.values() for event in one.get("Events", {}).values()
    ]
    assert sorted(events) == ["SQS", "Schedule"]
    body = resources["RestAPI"]["Properties"]["DefinitionBody"]
    assert set(body["x-amazon-apigateway-gateway-responses"]) >= {"DEFAULT_5XX", "THROTTLED"}
    assert body["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    assert "/v1/traces" in body["paths"]


def test_each_handler_imports_in_a_clean_interpreter(package, tmp_path):
    """In a clean interpreter with Lambda's own libraries alone, each handler is there, and one request is answered."""
    if package.architecture != "x86_64" or os.uname().machine != "x86_64":
        assert (
            package.zip_path.exists()
        )  # compiled for another machine: test_architecture looks at it
        return
    zipfile.ZipFile(package.zip_path).extractall(tmp_path / "task")
    brought = tmp_path / "runtime"
    brought.mkdir()
    for name in LAMBDA_BRINGS:
        found = importlib.util.find_spec(name)
        assert found
        assert found.origin
        origin = Path(found.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (brought / source.name).symlink_to(source)
    program = f"""
import sys
sys.path[:0] = [{str(tmp_path / "task")!r}, {str(brought)!r}]
from chalicelib.functions.consume import consume
from chalicelib.functions.summarise import summarise
import app
event = {{"resource": "/openapi.json", "path": "/openapi.json", "httpMethod": "GET", "headers": {{}},
    "multiValueHeaders": {{}}, "multiValueQueryStringParameters": None, "pathParameters": None,
    "stageVariables": None, "body": None, "isBase64Encoded": False,
    "requestContext": {{"resourcePath": "/openapi.json", "httpMethod": "GET", "path": "/clew/openapi.json"}}}}
print(app.app(event, None)["statusCode"], callable(consume), callable(summarise))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_DEFAULT_REGION": "us-east-1", "PATH": os.environ["PATH"]},
    )
    assert done.stdout == "200 True True\n", done.stderr


def test_the_package_is_made_for_terraform_too(tmp_path):
    """It is packaged for Terraform too."""
    project = copied_project(tmp_path, "x86_64")
    out = tmp_path / "out"
    chalice(project, "package", "--stage", "dev", "--pkg-format", "terraform", str(out))
    resources = json.loads((out / "chalice.tf.json").read_text())["resource"]
    assert set(resources["aws_lambda_function"]) == {"api_handler", "consume", "summarise"}
    assert "aws_lambda_event_source_mapping" in resources
    assert (out / "deployment.zip").exists()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_library_has_wheels_for_each_python_of_lambda(tmp_path, machine):
    """Every library in the zip has a wheel for each Python that Lambda offers: nothing is compiled."""
    with ThreadPoolExecutor(4) as pool:
        downloads = pool.map(
            lambda version: downloaded(tmp_path / version, version, machine),
            ("3.11", "3.12", "3.13", "3.14"),
        )
    assert [done.stderr for done in downloads if done.returncode] == []


def downloaded(folder: Path, version: str, machine: str) -> subprocess.CompletedProcess[str]:
    platforms = [f"--platform=manylinux{tag}_{machine}" for tag in ("2014", "_2_17", "_2_28")]
    words = ["download", "-q", "--no-deps", "--disable-pip-version-check", "--only-binary=:all:"]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            *words,
            f"--python-version={version}",
            *platforms,
            "-d",
            str(folder),
            *requirements(version),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def requirements(version: str) -> list[str]:
    """The lines of requirements.txt, without conditions: pip would judge them by its own Python."""
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    return [
        line.split(";")[0] for line in pinned if "python_version <" not in line or version != "3.14"
    ]
