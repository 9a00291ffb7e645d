"""A trace by OpenTelemetry's Jaeger exporter, to the collector and to the agent: `START_UNIX_SECONDS URL AGENT_PORT`.

With a TOKEN in the environment, which a datagram cannot show, to the collector alone. It runs in an environment of
its own.
"""

import os
import sys

from opentelemetry.exporter.jaeger.thrift import JaegerExporter
from send_opentelemetry import SECOND, send


def main():
    start, url, agent_port = int(sys.argv[1]) * SECOND, sys.argv[2], int(sys.argv[3])
    token = os.environ.get("TOKEN")
    collector = JaegerExporter(
        collector_endpoint=f"{url}/api/traces?format=jaeger.thrift",
        username="any" if token else None,
        password=token,
    )
    send(collector, "OTel-Jaeger", "c0" * 16, start)
    if not token:
        agent = JaegerExporter(agent_host_name="127.0.0.1", agent_port=agent_port)
        send(agent, "OTel-Jaeger", "c1" * 16, start + SECOND)


if __name__ == "__main__":
    main()
