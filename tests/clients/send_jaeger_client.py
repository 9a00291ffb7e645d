"""A parent and its child as a datagram of jaeger_client: `START_UNIX_SECONDS URL AGENT_PORT`.

It knows no way but the agent's. It runs in an environment of its own.
"""

import sys
import time

from jaeger_client import Config


def main():
    start, agent_port = float(sys.argv[1]), int(sys.argv[3])
    tracer = Config(
        config={
            "sampler": {"type": "const", "param": 1},
            "local_agent": {"reporting_host": "127.0.0.1", "reporting_port": agent_port},
            "tags": {"hostname": "laptop", "ip": "192.0.2.2"},
        },
        service_name="my-service",
    ).initialize_tracer()
    tracer.random.seed(1)
    parent = tracer.start_span("parent", start_time=start)
    for key, value in {"http.method": "GET", "n": 5, "f": 0.5, "b": True}.items():
        parent.set_tag(key, value)
    parent.set_tag("span.kind", "server")
    parent.log_kv({"event": "cache miss", "key": "u-1"}, timestamp=start + 0.125)
    child = tracer.start_span("child", child_of=parent, start_time=start + 0.25)
    child.set_tag("error", True)
    child.log_kv(
        {"event": "error", "message": "no", "error.kind": "ValueError"}, timestamp=start + 0.5
    )
    child.finish(finish_time=start + 0.75)
    parent.finish(finish_time=start + 1)
    sent = tracer.close()
    while not sent.done():
        time.sleep(0.05)


if __name__ == "__main__":
    main()
