"""Statistics, edges, services and span names: the same before a fold, after it, and after roll-up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.errors import InvalidQuery
from chalicelib.model.measure import quantile_nano
from chalicelib.native.render import edges_json, statistics_json
from chalicelib.query.edges import edges
from chalicelib.query.parameters import Range
from chalicelib.query.services import hours_of_services
from chalicelib.query.statistics import span_names, statistics
from chalicelib.summarise.job import summarise_shards
from tests.memory_store import MemoryStore
from tests.payloads import CLIENT, MILLI, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made
from tests.query.committed import fold, roll_up
from tests.query.stored import counted, stored
from tests.summarise.test_exactness import batchings

if TYPE_CHECKING:
    import random

DAY = 86_400
DAY_RANGE = Range(NOON_NANO - DAY * 10**9, NOON_NANO + DAY * 10**9)


def answers(store: MemoryStore, now: int) -> list[Any]:
    """Every summarised answer, at every resolution."""
    found: list[Any] = [edges_json(edges(store, DAY_RANGE, now))]
    found.append(edges_json(edges(store, Range(NOON_NANO, NOON_NANO + 61 * 10**9), now)))
    for service in ("shop", "cart", "stock"):
        for step in ("60", "3600", "86400"):
            answer = statistics(
                store, service, DAY_RANGE, int(step) * 10**9 * (3 if step == "60" else 1), now
            )
            found.append(statistics_json(answer))
        found.append(span_names(store, service, DAY_RANGE, now))
    found.append(sorted(hours_of_services(store, DAY_RANGE, now).items()))
    return found


@pytest.mark.slow
@given(batchings, st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_answers_do_not_depend_on_what_is_folded_or_rolled_up(
    batches: list[list[Made]], rng: random.Random
) -> None:
    """A span counts in every answer from its commit on, and folding and rolling up change no figure."""
    store = stored(batches)
    # While halves still wait: what is alone at the end of its window is looked up, and may add an edge.
    now = NOON_UNIX_SECONDS + 1
    unfolded = answers(store, now)
    fold(store, now)
    assert answers(store, now) == unfolded
    roll_up(store, now + 2 * DAY)
    assert answers(store, now) == unfolded
    half = MemoryStore()
    for batch in batches:
        from chalicelib.consume.commit import commit

        commit(half, [counted(batch)], NOON_NANO, 1)
        if rng.random() < 0.5:
            fold(half, now)
    assert answers(half, now) == unfolded


def test_statistics_count_spans_by_name_and_kind() -> None:
    """Calls, errors, quantiles and the histogram are those of the spans; the total is of entry spans."""
    spans = [
        Made(n, 1, name="GET /", duration=(n % 100 + 1) * MILLI, is_error=n % 10 == 0)
        for n in range(1, 201)
    ] + [Made(n, 2, parent=1, name="GET", kind=CLIENT) for n in range(1, 51)]
    answer = statistics(stored([spans]), "shop", DAY_RANGE, None, NOON_UNIX_SECONDS)
    document = statistics_json(answer)
    client, server = document["series"]
    assert (client["span_name"], client["kind"], client["total"]["calls"]) == ("GET", "client", 50)
    assert (server["span_name"], server["kind"]) == ("GET /", "server")
    assert (server["total"]["calls"], server["total"]["errors"]) == (200, 20)
    assert document["total"]["calls"] == 200
    assert int(server["total"]["p50_nano"]) == pytest.approx(50 * MILLI, rel=0.012)
    assert int(server["total"]["p99_nano"]) == pytest.approx(99 * MILLI, rel=0.012)
    histogram = server["total"]["histogram"]
    assert sum(map(int, histogram["positive"]["bucketCounts"])) == 200
    assert sum(point["calls"] for point in server["points"]) == 200


def test_points_stand_at_their_steps() -> None:
    """A span counts in the step in which it started, its end included in none, its start in one."""
    minute = 60 * 10**9
    spans = [Made(n, 1, start=NOON_NANO + n * minute) for n in range(10)]
    answer = statistics(
        stored([spans]),
        "shop",
        Range(NOON_NANO, NOON_NANO + 10 * minute),
        5 * minute,
        NOON_UNIX_SECONDS,
    )
    assert {second: part.entry.calls for second, part in answer.steps.items()} == {
        NOON_UNIX_SECONDS: 5,
        NOON_UNIX_SECONDS + 300: 5,
    }


def test_an_unknown_service_has_empty_statistics() -> None:
    """A service that never was is not an error: it did nothing."""
    document = statistics_json(
        statistics(MemoryStore(), "nobody", DAY_RANGE, None, NOON_UNIX_SECONDS)
    )
    assert (document["series"], document["total"]["calls"], document["other"]) == ([], 0, None)


def test_too_many_points_are_refused() -> None:
    """A step that makes more points than any chart shows is refused by its name."""
    with pytest.raises(InvalidQuery) as refused:
        statistics(
            MemoryStore(),
            "shop",
            Range(NOON_NANO - 7 * DAY * 10**9, NOON_NANO),
            60 * 10**9,
            NOON_UNIX_SECONDS,
        )
    assert refused.value.parameter == "step"


def calls(store: MemoryStore) -> Counter[tuple[str, str, str]]:
    document = edges_json(edges(store, DAY_RANGE, NOON_UNIX_SECONDS))
    return Counter(
        {
            (edge["caller"], edge["callee"], edge["kind"]): edge["calls"]
            for edge in document["edges"]
        }
    )


def test_an_external_edge_becomes_the_callee_s_when_it_comes() -> None:
    """A call counts at once under the address called; the callee's span, in a later message, takes it over."""
    address = (("server.address", "stock.internal"),)
    store = stored([[Made(1, 1, "shop", 0, "GET", CLIENT, attributes=address)]])
    assert calls(store) == {("shop", "stock.internal", "external"): 1}
    summarise_shards(store, [0], NOON_UNIX_SECONDS)
    later = stored([])
    later.items = store.items
    from chalicelib.consume.commit import commit

    commit(later, [counted([Made(1, 2, "stock", 1, "GET /", SERVER)])], NOON_NANO, 1)
    for _ in range(2):
        assert calls(later) == {("shop", "stock", "rpc"): 1}
        summarise_shards(later, [0], NOON_UNIX_SECONDS)


def test_an_edge_s_latency_is_the_caller_s_and_its_error_either_s() -> None:
    """Latency as the caller saw it; an error of both halves is one."""
    store = stored(
        [
            [Made(1, 1, "shop", 0, "GET", CLIENT, duration=40 * MILLI, is_error=True)],
            [Made(1, 2, "stock", 1, "GET /", SERVER, duration=10 * MILLI, is_error=True)],
        ]
    )
    (edge,) = edges_json(edges(store, DAY_RANGE, NOON_UNIX_SECONDS))["edges"]
    assert (edge["calls"], edge["errors"]) == (1, 1)
    assert int(edge["p50_nano"]) == pytest.approx(40 * MILLI, rel=0.012)
    assert edge["exemplar_trace_id"] == f"{1:032x}"


def test_quantile_of_nothing_is_zero() -> None:
    """Where there are no calls, a quantile is 0, as every figure."""
    from chalicelib.model.measure import Measure

    assert quantile_nano(Measure(), 0.5) == 0
