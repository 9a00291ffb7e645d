"""The benchmark. Its requests bring no token."""

import os

os.environ.setdefault("CLEW_ACCESS", "open")
