"""Clew, a distributed-tracing backend without a server."""

__version__ = "0.2.0"
"""The one place of the version: pyproject.toml, the OpenAPI document and `make release` read it here."""
