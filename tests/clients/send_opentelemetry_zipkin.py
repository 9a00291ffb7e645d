"""A trace by each of OpenTelemetry's Zipkin exporters: `START_UNIX_SECONDS URL`.

A TOKEN in the environment goes into the URL. It runs in an environment of its own.
"""

import os
import sys

from opentelemetry.exporter.zipkin.json import Protocol
from opentelemetry.exporter.zipkin.json import ZipkinExporter as JsonExporter
from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter as ProtoExporter
from send_opentelemetry import SECOND, send


def main():
    start, url = int(sys.argv[1]) * SECOND, sys.argv[2]
    if token := os.environ.get("TOKEN"):
        url = url.replace("://", f"://any:{token}@")
    exporters = [
        # Without a length it fails at the first attribute.
        JsonExporter(Protocol.V1, f"{url}/api/v1/spans", max_tag_value_length=256),
        JsonExporter(Protocol.V2, f"{url}/api/v2/spans"),
        ProtoExporter(f"{url}/api/v2/spans"),
    ]
    for number, exporter in enumerate(exporters):
        send(exporter, "OTel-Zipkin", f"b{number}" * 16, start + number * SECOND)


if __name__ == "__main__":
    main()
