"""docs/propagation.md: its programs run, and what they send is one trace, or linked ones, in a running Clew."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from opentelemetry import propagate

from local.event_source_mapping import Source, record_from_message
from local.stack import LaptopStack
from tests.e2e.shop import get

PAGE = Path(__file__).parents[1] / "docs" / "propagation.md"
BASE = "http://127.0.0.1:8000"
BLOCKS = dict(
    re.findall(r"^```python (\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
)
ORDER = {"customer": "ann", "item": "chair"}
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
OLD_FORMATS = ("b3", "b3multi", "jaeger", "xray")


class Seen(NamedTuple):
    """A stored span."""

    name: str
    service: str
    trace_id: str
    span_id: str
    parent_span_id: str
    kind: int
    links: list[tuple[str, str]]


class Program:
    """Blocks of the page as one program that sends to a running Clew."""

    def __init__(self, stack: LaptopStack, servers: Servers, *names: str) -> None:
        self.stack = stack
        self._servers = servers
        self._names: dict[str, Any] = {"__name__": "program"}
        for name in ("setup", "formats", *names):
            exec(compile(BLOCKS[name].replace(BASE, stack.url), name, "exec"), self._names)

    def __getattr__(self, name: str) -> Any:
        return self._names[name]

    def stop(self) -> None:
        for provider in self._names["PROVIDERS"]:
            provider.shutdown()

    def spans(self) -> list[Seen]:
        """Everything that was sent, as Clew has it."""
        self._servers.wait_until_idle()
        self._names["flush"]()
        self.stack.wait_until_stored()
        found = []
        for service in ("shop", "stock"):
            for trace in get(self.stack.url, "/v1/traces", service=service)["traces"]:
                found += _spans_of(get(self.stack.url, f"/v1/traces/{trace['trace_id']}"))
        return list({span.span_id: span for span in found}.values())


def _spans_of(data: Any) -> list[Seen]:
    return [
        Seen(
            span["name"],
            _service_of(resource),
            span["traceId"],
            span["spanId"],
            span.get("parentSpanId", ""),
            span["kind"],
            [(link["traceId"], link["spanId"]) for link in span.get("links", ())],
        )
        for resource in data["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _service_of(resource: Any) -> str:
    attributes = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
    return str(attributes["service.name"]["stringValue"])


@pytest.fixture
def stack():
    with LaptopStack(batch_window_seconds=0.02, run_schedules=False) as started:
        yield started


@pytest.fixture
def program(stack, serve):
    """Makes a program of blocks; the formats that it set are unset afterwards."""
    before = propagate.get_global_textmap()
    made: list[Program] = []

    def make(*names: str) -> Program:
        made.append(Program(stack, serve, *names))
        return made[-1]

    yield make
    propagate.set_global_textmap(before)
    for one in made:
        one.stop()


@pytest.fixture
def queue(stack):
    sqs = boto3.client("sqs")
    return Queue(sqs, sqs.create_queue(QueueName="orders")["QueueUrl"])


class Queue:
    """A queue, and Lambda's poller of it."""

    def __init__(self, sqs: Any, url: str) -> None:
        self.sqs, self.url = sqs, url
        names = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        self.arn = names["Attributes"]["QueueArn"]

    def event(self) -> dict[str, Any]:
        """What Lambda hands to a function."""
        messages = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )["Messages"]
        source = Source(self.url, self.arn, 10, 0)
        return {"Records": [record_from_message(each, source) for each in messages]}


def assert_call(spans: list[Seen], caller_kind: int, callee_kind: int) -> None:
    """One trace of both services, in which the callee is a child of the caller."""
    (callee,) = [span for span in spans if span.service == "stock"]
    (caller,) = [span for span in spans if span.span_id == callee.parent_span_id]
    assert {span.trace_id for span in spans} == {caller.trace_id}
    assert (caller.service, caller.kind, callee.kind) == ("shop", caller_kind, callee_kind)


def assert_links(spans: list[Seen], count: int) -> None:
    """So many traces of the producer; the consumer is a trace of its own that links to each of them."""
    (consumer,) = [span for span in spans if span.service == "stock"]
    producers = [span for span in spans if span.service == "shop"]
    assert consumer.kind == CONSUMER
    assert consumer.parent_span_id == ""
    assert len({span.trace_id for span in spans}) == count + 1
    assert sorted(consumer.links) == sorted((span.trace_id, span.span_id) for span in producers)


class Server(ThreadingHTTPServer):
    """Knows when every request that came is done: its span ends after its answer is read."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._changed = threading.Condition()
        self._running = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._running += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def wait_until_idle(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self._running, timeout=60)


class Servers:
    """Runs handlers of requests, each on a free port."""

    def __init__(self) -> None:
        self._started: list[Server] = []

    def __call__(self, handler: type[BaseHTTPRequestHandler]) -> str:
        server = Server(handler)
        self._started.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    def wait_until_idle(self) -> None:
        for server in self._started:
            server.wait_until_idle()

    def stop(self) -> None:
        for server in self._started:
            server.shutdown()
            server.server_close()


@pytest.fixture
def serve():
    servers = Servers()
    yield servers
    servers.stop()


@pytest.mark.parametrize("name", ["tracecontext", *OLD_FORMATS])
def test_http_by_each_format(program, serve, name):
    """With any one format on both sides a request is one trace."""
    run = program("http")
    propagate.set_global_textmap(run.FORMATS[name])
    run.buy(serve(run.Stock))
    assert_call(run.spans(), CLIENT, SERVER)


def test_a_span_that_ends_after_its_answer_is_read(program, serve):
    """What the caller has read may be ahead of the server: its span is waited for, however late it ends."""
    run = program("http")
    goes_on = threading.Event()

    def end_headers(request: Any) -> None:
        run.Stock.end_headers(request)
        assert goes_on.wait(60)

    run.buy(serve(type("Stock", (run.Stock,), {"end_headers": end_headers})))
    threading.Timer(0.2, goes_on.set).start()
    assert_call(run.spans(), CLIENT, SERVER)


@pytest.mark.parametrize("name", OLD_FORMATS)
def test_an_old_caller(program, serve, name):
    """A service that accepts all goes on with the trace of a caller that knows one format."""
    run = program("http")
    accepting = propagate.get_global_textmap()

    def answer(request: Any) -> None:
        propagate.set_global_textmap(accepting)
        run.Stock.do_GET(request)

    propagate.set_global_textmap(run.FORMATS[name])
    run.buy(serve(type("Stock", (run.Stock,), {"do_GET": answer})))
    assert_call(run.spans(), CLIENT, SERVER)


def test_the_last_of_the_list_wins(program):
    """Of headers that disagree, `traceparent` is believed; the load balancer's own least of all."""
    run = program()
    headers = {
        "X-Amzn-Trace-Id": f"Root=1-{'1' * 8}-{'1' * 24};Parent={'1' * 16};Sampled=0",
        "uber-trace-id": f"{'2' * 32}:{'2' * 16}:0:1",
        "b3": f"{'3' * 32}-{'3' * 16}-1",
        "traceparent": f"00-{'4' * 32}-{'4' * 16}-01",
    }
    for digit in "4321":
        found = run.get_current_span(propagate.extract(headers)).get_span_context()
        assert f"{found.trace_id:032x}" == digit * 32
        del headers[list(headers)[-1]]


def test_sampled_0_is_obeyed(program):
    """X-Ray's `Sampled=0` and nothing else: a parent-based sampler records nothing, as the page warns."""
    run = program()
    header = {"X-Amzn-Trace-Id": f"Root=1-{'1' * 8}-{'1' * 24};Parent={'1' * 16};Sampled=0"}
    assert not run.stock.start_span("x", propagate.extract(header)).is_recording()


def test_root_alone_begins_a_trace(program):
    """A load balancer's header without a parent does not name one."""
    run = program()
    header = {"X-Amzn-Trace-Id": f"Root=1-{'1' * 8}-{'1' * 24}"}
    assert not run.get_current_span(propagate.extract(header)).get_span_context().is_valid


def test_examples_of_headers(program):
    """Each example in the table of headers is read by its propagator as the same ids, sampled."""
    run = program()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text("utf-8"), re.M)
    assert [name for name, _, _ in rows] == ["tracecontext", *OLD_FORMATS]
    for name, keys, values in rows:
        texts = zip(re.findall("`([^`]+)`", keys), re.findall("`([^`]+)`", values), strict=False)
        exact = {"X-Amzn-Trace-Id"}
        headers = {key if key in exact else key.lower(): value for key, value in texts}
        context = run.FORMATS[name].extract(headers)
        found = run.get_current_span(context).get_span_context()
        assert f"{found.trace_id:x}" == "af7651916cd43dd8448eb211c80319c", name
        assert (f"{found.span_id:x}", found.trace_flags.sampled) == ("b7ad6b7169203331", True), name


def test_sqs_one_message(program, queue):
    """Sender and consumer of a message are one trace."""
    run = program("sqs_send", "sqs_read", "sqs_one")
    run.send_order(queue.sqs, queue.url, ORDER)
    run.handle_each(queue.event(), None)
    assert_call(run.spans(), PRODUCER, CONSUMER)


def test_sqs_batch(program, queue):
    """A batch links to each sender's trace, makes an edge, and is found from each of them."""
    run = program("sqs_send", "sqs_read", "sqs_batch")
    for _ in range(3):
        run.send_order(queue.sqs, queue.url, ORDER)
    event = queue.event()
    assert len(event["Records"]) == 3
    run.handle_together(event, None)
    spans = run.spans()
    assert_links(spans, 3)
    for span in spans:
        if span.service == "shop":
            (found,) = get(run.stack.url, "/v1/traces", link=span.trace_id)["traces"]
            assert found["root_service"] == "stock"
    run.stack.summarise()
    (edge,) = get(run.stack.url, "/v1/edges")["edges"]
    assert (edge["caller"], edge["callee"], edge["calls"]) == ("shop", "stock", 3)


def test_sqs_trace_header(program, queue):
    """X-Ray's header in the system attribute is the same trace, without a message attribute."""
    run = program("sqs_trace_header", "sqs_read", "sqs_one")
    run.send_with_trace_header(queue.sqs, queue.url, ORDER)
    event = queue.event()
    (record,) = event["Records"]
    assert record["messageAttributes"] == {}
    run.handle_each(event, None)
    assert_call(run.spans(), PRODUCER, CONSUMER)


def test_sqs_without_a_context(program, queue):
    """A message of a sender that knows nothing of tracing begins a trace, and links to nothing."""
    run = program("sqs_read", "sqs_one", "sqs_batch")
    queue.sqs.send_message(QueueUrl=queue.url, MessageBody="{}")
    event = queue.event()
    run.handle_each(event, None)
    run.handle_together(event, None)
    assert [(span.parent_span_id, span.links) for span in run.spans()] == [("", [])] * 2


@pytest.mark.parametrize("raw", ["true", "false"])
def test_sns_to_sqs(program, queue, raw):
    """Raw or in an envelope, publisher and consumer are one trace."""
    run = program("sqs_read", "sns")
    sns = boto3.client("sns")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    attributes = {"RawMessageDelivery": raw}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes=attributes)
    run.publish(sns, topic, ORDER)
    run.handle_notifications(queue.event(), None)
    assert_call(run.spans(), PRODUCER, CONSUMER)


def test_sns_to_lambda(program, queue):
    """Lambda's own event of SNS has the same attributes, under `Sns`."""
    run = program("sqs_read", "sns")
    sns = boto3.client("sns")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    run.publish(sns, topic, ORDER)
    # The envelope of SQS is what Lambda has as `Sns`.
    (record,) = queue.event()["Records"]
    run.handle_notifications({"Records": [{"Sns": json.loads(record["body"])}]}, None)
    assert_call(run.spans(), PRODUCER, CONSUMER)


def test_context_in_detail_reaches_the_eventbridge_target(program, queue):
    """What is in `Detail` reaches the target."""
    run = program("eventbridge")
    events = boto3.client("events")
    events.create_event_bus(Name="orders")
    pattern = json.dumps({"source": ["shop"]})
    events.put_rule(Name="all", EventBusName="orders", EventPattern=pattern)
    target = {"Id": "queue", "Arn": queue.arn}
    events.put_targets(Rule="all", EventBusName="orders", Targets=[target])
    run.put_event(events, "orders", ORDER)
    (record,) = queue.event()["Records"]
    run.handle_event(json.loads(record["body"]), None)
    assert_call(run.spans(), PRODUCER, CONSUMER)


def test_step_functions(program, stack):
    """What the execution's input holds is there for a task that its definition hands it to."""
    run = program("step_functions")
    client = boto3.client("stepfunctions")
    machine = client.create_state_machine(
        name="order",
        definition=json.dumps(run.DEFINITION),
        roleArn="arn:aws:iam::123456789012:role/states",
    )["stateMachineArn"]
    run.start_order(client, machine, ORDER)
    (execution,) = client.list_executions(stateMachineArn=machine)["executions"]
    found = client.describe_execution(executionArn=execution["executionArn"])["input"]
    run.reserve(task_input(run.DEFINITION, json.loads(found)), None)
    assert_call(run.spans(), PRODUCER, CONSUMER)


def task_input(definition: dict[str, Any], execution_input: dict[str, Any]) -> dict[str, Any]:
    """What Step Functions makes of a first task's Parameters: paths into the input and the context object."""
    state = definition["States"][definition["StartAt"]]
    found = {}
    for name, path in state["Parameters"].items():
        value: Any = {"$": execution_input, "$$": {"Execution": {"Input": execution_input}}}
        for part in path.split("."):
            value = value[part]
        found[name.removesuffix(".$")] = value
    return found


def test_lambda_invoke(program, serve):
    """botocore sends the client context as a header; the function finds it as Lambda's runtime decodes it."""
    run = program("lambda_invoke")

    class Lambda(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            decoded = json.loads(base64.b64decode(self.headers["X-Amz-Client-Context"]))
            context = SimpleNamespace(client_context=SimpleNamespace(**decoded))
            body = json.dumps(run.handle_invocation(event, context)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    once = Config(retries={"total_max_attempts": 1})
    client = boto3.client("lambda", endpoint_url=serve(Lambda), config=once)
    assert run.invoke(client, ORDER) == {"ok": True}
    assert_call(run.spans(), CLIENT, SERVER)


def test_client_context_fits(program):
    """With a trace state as long as W3C asks everybody to pass on, the client context stays below Lambda's limit."""
    run = program()
    headers = {
        "traceparent": f"00-{'4' * 32}-{'4' * 16}-01",
        "tracestate": ",".join(f"k{n}={'v' * 12}" for n in range(32))[:512],
    }
    sent = base64.b64encode(json.dumps({"custom": headers}).encode())
    assert len(sent) <= 3_583
    assert run.get_current_span(propagate.extract(headers)).get_span_context().is_valid


def test_lambda_without_a_client_context(program):
    """Who invokes without one begins a trace."""
    run = program("lambda_invoke")
    assert run.handle_invocation({}, SimpleNamespace(client_context=None)) == {"ok": True}
    (span,) = run.spans()
    assert span.parent_span_id == ""


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT"])
def test_api_gateway(program, name):
    """A proxy event's headers are found in whatever case the caller sent them."""
    run = program("api_gateway")
    event = {
        "httpMethod": "GET",
        "resource": "/stock",
        "headers": {name: f"00-{'a' * 32}-{'b' * 16}-01", "Host": "example.com"},
    }
    assert run.handle_request(event, None) == {"statusCode": 204}
    (span,) = run.spans()
    assert (span.trace_id, span.parent_span_id) == ("a" * 32, "b" * 16)


def test_a_batch_of_kinesis_records_links_to_each_sender(program, stack):
    """A batch of records links to each sender."""
    run = program("kinesis")
    kinesis = boto3.client("kinesis")
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    for _ in range(2):
        run.put_record(kinesis, "orders", ORDER)
    (shard,) = kinesis.list_shards(StreamName="orders")["Shards"]
    iterator = kinesis.get_shard_iterator(
        StreamName="orders", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = kinesis.get_records(ShardIterator=iterator)["Records"]
    data = [base64.b64encode(record["Data"]).decode() for record in records]
    run.handle_records({"Records": [{"kinesis": {"data": each}} for each in data]}, None)
    assert_links(run.spans(), 2)


def assert_children(spans: list[Seen]) -> None:
    """One trace, whose root is the request and whose other spans are its children."""
    (root,) = [span for span in spans if not span.parent_span_id]
    others = [span for span in spans if span is not root]
    assert {span.name for span in others} == {"reserve chair", "reserve table"}
    assert {(span.trace_id, span.parent_span_id) for span in others} == {
        (root.trace_id, root.span_id)
    }


def test_pool_threads_stay_below_their_span(program):
    """Threads of a pool, side by side, go on below the span that started them."""
    run = program("threads")
    run.reserve_side_by_side(["chair", "table"])
    assert_children(run.spans())


def test_asyncio_tasks_stay_below_their_span(program):
    """Tasks, and the threads that they wait for, are below the span in which they were made."""
    run = program("threads", "asyncio")
    asyncio.run(run.reserve_in_tasks(["chair", "table"]))
    assert_children(run.spans())


def test_every_block_is_run():
    """No program stands in the page that no test runs."""
    source = Path(__file__).read_text("utf-8")
    named = set(re.findall(r'"(\w+)"', source))
    assert set(BLOCKS) <= named
    assert PAGE.read_text("utf-8").count("```python") == len(BLOCKS)
    assert all(compile(block, name, "exec") for name, block in BLOCKS.items())
