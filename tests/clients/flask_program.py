"""A Flask program as it stands in many a tutorial: `jaeger_client`, and nothing configured but its name.

It serves one page, asks for it itself, and ends. It runs in an environment of its own.
"""

import time

from flask import Flask
from flask_opentracing import FlaskTracing
from jaeger_client import Config

app = Flask(__name__)
config = Config(
    config={"sampler": {"type": "const", "param": 1}, "logging": True}, service_name="my-service"
)
tracer = config.initialize_tracer()
tracing = FlaskTracing(tracer, True, app)


@app.route("/order/<number>")
def order(number):
    with tracer.start_active_span("look it up", child_of=tracing.get_span()) as scope:
        scope.span.set_tag("order.number", number)
        scope.span.log_kv({"event": "found", "where": "the shelf"})
    return "done"


if __name__ == "__main__":
    assert app.test_client().get("/order/7").text == "done"
    time.sleep(2)  # the client sends once a second
