"""Record again what jaeger-client sends: `.venv-clients/bin/python tests/clients/record.py FOLDER`."""

import socket
import sys
import time
from pathlib import Path

from jaeger_client import Config


def main() -> None:
    agent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    agent.bind(("127.0.0.1", 0))
    agent.settimeout(10)
    host, port = agent.getsockname()
    tracer = Config(
        config={
            "sampler": {"type": "const", "param": 1},
            "local_agent": {"reporting_host": host, "reporting_port": port},
            "tags": {"hostname": "laptop", "ip": "192.0.2.2"},
        },
        service_name="my-service",
    ).initialize_tracer()
    with tracer.start_span("parent") as parent:
        for key, value in {"http.method": "GET", "n": 5, "f": 0.5, "b": True}.items():
            parent.set_tag(key, value)
        parent.set_tag("span.kind", "server")
        parent.log_kv({"event": "cache miss", "key": "u-1"})
        time.sleep(0.001)
        with tracer.start_span("child", child_of=parent) as child:
            child.set_tag("error", True)
            child.log_kv({"event": "error", "message": "no", "error.kind": "ValueError"})
        time.sleep(0.001)
    sent = agent.recv(65_535)
    Path(sys.argv[1], "python-client-4.8-compact.bin").write_bytes(sent)
    tracer.close()


if __name__ == "__main__":
    main()
