"""The web UI in a real browser."""

import os

# As tests/conftest.py has it, for the modules here that run by themselves.
os.environ.setdefault("CLEW_TELEMETRY", "0")
os.environ.setdefault("CLEW_ACCESS", "open")
