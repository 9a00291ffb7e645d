"""`make fuzz`: every decoder in turns, for MINUTES; what fails is kept in the corpus, for the tests to read."""

from __future__ import annotations

import hashlib
import os
import sys
import time

from chalicelib.model.frame import seal
from tests.fuzz.decoders import CONTENT, CORPUS, DECODERS
from tests.fuzz.fuzz import Failure, Fuzzer

_STEPS_A_TURN = 200


def main() -> int:
    seconds = float(os.environ.get("MINUTES", "10")) * 60
    seed = int(os.environ.get("SEED", time.time_ns()))
    print(f"SEED={seed}")
    fuzzers = {name: Fuzzer(name, seed) for name in DECODERS}
    ends = time.monotonic() + seconds
    steps = failures = 0
    while time.monotonic() < ends:
        for name, fuzzer in fuzzers.items():
            for _ in range(_STEPS_A_TURN):
                steps += 1
                try:
                    fuzzer.step()
                except Failure as failure:
                    failures += 1
                    print(f"{failure}\n  kept in {_keep(name, failure.data)}")
    print(f"{steps:,} inputs, {failures} failed")
    return bool(failures)


def _keep(name: str, data: bytes) -> str:
    folder = CORPUS / name.removesuffix(CONTENT)
    folder.mkdir(exist_ok=True)
    content = seal(data) if name.endswith(CONTENT) else data
    path = folder / f"failed-{hashlib.sha256(content).hexdigest()[:12]}.bin"
    path.write_bytes(content)
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
