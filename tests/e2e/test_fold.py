"""Whatever is folded, and whenever: every answer stays what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.stack import LaptopStack
from tests.e2e.shop import export, get, make_orders, minutes_ago, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.slow

QUESTIONS: list[tuple[str, dict[str, str]]] = [
    ("/v1/services", {}),
    ("/v1/services/shop-orders/span_names", {}),
    ("/v1/services/shop-front/statistics", {}),
    ("/v1/services/shop-orders/statistics", {"step": "1m"}),
    ("/v1/services/shop-orders/statistics", {"step": "1h"}),
    ("/v1/services/shop-mail/statistics", {"step": "1d"}),
    ("/v1/edges", {}),
    ("/v1/traces", {"service": "shop-orders"}),
    ("/v1/traces", {"status": "error"}),
]


def answers(url: str, time_range: dict[str, str]) -> list[Any]:
    """To every question; none of them may warn."""
    found = [get(url, path, **more, **time_range) for path, more in QUESTIONS]
    assert not any(answer.get("warnings") for answer in found)
    return found


@pytest.fixture(scope="module")
def batches():
    return make_orders()[1]


@pytest.fixture(scope="module")
def time_range():
    return {"start": seconds_text(minutes_ago(59)), "end": seconds_text(minutes_ago(0))}


@pytest.fixture(scope="module")
def unfolded(batches, time_range):
    """What is answered when all came at once, and nothing is folded."""
    with LaptopStack(batch_window_seconds=0, run_schedules=False) as stack:
        export(stack.url, [span for batch in batches for span in batch])
        stack.wait_until_stored()
        found = answers(stack.url, time_range)
    assert len(found[QUESTIONS.index(("/v1/edges", {}))]["edges"]) == 5
    return found


@pytest.mark.parametrize("fold_every", [1, pytest.param(5, marks=pytest.mark.slow), 100])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_order_and_folds(batches, time_range, unfolded, fold_every, is_reversed):
    """Answers depend neither on the order of arrival nor on when folds ran in between."""
    ordered: Sequence[Sequence[ReadableSpan]] = batches[::-1] if is_reversed else batches
    with LaptopStack(batch_window_seconds=0, run_schedules=False) as stack:
        for place, batch in enumerate(ordered, 1):
            export(stack.url, batch)
            if place % fold_every == 0:
                stack.wait_until_stored()
                stack.summarise()
        stack.wait_until_stored()
        assert answers(stack.url, time_range) == unfolded
        for _ in range(2):
            stack.summarise()
            assert answers(stack.url, time_range) == unfolded
