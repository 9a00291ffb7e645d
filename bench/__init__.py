"""The benchmark: CPU, memory, time and cost of Clew. Its requests have no token, so access is open."""

import os

os.environ.setdefault("CLEW_ACCESS", "open")
