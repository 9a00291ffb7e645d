"""The simulator in its small form; `make simulate` is the large one."""

from __future__ import annotations

import pytest

from tests.simulator.choices import Choices, shrunk
from tests.simulator.exhaustive import CASES, Case, Explorer
from tests.simulator.hub import Place
from tests.simulator.planted import PLANTED
from tests.simulator.runs import run, simplest, until_broken
from tests.simulator.story import Scale

pytestmark = pytest.mark.slow

SMALL = Scale()
LARGE = Scale(messages=8, consumers=3, folds=2, readers=1, faults=8)


class TestPromises:
    @pytest.mark.parametrize(("scale", "runs"), [(SMALL, 60), (LARGE, 10)], ids=["small", "large"])
    def test_random(self, scale, runs):
        """Whatever happens on the way, what was acknowledged counts once, to the byte; readers see whole commits."""
        search = until_broken(range(runs), scale)
        assert search.broken is None, search.broken

    def test_every_order(self):
        """Two consumers with a message in common and a fold: every order of their calls comes to the same."""
        search = Explorer(CASES[0]).search(1_000)
        assert search.broken is None, search.broken
        assert search.runs > 30

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_one_fault(self, case):
        """A fault at a call, in the orders that are tried first."""
        search = Explorer(case, faults_max=1).search(80)
        assert search.broken is None, search.broken


class TestItself:
    """A simulator that finds nothing must be one that can."""

    @pytest.mark.parametrize(
        "bug", [bug for bug in PLANTED if not bug.is_rare], ids=lambda bug: bug.name
    )
    def test_planted(self, monkeypatch, bug):
        """A bug that is put in is found."""
        bug.plant(monkeypatch)
        assert until_broken(range(80), SMALL).broken

    def test_many_planted(self):
        """No name stands twice."""
        assert len({bug.name for bug in PLANTED}) == len(PLANTED) >= 20

    def test_replayed(self):
        """The same choices are the same run, call by call."""
        drawn = run(Choices(seed=7), SMALL)
        assert len(drawn.told) > 50
        assert run(Choices(drawn.choices), SMALL) == drawn

    def test_simplest(self, monkeypatch):
        """What is broken stays broken while everything is left out that need not be."""
        bug = next(bug for bug in PLANTED if bug.name == "segments deleted first")
        bug.plant(monkeypatch)
        broken = until_broken(range(80), SMALL).broken
        assert broken
        simple = simplest(broken, SMALL)
        assert simple.broken
        assert sum(map(bool, simple.choices)) < sum(map(bool, broken.choices))

    def test_orders_left_out(self):
        """Orders that are left out come to nothing new: leaving none out finds the same ends."""
        case = Case("a consumer, a fold", ((1,),))
        few, all_ = Explorer(case), Explorer(case, leaves_out=False)
        runs_few, runs_all = few.search(10_000).runs, all_.search(10_000).runs
        assert few.ends == all_.ends
        assert 1 < len(few.ends) <= runs_few < runs_all


class TestShrunk:
    def test_least(self):
        """What the failure needs is kept, nothing else."""
        choices = [3, 0, 7, 1, 9, 0, 2]
        assert shrunk(choices, lambda given: 9 in given) == [9]
        assert shrunk(choices, lambda given: sum(given) > 4) in ([5], [6], [7], [9])

    def test_all_needed(self):
        """What cannot be made simpler stays as it is."""
        assert shrunk([1, 1], lambda given: list(given) == [1, 1]) == [1, 1]


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (Place("a"), Place("b"), False),
        (Place("a"), Place("a", 1, 1), True),
        (Place("a", 1, 2), Place("a", 3, 3), False),
        (Place("a", 1, 3), Place("a", 3, 3), True),
    ],
)
def test_places(one, other, meet):
    """Calls of one partition meet where their ranges do, whoever is asked."""
    assert one.meets(other) is other.meets(one) is meet
