"""What may import what: stages meet in `model`, AWS is behind a few modules, and a cold start loads little."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[1]
MODULES = sorted(
    path
    for path in [PROJECT / "app.py", *(PROJECT / "chalicelib").rglob("*.py")]
    if not path.name.endswith("_pb2.py")
)
STAGES = {
    "model": set(),
    "queue": {"model"},
    "store": {"model", "queue"},
    "http": {"model", "store"},
    "receive": {"model", "queue", "http"},
    "consume": {"model", "queue", "store"},
    "summarise": {"model", "store"},
    "query": {"model", "store"},
    "present": {"model", "http"},
    "functions": {"consume", "summarise", "wiring", "telemetry"},
}
"""Stage → the stages that it may import from, beside itself."""
DIALECTS = ("jaeger", "native", "otlp", "zipkin")
"""No dialect imports another."""
STAGES |= {each: {"model", "http", "receive", "query", "present", "store"} for each in DIALECTS}
OF_DIALECTS = tuple(f"chalicelib.{each}." for each in DIALECTS)
EVERYWHERE = {"__version__", "budget", "config", "errors", "gc_pause"}
TELL = {"http/audit.py", "receive/tell.py"}
"""Modules that write metrics or logs of what they are told."""
FUNCTIONS = "functions"
"""The Lambda functions beside `app.py`. They alone import `wiring`: there are an environment, a clock and AWS."""
AWS_MODULES = {
    *("queue/sqs.py", "queue/sqs_redrive.py", "store/dynamodb.py"),
    *("signer.py", "wiring.py"),
}

FAR_FROM_AWS = ("model/", "consume/", "summarise/", "query/", "store/", "queue/message.py")
"""Modules that reach AWS by no chain of imports, but for those listed above."""


def imports_of(path: Path) -> Iterator[str]:
    """The full name of everything that a module imports, wherever in it, but not for type checking only."""
    yield from _imports_in(ast.parse(path.read_text(encoding="utf-8")).body)


def _imports_in(nodes: list[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports_in(node.orelse)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _imports_in(
                [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
            )


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix().removeprefix("chalicelib/")


def parts_imported(path: Path) -> set[str]:
    """The stages, and modules beside them, of chalicelib that a module imports."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("chalicelib.")}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_stages_import_only_stages_before_them(path):
    """A stage imports from the stages before it, as far as listed, and from no other."""
    stage, _, rest = name_of(path).partition("/")
    if rest:
        allowed = STAGES[stage] | {stage} | EVERYWHERE
        if name_of(path) in TELL:
            allowed |= {"telemetry"}
        assert parts_imported(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_functions_import_the_wiring(path):
    """Clients of AWS are made for functions, which hand them down: no stage asks for them."""
    stage = name_of(path).partition("/")[0]
    assert stage in ("app.py", FUNCTIONS) or "wiring" not in parts_imported(path)


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "app.py"], ids=name_of)
def test_nobody_imports_the_app(path):
    """The routes are on top: nothing that they use imports them."""
    assert not {name.split(".")[0] for name in imports_of(path)} & {
        "app",
        "infra",
        "local",
        "tests",
        "bench",
        "capacity",
    }


@pytest.mark.parametrize("path", sorted((PROJECT / "infra").rglob("*.py")), ids=name_of)
def test_deployment_needs_no_laptop(path):
    """The laptop applies the template of `infra`; deployment imports nothing of the laptop."""
    assert "local" not in {name.split(".")[0] for name in imports_of(path)}


@pytest.mark.parametrize("path", sorted((PROJECT / "local").rglob("*.py")), ids=name_of)
def test_the_laptop_runs_without_tests_and_benchmarks(path):
    """The image holds the application, `infra` and `local` alone: the laptop imports nothing else of the project."""
    assert not {name.split(".")[0] for name in imports_of(path)} & {"bench", "capacity", "tests"}


@pytest.mark.parametrize("path", sorted((PROJECT / "capacity").rglob("*.py")), ids=name_of)
def test_the_capacity_model_measures_nothing(path):
    """The benchmark measures with the capacity model's load and stages; the model imports nothing of it."""
    assert not {name.split(".")[0] for name in imports_of(path)} & {
        "app",
        "bench",
        "local",
        "tests",
    }


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_adapters_import_botocore(path):
    """botocore is imported where an AWS service is spoken to, and boto3 nowhere."""
    roots = {name.split(".")[0] for name in imports_of(path)}
    assert "boto3" not in roots
    assert "botocore" not in roots or name_of(path) in AWS_MODULES


@cache
def modules_imported(path: Path) -> frozenset[Path]:
    """The modules of chalicelib, and of tests, that a module imports itself."""
    found = set()
    for name in imports_of(path):
        # What is imported from a module may be a module itself, else it is a name in it.
        for module in (name, name.rpartition(".")[0]):
            file = PROJECT / f"{module.replace('.', '/')}.py"
            if name.startswith(("chalicelib.", "tests.")) and file.exists():
                found.add(file)
    return frozenset(found)


def chain_to_aws(path: Path, seen: set[Path]) -> list[str]:
    """Some chain of imports from a module to botocore or boto3; empty if there is none. `seen` grows."""
    seen.add(path)
    if {name.split(".")[0] for name in imports_of(path)} & {"botocore", "boto3"}:
        return [name_of(path)]
    for imported in modules_imported(path) - seen:
        if chain := chain_to_aws(imported, seen):
            return [name_of(path), *chain]
    return []


@pytest.mark.parametrize(
    "path",
    [
        *(path for path in MODULES if name_of(path).startswith(FAR_FROM_AWS)),
        PROJECT / "tests" / "memory_store.py",
    ],
    ids=name_of,
)
def test_no_chain_of_imports_leads_to_aws(path):
    """What computes, plans, decodes or asks a store does not reach botocore, however many imports lie between."""
    if name_of(path) not in AWS_MODULES:
        assert chain_to_aws(path, set()) == []


def test_a_chain_of_imports_is_found():
    """The rule above would see a stage that imports the adapter through another module."""
    chain = chain_to_aws(PROJECT / "chalicelib" / "functions" / "summarise.py", set())
    assert chain[0] == "functions/summarise.py"
    assert chain[-1] in AWS_MODULES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_grpc(path):
    """gRPC is the laptop's: nothing in Lambda imports it, nor the messages of its errors."""
    assert not [name for name in imports_of(path) if name.startswith(("grpc", "google.rpc"))]


def test_every_stage_is_listed():
    """Every folder of chalicelib is a stage of the list above."""
    folders = {path.parent.name for path in MODULES} - {"chalicelib", PROJECT.name}
    assert folders == set(STAGES)


def loaded_by(statement: str) -> set[str]:
    """The names of all modules that a new interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_app_loads_little():
    """A cold start of the HTTP function loads neither answers nor pages, and neither boto3 nor moto."""
    loaded = loaded_by("import app")
    assert "chalicelib.wiring" in loaded
    unwanted = (
        *(
            "chalicelib.query",
            "chalicelib.present",
            "chalicelib.receive",
            "chalicelib.http.respond",
        ),
        *("moto", "boto3", "aws_lambda_powertools"),
    )
    assert not [name for name in loaded if name.startswith(unwanted)]
    of_dialects = {name for name in loaded if name.startswith(OF_DIALECTS)}
    assert of_dialects == {f"chalicelib.{each}.routes" for each in DIALECTS}


@pytest.mark.parametrize("function", ["consume", "summarise"])
def test_functions_do_without_the_app(function):
    """The consumer's and the schedule's Lambdas load no routes."""
    loaded = loaded_by(f"import chalicelib.functions.{function}")
    assert "app" not in loaded
    unwanted = ("chalicelib.receive", "chalicelib.query", "chalicelib.http", "moto", "boto3")
    assert not [name for name in loaded if name.startswith(unwanted)]


REQUEST_IMPORTS_MAX = 500
"""Modules loaded by `import app` and one request of spans: 417 with Python 3.11, 339 of them bare botocore's."""
FIRST_REQUEST = """
import os
os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1")
os.environ["CLEW_ACCESS"] = "open"
from app import app
from bench.cold import http_event
from chalicelib import wiring
sent = []
class Sender:
    def send(self, messages):
        sent.extend(messages)
wiring.client("sqs")
wiring.replace_sender(Sender())
span = bytes([10, 16]) + b"t" * 16 + bytes([18, 8]) + b"s" * 8
spans = bytes([18, len(span)]) + span
scope_spans = bytes([18, len(spans)]) + spans
body = bytes([10, len(scope_spans)]) + scope_spans
answer = app(http_event(body), None)
assert answer["statusCode"] == 200 and len(sent) == 1, answer
"""


def test_first_request_loads_little():
    """A cold start that brings spans loads few modules beside botocore's, and none that answers or watches."""
    loaded = loaded_by(FIRST_REQUEST)
    assert "chalicelib.receive.otlp" in loaded
    unwanted = (
        *("chalicelib.query", "chalicelib.present", "chalicelib.summarise.fold"),
        *("chalicelib.http.answering", "chalicelib.jaeger.answers", "chalicelib.native.answers"),
        *("chalicelib.store.dynamodb", "chalicelib.telemetry", "moto", "boto3"),
        *("aws_lambda_powertools", "opentelemetry.sdk", "pytest", "asyncio", "numpy"),
        *("grpc", "google.rpc"),
    )
    assert not [name for name in loaded if name.startswith(unwanted)]
    assert len(loaded) <= REQUEST_IMPORTS_MAX


ATTRIBUTE_NAMES = {"p", "s", "v", "n", "x", "k"}


def _names_of_attributes(tree: ast.AST) -> Iterator[str]:
    """The one-letter texts with which a module looks into a dict, or makes one of an item's form."""
    for node in ast.walk(tree):
        keys: list[ast.expr | None] = []
        match node:
            case ast.Subscript(slice=key):
                keys = [key]
            case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[key, *_]):
                keys = [key]
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()]):
                keys = [key]
            case ast.Dict(keys=several) if {"p", "v"} & set(map(_text, several)):
                keys = several
        yield from ATTRIBUTE_NAMES.intersection(map(_text, keys))


def _text(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_attributes_of_items_are_named_in_one_place(path):
    """An item's attributes have one letter: `store/items.py` says what each means, and nobody else spells them."""
    assert not list(_names_of_attributes(ast.parse(path.read_text(encoding="utf-8"))))


def _module_of(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def test_no_modules_import_each_other():
    """No module imports itself by way of others, wherever in it the import stands."""
    names = {_module_of(path): path for path in MODULES}
    below = {
        name: {
            each if each in names else each.rpartition(".")[0] for each in imports_of(path)
        }.intersection(names)
        for name, path in names.items()
    }
    remaining = dict(below)
    while leaves := {name for name, its in remaining.items() if not its & remaining.keys()}:
        remaining = {name: its for name, its in remaining.items() if name not in leaves}
    assert not remaining
