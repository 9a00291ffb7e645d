"""A Chalice application of a few lines with all kinds of functions that the laptop stack runs."""

from __future__ import annotations

import json
import time
from typing import Any

from chalice.app import Chalice, Rate, Response

from chalicelib import config, wiring
from chalicelib.queue.message import message_from_payload

JSON: dict[str, str | list[str]] = {"Content-Type": "application/json"}
HTML: dict[str, str | list[str]] = {"Content-Type": "text/html"}


class TinyApp(Chalice):
    """Remembers every event that it got; its `consumed` are the payloads that its consumer kept."""

    def __init__(self) -> None:
        super().__init__(app_name="tiny")
        self.events: list[dict[str, Any]] = []
        self.sqs_events: list[dict[str, Any]] = []
        self.consumed: list[int] = []
        self.scheduled: list[dict[str, Any]] = []
        self.failures = 0

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        self.events.append(json.loads(json.dumps(event)))
        headers = {"accept": "*/*", **event["headers"]}
        return super().__call__({**event, "headers": headers}, context)


def tiny_app() -> TinyApp:
    app = TinyApp()
    app.api.binary_types = ["*/*"]
    _add_routes(app)
    _add_event_functions(app)
    return app


def _add_routes(app: TinyApp) -> None:
    @app.route("/")
    def index():
        return Response(b"page", headers=HTML)

    @app.route("/v1/traces", methods=["POST"], content_types=["*/*"])
    def receive():
        assert app.current_request is not None
        payload = app.current_request.raw_body
        assert isinstance(payload, bytes)
        message = message_from_payload("tiny", payload, len(payload), int(time.time()))
        wiring.sender().send([message])
        return Response(payload[:10], headers=JSON)

    @app.route("/things/{name}")
    def thing(name):
        return Response(json.dumps(name).encode(), headers=JSON)

    @app.route("/things/fixed")
    def fixed():
        return Response(b'"fixed"', headers=JSON)

    @app.route("/broken")
    def broken():
        return Response("text where bytes belong", headers=HTML)

    @app.route("/empty")
    def empty():
        return Response(b"", status_code=204, headers={"Set-Cookie": ["a=1", "b=2"]})


def _add_event_functions(app: TinyApp) -> None:
    @app.on_sqs_message(queue=config.SPAN_QUEUE, batch_size=100, name="consume")
    def consume(event):
        app.sqs_events.append(event.to_dict())
        if app.failures:
            app.failures -= 1
            raise RuntimeError("the consumer was told to fail")
        bodies = [json.loads(record["body"]) for record in event.to_dict()["Records"]]
        app.consumed += [body["span_count"] for body in bodies]

    @app.schedule(Rate(1, unit=Rate.MINUTES), name="summarise")
    def summarise(event):
        app.scheduled.append(event.to_dict())
