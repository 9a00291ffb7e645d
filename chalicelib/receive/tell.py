"""Metrics of what is received: how many spans were rejected, and from how many values a secret was taken out."""

from __future__ import annotations


def tell_rejected(spans: int) -> None:
    """Count spans that were rejected."""
    from chalicelib.telemetry import emit

    emit("receive", {"spans_rejected": spans})


def tell_redacted(values: int) -> None:
    """Count values from which a secret was taken out."""
    from chalicelib.telemetry import emit

    emit("receive", {"values_redacted": values})
