"""docs/sampling.md: its tables are the command's, its formulas hold, its examples run."""

from __future__ import annotations

import json
import re
from itertools import pairwise, product
from math import prod
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

from capacity.sampling import (
    CONFIDENCE,
    PAGE,
    RESULTS,
    chance_to_see,
    dollars_at,
    failed_wanted,
    newest_curve,
    relative_error,
    tables,
)
from chalicelib.model.sampling import checked
from local.stack import LaptopStack
from tests.test_docs import BASE, code_blocks, text_of

CURVE = newest_curve()
shares = st.floats(0.001, 1)


@pytest.mark.parametrize("name", tables(CURVE))
def test_the_page_has_the_commands_tables(name):
    """What `python -m capacity.sampling` makes of the newest results is what the page shows."""
    pattern = rf"<!-- bench:{name} -->\n(.*?)\n<!-- /bench:{name} -->"
    (shown,) = re.findall(pattern, text_of(PAGE), re.DOTALL)
    assert shown == tables(CURVE)[name]


def test_measured_points_are_as_measured():
    """At a rate of the curve the dollars are the curve's own."""
    for row in CURVE:
        assert dollars_at(CURVE, row["traces_per_second"]) == pytest.approx(row["dollars"])


@given(st.floats(0.1, 1_000), st.floats(0.1, 1_000))
def test_between_points(one, other):
    """A span costs no more than at one of the measured rates about its own, no less than at the other; more traffic
    costs no less in all."""
    low, high = sorted((one, other))
    for below, above in pairwise(CURVE):
        if below["traces_per_second"] <= one <= above["traces_per_second"]:
            ends = sorted((below["dollars"], above["dollars"]))
            assert ends[0] * (1 - 1e-9) <= dollars_at(CURVE, one) <= ends[1] * (1 + 1e-9)
    assert dollars_at(CURVE, low) * low <= dollars_at(CURVE, high) * high * (1 + 1e-9)


@pytest.mark.parametrize("rate", [0.09, 1_001])
def test_outside_the_curve(rate):
    """What was not measured is not made up."""
    with pytest.raises(ValueError, match="does not hold"):
        dollars_at(CURVE, rate)


@given(st.integers(0, 8), shares)
def test_chance_by_counting_every_outcome(failed, kept):
    """The formula is the sum over all outcomes in which one failed trace or more is kept."""
    outcomes = product((True, False), repeat=failed)
    counted = sum(
        prod(kept if is_kept else 1 - kept for is_kept in outcome)
        for outcome in outcomes
        if any(outcome)
    )
    assert chance_to_see(failed, kept) == pytest.approx(counted)


@given(shares)
def test_failed_wanted_is_the_least(kept):
    """With so many failed traces one is seen with the confidence, with one fewer it is not."""
    wanted = failed_wanted(kept)
    assert chance_to_see(wanted, kept) >= CONFIDENCE - 1e-9
    assert chance_to_see(wanted - 1, kept) < CONFIDENCE


@given(st.integers(1, 10**6), shares)
def test_relative_error(made, kept):
    """Four times the traces make the estimate twice as good; without sampling there is no error."""
    assert relative_error(4 * made, kept) == pytest.approx(relative_error(made, kept) / 2)
    assert relative_error(made, 1) == 0


def test_results_are_there():
    """The command reads what `make bench` has left, without measuring."""
    assert any(json.loads(path.read_text()).get("curve") for path in RESULTS.glob("20*.json"))


def test_environment_of_the_page(monkeypatch):
    """The page's variables make the SDK's sampler the one that they name."""
    (block,) = [each for each in code_blocks(PAGE, "sh") if "OTEL_" in each]
    for name, value in re.findall(r"^export (\w+)=(\S+)$", block, re.MULTILINE):
        monkeypatch.setenv(name, value)
    described = TracerProvider().sampler.get_description()
    assert described.startswith("ParentBased{root:TraceIdRatioBased{0.1}")


def test_file_of_the_page():
    """The page's strategies file is one that is taken."""
    (block,) = code_blocks(PAGE, "json")
    assert len(checked(json.loads(block))["service_strategies"]) == 2


def test_statistics_count_what_was_received(capsys):
    """The page's program, run: a tenth is kept, and the statistics count the calls that were sent, not scaled."""
    (program,) = code_blocks(PAGE, "python")
    with LaptopStack(batch_window_seconds=0.02, run_schedules=False) as stack:
        found: dict[str, int] = {}
        exec(program.replace(BASE, stack.url), found)
        stack.wait_until_stored()
        answer = urlopen(f"{stack.url}/v1/services/sampled-shop/statistics").read()
    assert capsys.readouterr().out.startswith(f"{found['kept']} of 500 traces")
    # Of 500 at 0.1: outside of this once in ten million runs.
    assert 15 <= found["kept"] <= 95
    assert json.loads(answer)["total"]["calls"] == found["kept"]
