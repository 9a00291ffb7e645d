"""Prints the sampling rate that jaeger_client's remote sampler was told: `sampler_program.py PORT`."""

import sys
import time

from jaeger_client import Config


def main() -> None:
    tracer = Config(
        config={"local_agent": {"sampling_port": sys.argv[1]}, "sampling_refresh_interval": 1},
        service_name="my-service",
    ).initialize_tracer()
    ends = time.monotonic() + 20
    # Until it has been told, it samples one trace in a thousand.
    while time.monotonic() < ends and tracer.sampler.sampler.rate == 0.001:
        time.sleep(0.1)
    print(tracer.sampler.sampler.rate)


if __name__ == "__main__":
    main()
