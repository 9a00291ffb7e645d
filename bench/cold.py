"""Measures cold starts in fresh processes: each function's import and first answer, compared with bare botocore."""

from __future__ import annotations

import base64
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[1]
RUNS = 7
_MEASURED = """
import json, resource, sys, time
def now():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime
begin = now()
{imports}
imported = now()
{first}
done = now()
print(json.dumps({{
    "import_wall_seconds": imported[0] - begin[0], "import_cpu_seconds": imported[1] - begin[1],
    "first_wall_seconds": done[0] - imported[0], "first_cpu_seconds": done[1] - imported[1],
    "modules": len(sys.modules),
}}))
"""
_BARE = "import botocore.session"
_BARE_FIRST = """
session = botocore.session.get_session()
session.create_client("sqs", region_name="us-east-1")
session.create_client("dynamodb", region_name="us-east-1")
"""
_CONTEXT = "from local.functions import context_of"
"""Code that runs before the clock begins: Lambda itself provides the context."""
_UNPLUG = """
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.httpsession import URLLib3Session
class Raw:
    def stream(self, *_, **__):
        yield b'{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/1/clew-spans","Items":[]}'
answer = lambda *_: AWSResponse("", 200, HeadersDict({"content-type": "application/x-amz-json-1.0"}), Raw())
URLLib3Session.send = answer
"""
"""Code that stands in for the network. It imports nothing that botocore has not imported by then."""


def http_event(body: bytes) -> dict[str, Any]:
    """Return the event of API Gateway for POST /v1/traces."""
    headers = {"Content-Type": "application/x-protobuf", "Accept": "*/*"}
    return {
        "resource": "/v1/traces",
        "path": "/v1/traces",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/v1/traces",
            "httpMethod": "POST",
            "path": "/clew/v1/traces",
            "stage": "clew",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def _functions() -> dict[str, tuple[str, str]]:
    """Return (imports, first answer) as Python code, by the name of the function."""
    from capacity.load import requests
    from capacity.stages import receive, record_of

    (body,) = requests(7, 16, 16)
    (message,) = receive(body, 1_790_000_000)
    schedule = {"version": "0", "detail": {}, "time": "", "account": "", "resources": []}
    schedule |= {"id": "", "region": "", "source": "", "detail-type": ""}

    def first(call: str, event: object, function: str) -> str:
        text = json.dumps(json.dumps(event))
        return f"{_UNPLUG}{call}(json.loads({text}), context_of({function!r}))"

    return {
        "bare botocore": (_BARE, _BARE_FIRST),
        "app": ("import app", first("app.app", http_event(body), "api_handler")),
        "consume": (
            "from chalicelib.functions.consume import consume",
            first("consume", {"Records": [record_of(message)]}, "consume"),
        ),
        "summarise": (
            "from chalicelib.functions.summarise import summarise",
            first("summarise", schedule, "summarise"),
        ),
    }


def measure(runs: int = RUNS) -> dict[str, Any]:
    """Return medians over fresh processes for each function, and their ratios to bare botocore with two clients."""
    functions = _functions()
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, (imports, first) in functions.items():
            figures[name].append(_run(imports, first))
    medians = {
        name: {key: statistics.median(run[key] for run in of_name) for key in of_name[0]}
        for name, of_name in figures.items()
    }
    for of_name in medians.values():
        of_name["cpu_seconds"] = of_name["import_cpu_seconds"] + of_name["first_cpu_seconds"]
        of_name["wall_seconds"] = of_name["import_wall_seconds"] + of_name["first_wall_seconds"]
    bare = medians["bare botocore"]
    for of_name in medians.values():
        of_name["import_ratio"] = of_name["import_cpu_seconds"] / bare["cpu_seconds"]
        of_name["ratio"] = of_name["cpu_seconds"] / bare["cpu_seconds"]
    return medians


def _run(imports: str, first: str) -> dict[str, float]:
    program = _CONTEXT + _MEASURED
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "CLEW_ACCESS": "open",
    }
    done = subprocess.run(
        [sys.executable, "-c", program.format(imports=imports, first=first)],
        cwd=_PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
